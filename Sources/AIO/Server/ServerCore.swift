// A server's state while it runs: what its listeners report, and its phases. Between the workers, which call it on
// their threads, and Server.swift, which runs the handlers. Its counts are in ServerCounts.swift.

import AIOKernel
import AIOWorkers
import Synchronization

// Theory of operation
//
//   running ──drain──▶ closing listeners ──all closed──▶ draining ──none open──▶ ended
//      │                      │                             │
//      └──────────────────────┴──── deadline, cancel ───────┴──▶ cut ──none open──▶ ended
//
// A connection is open from its accept until it is closed *and* its handler has ended: it counts twice. When
// nothing is open and no listener can bring more, the accept queues end, the accepting tasks return,
// and `serve` does.
//
// While it drains, a read that would wait for the first byte of something returns the end of the stream, so
// that the loop of an idle handler ends in its own way; a handler in the middle of something goes on.

/// Sendable, unchecked: what changes is atomic, or under `lock`.
final class ServerCore: ConnectionObserver, @unchecked Sendable {
    let engine: Engine
    let options: ServerOptions
    let framePolicy: FramePolicy?
    /// One a worker.
    let queues: [AcceptQueue]
    let failures: FailureReports
    private let counts: ServerCounts
    /// What runs for each connection. Set once, before the first.
    private(set) var handler = Handler.closure { _ in }

    enum Handler: Sendable {
        case closure(@Sendable (Connection) async throws -> Void)
        case actor(@Sendable (Connection) throws -> any ConnectionHandler)
    }

    /// The phase, for workers and handlers to look at without the lock: a new connection is told of it. Written under
    /// the lock; sequentially consistent, as the count of what is open, whose partner it is.
    private let stage = Atomic<UInt8>(0)

    private let lock = PosixLock()
    // Under `lock`.
    private var phase = Phase.running
    private var listeners: [ListenerCore] = []
    private var openAtDrain = 0
    /// The earliest time that a drain asked for: what is left is cut then.
    private var deadline = MonotonicTime.distantFuture
    private var onEnded: [@Sendable () -> Void] = []
    /// Of which all handlers are descendants.
    private var accepting: Task<Void, Never>?
    private var failure: AIOError?

    private enum Phase: UInt8 { case running, closing, draining, drainingAll, cut, ended }

    init(engine: Engine, options: ServerOptions) throws(AIOError) {
        self.engine = engine
        framePolicy = try engine.framePolicy(options.framing, options.filter, options.surfacing)
        self.options = options
        queues = engine.workers.map { _ in AcceptQueue() }
        failures = FailureReports(engine: engine)
        counts = ServerCounts(options)
    }

    /// Before the listeners start. False if it was asked to drain before it began: then it has ended already.
    func begin(with listeners: [ListenerCore], handler: Handler) -> Bool {
        self.handler = handler
        return lock.withLock {
            guard phase == .running else { return false }
            self.listeners = listeners
            return true
        }
    }

    // MARK: From the workers

    func admits(_ peer: Endpoint) -> Admission {
        if counts.admit(peer) { return .accept }
        return switch options.refusal {
        case .close: .close
        case .reset: .reset
        case .reply(let bytes): .reply(bytes)
        }
    }

    func takenIn(_ connection: ConnectionCore, on worker: Worker) { tellPhase(to: connection) }

    func opened(_ connection: ConnectionCore, on worker: Worker) {
        tellPhase(to: connection)
        queues[worker.index].put(connection, on: worker)
    }

    /// One that comes while the server drains or has been cut was not visited.
    private func tellPhase(to connection: ConnectionCore) {
        switch Phase(rawValue: stage.load(ordering: .sequentiallyConsistent)) {
        case .draining, .closing: connection.endReads(.afterFirstBytes)
        case .drainingAll: connection.endReads(.all)
        case .cut, .ended: Self.cut(connection)
        case .running, nil: break
        }
    }

    func closed(_ connection: ConnectionCore, wasOpened: Bool, on worker: Worker) {
        // Whether it is the cut itself that closes it, or a handler that was cancelled and is faster.
        let isCut = stage.load(ordering: .sequentiallyConsistent) == Phase.cut.rawValue
        if counts.closed(connection.peer, isCut: isCut, hasHandler: wasOpened) { lastEnded() }
    }

    func listenerFailed(_ error: AIOError) {
        lock.withLock { failure = failure ?? error }
        drain(within: options.failedListenerDrainTimeout)
    }

    // MARK: From the handlers

    func handlerCompleted() { if counts.handlerCompleted() { lastEnded() } }

    func handlerFailed(_ error: any Error, of connection: ConnectionCore) {
        // That a handler was cancelled by the cut is no news.
        let isCut = stage.load(ordering: .relaxed) == Phase.cut.rawValue
        if !(isCut && error is CancellationError) { failures.report(error, of: connection) }
        if counts.handlerFailed() { lastEnded() }
    }

