// `aio.events`: the event stream, the ways to take from it, and the calls that make things happen in it.

public import AIOFraming
public import AIOKernel
public import AIOWorkers

/// The stream of what a proactor has completed, as an `AsyncSequence`, and the calls whose outcome it tells.
///
/// One task at a time takes events; `forEach` spreads them over cores. Ending the iteration (`break`) loses
/// nothing: events stay where they are, and a later iteration goes on there; meanwhile the connections'
/// windows fill and their peers are stopped. Cancelling the task that iterates ends the iteration in the same
/// way. After `Proactor.shutdown()` the stream hands out what is left (each connection's `.closed` included)
/// and ends.
///
/// The consumer of events and the workers are different threads. Workers do all the I/O and never run code of
/// yours.
public struct Events: AsyncSequence, Sendable {
    public typealias Element = Event
    public typealias Failure = Never

    let source: EventSource
    let engine: Engine

    public func makeAsyncIterator() -> Iterator { Iterator(source: source) }

    /// Suspends only when there is nothing to hand out. Cancelling the task makes `next` return nil; what is
    /// there stays there.
    public struct Iterator: AsyncIteratorProtocol {
        let source: EventSource

        public mutating func next() async -> Event? { await next(isolation: nil) }

        public mutating func next(isolation actor: isolated (any Actor)?) async -> Event? {
            source.enter()
            defer { source.leave() }
            while !Task.isCancelled {
                // Whether it is over is asked first: what is pushed before the end is then seen after it.
                let isOver = source.isOver
                if let event = source.next() { return event }
                if isOver { return nil }
                await source.wait(isolation: actor)
            }
            return nil
        }
    }

    /// What is there now, without waiting: none to `limit` events.
    ///
    /// May be called inside a `for await` loop over the same events, and between loops. The bytes of a batch
    /// count as taken, so their connections' windows open.
    public func drain(atMost limit: Int = 1_024) -> [Event] {
        source.enter()
        defer { source.leave() }
        return source.takeBatch(atMost: limit)
    }

    /// The same events, all that are there at a time: one suspension a batch. Each batch has at least one
    /// event, and at most 1,024.
    public var batches: EventBatches { EventBatches(source: source) }
}

/// `aio.events.batches`.
public struct EventBatches: AsyncSequence, Sendable {
    public typealias Element = [Event]
    public typealias Failure = Never

    let source: EventSource

    public func makeAsyncIterator() -> Iterator { Iterator(source: source) }

    public struct Iterator: AsyncIteratorProtocol {
        let source: EventSource

        public mutating func next() async -> [Event]? { await next(isolation: nil) }

        public mutating func next(isolation actor: isolated (any Actor)?) async -> [Event]? {
            source.enter()
            defer { source.leave() }
            while !Task.isCancelled {
                let isOver = source.isOver
                let batch = source.takeBatch(atMost: 1_024)
                if !batch.isEmpty { return batch }
                if isOver { return nil }
                await source.wait(isolation: actor)
            }
            return nil
        }
    }
}

// MARK: - Making things happen

extension Events {
    /// nil takes the proactor's limits.
    private func sink(
        _ limits: ConnectionLimits?, _ framePolicy: FramePolicy? = nil
    ) -> ConnectionSink {
        ConnectionSink(
            events: source.queue, limits: limits ?? engine.configuration.connection, framePolicy: framePolicy)
    }

    /// Listens on an address; its connections arrive as `.accepted`.
    ///
    /// TCP gets one listening socket a worker, so that each worker accepts for itself; a Unix socket is one
    /// socket whose connections go round the workers. A name is resolved off the workers, and its first
    /// address is used.
    /// - Parameters:
    ///   - limits: of the connections that are accepted; nil takes the proactor's.
    ///   - backlog: connections that the kernel may hold unaccepted, a socket (listen(2)).
    ///   - framing: how received bytes are cut into frames; each `.received` is one, then.
    ///   - filter: what judges these frames before they become events.
    ///   - surfacing: when a connection becomes an event; `.onFirstFrame` needs a framing.
    ///   - deferAccept: for about how long, in whole seconds, the kernel keeps a TCP connection back that has received
    ///     nothing (`TCP_DEFER_ACCEPT`, tcp(7)); nil: not at all.
    /// - Throws: `.addressInUse`, `.addressNotAvailable`, `.permissionDenied`, `.notFound` (a directory of a
    ///   Unix path), `.hostNotFound`, `.malformedEndpoint`, `.invalidArgument` (a parameter that makes no sense),
    ///   `.limitReached` (frames too large for `inboundByteCountMax`), `.descriptorLimit`, `.shutDown`.
    @discardableResult
    public func listen(
        on endpoint: Endpoint, limits: ConnectionLimits? = nil, backlog: Int = 4_096,
        framing: Framing = .raw, filter: FrameFilter? = nil, surfacing: Surfacing = .onAccept,
        deferAccept: Duration? = nil
    ) async throws(AIOError) -> Listener {
        let policy = try engine.framePolicy(framing, filter, surfacing)
        let address = try await engine.firstAddress(of: endpoint)
        let core = try engine.listen(
            on: address, backlog: backlog, deferAccept: deferAccept, isShared: false,
            sink: sink(limits, policy))
        return Listener(core)
    }

