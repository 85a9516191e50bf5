// A UDP socket as the program sees it. Made by Proactor+Datagrams.swift; stands for a DatagramCore.

public import AIOBytes
public import AIOKernel
public import AIOWorkers

/// A UDP socket, udp(7): datagrams with their senders come in, datagrams go out. Bound by
/// `Proactor.bind(udp:)`, or connected to one peer by `Proactor.connect(udp:)`.
///
/// One task at a time receives; any number send, from any thread. A worker of the proactor does the I/O. What
/// may be lost, and where it is counted, is in docs/udp.md.
///
/// End it with `close()`. A socket whose last reference goes is closed in the background, and the proactor's
/// shutdown closes those that are left.
public final class DatagramSocket: Sendable {
    package let core: DatagramCore

    init(_ core: DatagramCore) { self.core = core }

    deinit { core.requestClose() }

    /// Where it is bound; if port 0 was asked for, with the port that the kernel chose.
    public var endpoint: Endpoint { core.endpoint }

    /// Where it is connected; nil if it was bound and not connected.
    public var peer: Endpoint? { core.peer }

    // MARK: Receiving

    /// The datagrams as an `AsyncSequence` that ends when the socket is closed or the task is cancelled.
    ///
    /// Ending the iteration loses nothing: what has come stays for a later one.
    public var datagrams: Datagrams { Datagrams(socket: self) }

    /// The next datagram; nil once the socket is closed.
    ///
    /// Suspends only when none is there. Cancelling the task makes it throw `.cancelled`, and a datagram that
    /// came meanwhile stays for the next receive. After the proactor's shutdown what has come before is handed
    /// out first.
    /// - Throws: `.cancelled`; `.invalidArgument` if another task is receiving already. A connected socket
    ///   also throws, once each, what was reported of datagrams that it sent (`.connectionRefused`,
    ///   `.unreachable`, `.tooLarge`, …), and goes on working.
    public func receive(isolation: isolated (any Actor)? = #isolation) async throws(AIOError) -> Datagram? {
        try await core.receive(isolation: isolation)
    }

    /// What is there now, without waiting: none to `limit` datagrams. From any task.
    public func drain(atMost limit: Int = 1_024) -> [Datagram] { core.drain(atMost: limit) }

    // MARK: Sending

    /// Queues a datagram for `target`, an IP address and port. Returns when it is queued; the worker sends it
    /// on its next pass, together with others.
    ///
    /// The bytes are not copied. Suspends while the queue is full (`DatagramOptions.outboundDatagramsMax`,
    /// `outboundByteCountMax`); those who wait are served in order. Cancelling the task while it waits
    /// makes it throw `.cancelled`, and then nothing of the datagram was queued or will be sent; once queued
    /// it is sent, cancelled or not.
    ///
    /// What the kernel refuses later is counted (`DatagramStatistics.sendErrors`) and, on a connected socket,
    /// thrown by the next receive or send.
    /// - Throws: `.tooLarge` beyond 65,507 bytes (IPv4) or 65,527 (IPv6); `.invalidArgument` for a target
    ///   that is no IP address, has port 0 or is of the other family; `.closed`; `.cancelled`.
    public func send(
        _ bytes: Bytes, to target: Endpoint, isolation: isolated (any Actor)? = #isolation
    ) async throws(AIOError) {
        try await core.send(bytes, to: target, isolation: isolation)
    }

    /// Queues a datagram for the peer of a connected socket; otherwise as `send(_:to:)`.
    /// - Throws: also what was reported of an earlier datagram; this one was not queued then.
    ///   `.invalidArgument` if the socket is not connected.
    public func send(_ bytes: Bytes, isolation: isolated (any Actor)? = #isolation) async throws(AIOError) {
        try await core.send(bytes, to: nil, isolation: isolation)
    }

    /// Queues a datagram if there is room, and says so. Never suspends; `.refused(.limitReached)` when the
    /// queue is full or others wait in line for it, else `.refused` with what `send` would throw.
    @discardableResult
    public func trySend(_ bytes: Bytes, to target: Endpoint) -> DatagramOutcome {
        core.trySend(bytes, to: target)
    }

    /// Queues a datagram for the peer of a connected socket if there is room, and says so.
    @discardableResult
    public func trySend(_ bytes: Bytes) -> DatagramOutcome { core.trySend(bytes, to: nil) }

    // MARK: Knowing and ending

    /// What has been counted since the socket was opened. Takes the socket's lock for a moment.
    public var statistics: DatagramStatistics { core.statistics }

    /// Closes the socket. A pending receive gets nil, sends that wait get `.closed`; what is queued is offered
    /// to the kernel once more and otherwise dropped, and what was received and not taken is dropped.
    ///
    /// Returns when the descriptor is closed. Cancelling the task changes nothing. May be called more than
    /// once.
    public func close(isolation: isolated (any Actor)? = #isolation) async {
        await core.close(isolation: isolation)
    }
}

extension DatagramSocket: CustomStringConvertible {
    public var description: String {
        "UDP socket \(endpoint)" + (peer.map { ", connected to \($0)" } ?? "")
    }
}

/// `DatagramSocket.datagrams`. One iteration at a time.
public struct Datagrams: AsyncSequence, Sendable {
    public typealias Element = Datagram
    public typealias Failure = AIOError

    let socket: DatagramSocket

    public func makeAsyncIterator() -> Iterator { Iterator(socket: socket) }

    /// As `DatagramSocket.receive`, but for cancellation: that ends the iteration.
    public struct Iterator: AsyncIteratorProtocol {
        let socket: DatagramSocket

        public mutating func next() async throws(AIOError) -> Datagram? { try await next(isolation: nil) }

        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(AIOError) -> Datagram? {
            do throws(AIOError) {
                return try await socket.receive(isolation: actor)
            } catch {
                if error.code == .cancelled { return nil }
                throw error
            }
        }
    }
}
