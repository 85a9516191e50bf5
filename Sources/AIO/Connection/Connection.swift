// A connection as the program sees it: a small value that stands for ConnectionCore. Comes with events, takes
// sends, knows its peer.

public import AIOBytes
public import AIOKernel
public import AIOWorkers

/// One TCP or Unix stream connection whose bytes arrive in `aio.events`.
///
/// A connection is a value that can be copied, compared, hashed and sent anywhere; all copies stand for the
/// same connection. Every method may be called from any thread, returns at once and never suspends. What
/// follows from a call arrives as an event. After `.closed` the value remains usable as a key; its calls do
/// nothing.
public struct Connection: Sendable {
    package let core: ConnectionCore

    package init(_ core: ConnectionCore) { self.core = core }

    // MARK: Sending

    /// Queues `bytes` for sending and returns at once; the connection's worker writes them on its next pass.
    ///
    /// The bytes are not copied: the queue shares their memory. What is queued in one pass of the worker
    /// leaves in one system call. While connecting, bytes are queued and sent once connected.
    ///
    /// Sends go out in the order in which they were called. Between a send and a `write` of another task that has not
    /// returned yet no order is defined: a send does not wait, and so goes out before a write that waits for room.
    ///
    /// - Returns: `.queued` with the bytes now waiting; `.aboveMark` when that is more than the high-water
    ///   mark (then `.drained` follows as soon as it is below the low-water mark: a well-behaved sender waits
    ///   for it); `.refused` if nothing was queued, because the connection is closed or ending, or because
    ///   `ConnectionLimits.outboundByteCountMax` bytes wait already. A single send may exceed that limit; the
    ///   next is refused. By default a full queue also closes the connection with `.slowConsumer`.
    @discardableResult
    public func send(_ bytes: Bytes) -> SendOutcome { core.send(bytes) }

    /// Queues several parts, which stay together: no other send of this connection comes between them, and
    /// either all of them are queued or none.
    @discardableResult
    public func send(_ parts: [Bytes]) -> SendOutcome { core.send(parts) }

    /// Bytes accepted by `send` that the kernel has not yet taken.
    public var pendingByteCount: Int { core.pendingByteCount }

    // MARK: Ending

    /// Ends this side's writing once what is queued has been sent (half-close, shutdown(2)): the peer reads
    /// the end and may go on sending. Later sends are refused.
    public func finish() { core.finish() }

    /// Closes the connection gracefully.
    ///
    /// What is queued is sent, then the write side is ended, then what the peer still sends is read and
    /// thrown away until the peer ends too, so that no reset overtakes the last reply; limited by
    /// `ConnectionLimits.lingerTimeout` and `lingerByteCountMax`. Only `.closed` is delivered of this
    /// connection from now on; bytes received and not yet iterated are dropped.
    public func close() { core.close() }

    /// Cuts the connection at once: what is queued is lost, and the peer sees a reset. Only `.closed`
    /// follows.
    public func abort() { core.abort() }

    // MARK: Knowing

    /// The other side. For a connection that is being made: what was asked for.
    public var peer: Endpoint { core.peer }

    /// This side; nil until the connection is made.
    public var local: Endpoint? { core.local }

    /// Whether it was accepted by a listener; if not, it was made with `connect`.
    public var isAccepted: Bool { core.isAccepted }

    /// The proactor that the connection belongs to; nil once that has been let go of.
    public var proactor: Proactor? { core.worker.accounts.owner as? Proactor }

    // MARK: The program's own

    /// Attaches a value of the program to the connection, in place of the one before; nil takes it away. The
    /// connection keeps it for as long as any copy of the connection exists.
    public func attach(_ value: (any Sendable)?) { core.userValue = value }

    /// The attached value, if there is one and it is of this type.
    public func attached<Value: Sendable>(as type: Value.Type = Value.self) -> Value? {
        core.userValue as? Value
    }
}

extension Connection: Identifiable {
    /// Unique within the process's proactor, never used twice.
    public var id: UInt64 { core.id }
}

extension Connection: Hashable {
    public static func == (a: Connection, b: Connection) -> Bool { a.core === b.core }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(core)) }
}

extension Connection: CustomStringConvertible {
    public var description: String { "connection \(id) \(isAccepted ? "from" : "to") \(peer)" }
}