    /// Listens on an address in text, as in `"127.0.0.1:7007"`, `"[::1]:7007"`, `"*:7007"` or
    /// `"unix:/run/x.sock"`.
    @discardableResult
    public func listen(
        on endpoint: String, limits: ConnectionLimits? = nil, backlog: Int = 4_096,
        framing: Framing = .raw, filter: FrameFilter? = nil, surfacing: Surfacing = .onAccept,
        deferAccept: Duration? = nil
    ) async throws(AIOError) -> Listener {
        try await listen(
            on: Endpoint(parsing: endpoint), limits: limits, backlog: backlog, framing: framing,
            filter: filter, surfacing: surfacing, deferAccept: deferAccept)
    }

    /// Starts making a connection and returns at once. `.connected` follows, or `.closed` with
    /// `.connectFailed`.
    ///
    /// The addresses of a name race each other as RFC 8305 (Happy Eyeballs) has it: families by turns, each
    /// `ConnectionLimits.connectAttemptDelay` after the one before or as soon as that has failed; the first
    /// that connects is the connection, the others are closed. If all fail, the last error is the reason. All
    /// of it, together with the resolving, within `ConnectionLimits.connectTimeout`. A Unix listener whose
    /// backlog is full is asked again until then. `close()` and `abort()` end all attempts.
    /// - Throws: what can be said at once: `.malformedEndpoint`, `.limitReached` (`connectionsMax`),
    ///   `.shutDown`.
    @discardableResult
    public func connect(to endpoint: Endpoint, limits: ConnectionLimits? = nil) throws(AIOError) -> Connection
    {
        Connection(try engine.connect(to: endpoint, sink: sink(limits)))
    }

    /// Starts making a connection to an address or name in text, as in `"example.org:25"`.
    @discardableResult
    public func connect(to endpoint: String, limits: ConnectionLimits? = nil) throws(AIOError) -> Connection {
        try connect(to: Endpoint(parsing: endpoint), limits: limits)
    }

    /// Starts making a connection that is given up after `timeout`.
    @discardableResult
    public func connect(to endpoint: String, timeout: Duration) throws(AIOError) -> Connection {
        var limits = engine.configuration.connection
        limits.connectTimeout = timeout
        return try connect(to: endpoint, limits: limits)
    }

    /// Has `.timer(tag)` delivered once `delay` has passed: not before, and as a rule within two milliseconds
    /// after.
    /// - Throws: `.limitReached` (`timersMax`), `.shutDown`.
    @discardableResult
    public func schedule(after delay: Duration, tag: EventTag) throws(AIOError) -> ScheduledTimer {
        ScheduledTimer(try engine.schedule(after: delay, tag: tag.rawValue, sink: source.queue))
    }

    /// Has `.posted(value)` delivered: how other threads and tasks talk to the loop. From any thread.
    /// - Throws: `.limitReached` (`postsMax`) when the loop has fallen that far behind; `.shutDown`.
    public func post(_ value: some Sendable) throws(AIOError) {
        try engine.post(ValueNode(Event.posted(value)), to: source.queue)
    }
}

extension Events {
    /// Has `.signal` delivered for each of these signals that the process gets, instead of what they would do
    /// (end the process, as a rule). Ends with the proactor's shutdown, which puts the former dispositions
    /// back.
    /// - Throws: `.limitReached` if signals are being watched already in this process, `.shutDown`.
    public func watch(signals: [ProcessSignal]) throws(AIOError) {
        let queue = source.queue
        try engine.watchSignals(signals) { queue.push(ValueNode(Event.signal($0))) }
    }
}

/// A timer that was scheduled.
public struct ScheduledTimer: Sendable {
    private let node: TimerNode
    init(_ node: TimerNode) { self.node = node }

    /// Takes the timer back. True if it will not be delivered; false if it is due already, in which case its
    /// event may still come.
    @discardableResult
    public func cancel() -> Bool { node.cancel() }
}