    private func lastEnded() {
        if stage.load(ordering: .sequentiallyConsistent) != Phase.running.rawValue { endIfDone() }
    }

    // MARK: Phases

    /// Begins to drain; a second call can only make the deadline earlier.
    func drain(within timeout: Duration) {
        let deadline = engine.kernel.now.advanced(by: timeout)
        let (isEarlier, listeners) = lock.withLock { () -> (Bool, [ListenerCore]?) in
            guard phase.rawValue < Phase.cut.rawValue else { return (false, nil) }
            let isEarlier = deadline < self.deadline
            if isEarlier { self.deadline = deadline }
            guard phase == .running else { return (isEarlier, nil) }
            enter(.closing)
            openAtDrain = counts.openConnectionCount
            return (isEarlier, self.listeners)
        }
        // Not on a worker: a handler that blocks one does not hold up the deadline. A drain that asks for a later one
        // than is kept already adds nothing: it may be asked for again and again.
        if isEarlier { engine.callUnhindered(after: timeout) { [weak self] in self?.cut() } }
        guard let listeners else { return }
        close(listeners) { [self] in listenersClosed() }
    }

    /// Calls `done` when all have closed, having accepted what the kernel had queued.
    private func close(_ listeners: [ListenerCore], done: @escaping @Sendable () -> Void) {
        let left = Countdown(listeners.count, done)
        for listener in listeners {
            listener.whenClosed { left.one() }
            listener.close()
        }
    }

    private func listenersClosed() {
        let isDraining = lock.withLock { () -> Bool in
            guard phase == .closing else { return false }
            enter(.draining)
            return true
        }
        if isDraining {
            engine.callUnhindered(after: options.drainFirstBytesTimeout) { [weak self] in
                self?.firstBytesTimeoutPassed()
            }
            visitConnections { $0.endReads(.afterFirstBytes) }
        }
        endIfDone()
    }

    private func firstBytesTimeoutPassed() {
        let isDraining = lock.withLock { () -> Bool in
            guard phase == .draining else { return false }
            enter(.drainingAll)
            return true
        }
        if isDraining { visitConnections { $0.endReads(.all) } }
    }

    /// `task` is what all handlers descend from.
    func run(by task: Task<Void, Never>) {
        let isCut = lock.withLock { () -> Bool in
            accepting = task
            return phase == .cut
        }
        if isCut { task.cancel() }
    }

    /// Cuts what is left, connections and handlers: the deadline, or the cancellation of `serve`.
    func cut() {
        guard let (listeners, accepting) = enterCut() else { return }
        // The tasks first: a handler that learns of the cut from its connection finds that it is cancelled.
        accepting?.cancel()
        close(listeners) { [self] in endIfDone() }
        visitConnections { Self.cut($0) }
        endIfDone()
    }

    /// nil if it is cut already, or has ended; else the listeners that are still to be closed.
    private func enterCut() -> (listeners: [ListenerCore], accepting: Task<Void, Never>?)? {
        lock.withLock {
            guard phase.rawValue < Phase.cut.rawValue else { return nil }
            let before = phase
            if before == .running { openAtDrain = counts.openConnectionCount }
            enter(.cut)
            return (before == .running ? listeners : [], accepting)
        }
    }

    /// Its handler's task has been cancelled: what it waits for on the connection ends here.
    private static func cut(_ connection: ConnectionCore) {
        connection.ownerWasCancelled()
        connection.abort()
    }

    private func visitConnections(_ body: @escaping @Sendable (ConnectionCore) -> Void) {
        for worker in engine.workers { worker.visitConnections(of: self, body) }
    }

    /// Under `lock`.
    private func enter(_ next: Phase) {
        phase = next
        stage.store(next.rawValue, ordering: .sequentiallyConsistent)
    }

    private func endIfDone() {
        guard counts.nothingIsOpen else { return }
        let bodies = lock.withLock { () -> [@Sendable () -> Void]? in
            guard phase == .draining || phase == .drainingAll || phase == .cut else { return nil }
            guard listeners.allSatisfy(\.hasClosed) else { return nil }
            enter(.ended)
            defer {
                onEnded = []
                accepting = nil
                listeners = []
            }
            return onEnded
        }
        guard let bodies else { return }
        for queue in queues { queue.end() }
        for body in bodies { body() }
    }

    /// Runs `body` once no connection and no handler is left.
    func whenEnded(_ body: @escaping @Sendable () -> Void) {
        let isOver = lock.withLock { () -> Bool in
            if phase != .ended { onEnded.append(body) }
            return phase == .ended
        }
        if isOver { body() }
    }

    /// Once it has ended. Throws what broke a listener.
    func report() throws(AIOError) -> DrainReport {
        let (failure, openAtDrain) = lock.withLock { (self.failure, self.openAtDrain) }
        if let failure { throw failure }
        var report = counts.report()
        report.openAtDrain = openAtDrain
        report.filterCounts = framePolicy?.filterCounts
        return report
    }
}
