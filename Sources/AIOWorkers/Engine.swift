// The workers together: started and ended as one, asked to listen, to connect, to wait. What AIO's Proactor
// stands on; below it are the workers, above it the API.

package import AIOKernel
import Synchronization

/// A set of workers with common accounts.
///
/// Sendable, unchecked: `lock` guards what is not constant.
package final class Engine: @unchecked Sendable {
    package let configuration: EngineConfiguration
    package let kernel: any Kernel
    package let host: any Host
    package let accounts: EngineAccounts
    package let workers: [Worker]
    private let descriptorReserve: DescriptorReserve

    private let alarm: WatchdogAlarm
    private let turn = Atomic<UInt>(0)

    private let lock = PosixLock()
    // Under `lock`. Whatever submits something that owes the program an answer does so under it too, so that
    // nothing is submitted behind the request to end.
    private var threads: [any HostThread] = []
    private var phase = Phase.running
    /// Cleared by a request to end that is not graceful.
    private var endsGracefully = true
    private var workersListening: Int
    private var workersRunning: Int
    private var onEnded: [@Sendable () -> Void] = []
    private var signalWatch: (any SignalWatch)?
    private var watchdog: Watchdog?
    private var watchdogThread: (any HostThread)?
    /// Listeners that nobody has started yet.
    private var unstarted: [ListenerCore] = []

    private enum Phase { case running, endingListeners, ending, ended }

    package init(configuration: EngineConfiguration, kernel: any Kernel, host: any Host) throws(AIOError) {
        try configuration.validate()
        self.configuration = configuration
        self.kernel = kernel
        self.host = host
        accounts = EngineAccounts(configuration)
        descriptorReserve = DescriptorReserve(kernel: kernel)
        alarm = WatchdogAlarm(kernel: kernel)
        let count = configuration.workerCount ?? kernel.usableProcessorCount
        var workers: [Worker] = []
        for index in 0..<count {
            workers.append(
                try Worker(
                    index: index, configuration: configuration, kernel: kernel, accounts: accounts,
                    descriptorReserve: descriptorReserve, alarm: alarm, host: host))
        }
        self.workers = workers
        workersListening = count
        workersRunning = count
        try startThreads()
    }

    private func startThreads() throws(AIOError) {
        for worker in workers {
            worker.executors.jobs.begin(on: worker)
            do {
                threads.append(try host.startThread(named: "aio-\(worker.index)", worker))
            } catch {
                // Those that run already are ended and waited for: an engine starts whole or not at all.
                _ = worker.executors.jobs.end()
                for started in workers.prefix(threads.count) { started.requestEnd(gracefully: false) {} }
                for thread in threads { thread.join() }
                host.shutDown()
                throw error
            }
        }
    }

    // MARK: Handlers

    /// Starts what handlers need, unless it runs: the watchdog, and the workers' partners if they run there. Before
    /// the first connection of theirs.
    package func prepareForHandlers(on place: HandlerPlace) throws(AIOError) {
        lock.lock()
        defer { lock.unlock() }
        guard phase == .running else { throw AIOError(.shutDown) }
        try startWatchdog()
        guard place == .partner else { return }
        for worker in workers where worker.partner == nil {
            let partner = try Partner(of: worker, host: host)
            threads.append(try partner.start(on: host))
            worker.take(partner: partner)
            watchdog?.watch(partner.executors.progress)
        }
    }

    /// Under `lock`.
    private func startWatchdog() throws(AIOError) {
        guard watchdog == nil else { return }
        let new = try Watchdog(
            kernel: kernel, alarm: alarm, threshold: configuration.watchdogThreshold,
            report: configuration.report)
        watchdogThread = try host.startThread(named: "aio-watch", new)
        watchdog = new
        for worker in workers { new.watch(worker.executors.progress) }
    }

    /// Calls `body` after `delay`, on a thread that no handler can hold up; never if there are no handlers.
    package func callUnhindered(after delay: Duration, _ body: @escaping @Sendable () -> Void) {
        lock.withLock { watchdog }?.call(after: delay, body)
    }

    /// For tests: such calls that are still to be made.
    package var unhinderedCallsAheadCount: Int { lock.withLock { watchdog }?.callsAheadCount ?? 0 }

    // MARK: Listening

    /// Opens listening sockets on an endpoint that is an address and hands them to the workers.
    package func listen(
        on endpoint: Endpoint, backlog: Int, deferAccept: Duration? = nil, isShared: Bool,
        sink: ConnectionSink,
        accepts: Bool = true
    ) throws(AIOError) -> ListenerCore {
        try sink.limits.validate()
        let spreads = !isShared && endpoint.isIP
        let sockets = try ListenerSockets.open(
            on: endpoint, count: spreads ? workers.count : 1, backlog: backlog,
            deferAccept: try deferAccept?.asDeferAccept(on: endpoint), kernel: kernel)
        let core = ListenerCore(
            id: accounts.makeID(), endpoint: sockets.endpoint, backlog: backlog, sink: sink,
            workers: workers, acceptorCount: sockets.count, isShared: !spreads, ownedFile: sockets.ownedFile)
        let acceptors = (0..<sockets.count).map { index in
            Acceptor(sockets.take(at: index), core: core, worker: workers[index])
        }
        core.begin(with: acceptors)
        if accepts { try start(core) } else { try keep(core) }
        return core
    }

    /// Listening, but not accepting yet: closed by the end unless it is started or closed before.
    private func keep(_ listener: ListenerCore) throws(AIOError) {
        do {
            try whileRunning { unstarted.append(listener) }
        } catch {
            listener.abandon(kernel: kernel)
            throw error
        }
    }

    /// Closes a listener that was not started; after the end too, when no worker is there to do it.
    package func close(unstarted listener: ListenerCore) {
        do {
            try whileRunning {
                unstarted.removeAll { $0 === listener }
                listener.close()
            }
        } catch {
            lock.withLock { unstarted.removeAll { $0 === listener } }
            listener.abandon(kernel: kernel)
        }
    }

    /// Begins to accept.
    package func start(_ listener: ListenerCore) throws(AIOError) {
        let acceptors = listener.allAcceptors
        do {
            try whileRunning {
                unstarted.removeAll { $0 === listener }
                for acceptor in acceptors { acceptor.requestStart() }
            }
        } catch {
            close(unstarted: listener)
            throw error
        }
    }

    // MARK: Connecting

    /// Starts making a connection; its sink hears of the outcome, whatever it is.
    package func connect(
        to endpoint: Endpoint, on worker: Worker? = nil, sink: ConnectionSink
    ) throws(AIOError) -> ConnectionCore {
        try sink.limits.validate()
        guard accounts.connectionDialled() else {
            throw AIOError(
                .limitReached, call: "connect", detail: "connectionsMax: \(configuration.connectionsMax)")
        }
        let connection = ConnectionCore(
            dialling: accounts.makeID(), worker: worker ?? leastLoadedWorker(), sink: sink,
            target: endpoint)
        do {
            try whileRunning { connection.request(.adopt) }
        } catch {
            accounts.closedWasSeen()
            throw error
        }
        resolve(endpoint) { connection.resolved($0) }
        return connection
    }

    /// The addresses of an endpoint; a name is looked up on an offload thread. `body` runs exactly once.
    package func resolve(
        _ endpoint: Endpoint, _ body: @escaping @Sendable (Result<[Endpoint], AIOError>) -> Void
    ) {
        guard let (host, port) = endpoint.hostAndPort else { return body(.success([endpoint])) }
        let kernel = kernel
        do throws(AIOError) {
            try self.host.offload(.names) {
                do throws(AIOError) {
                    body(.success(try kernel.resolve(host: host, port: port)))
                } catch {
                    body(.failure(error))
                }
            }
        } catch {
            body(.failure(error))
        }
    }

    /// The worker whose thread this is.
    package var currentWorker: Worker? { workers.first { $0.isCurrent } }

    /// The workers in turn.
    package func nextWorker() -> Worker {
        workers[
            Int(truncatingIfNeeded: turn.wrappingAdd(1, ordering: .relaxed).oldValue % UInt(workers.count))]
    }

    /// The worker with the fewest connections.
    package func leastLoadedWorker() -> Worker {
        workers.min { $0.counters.openConnections.current < $1.counters.openConnections.current }!
    }

    // MARK: Timers

    package func schedule(after delay: Duration, tag: UInt64, sink: CompletionQueue) throws(AIOError)
        -> TimerNode
    {
        guard accounts.timerScheduled() else {
            throw AIOError(.limitReached, detail: "timersMax: \(configuration.timersMax)")
        }
        let timer = TimerNode(
            tag: tag, deadline: kernel.now.advanced(by: delay), worker: workers[0], sink: sink,
            accounts: accounts)
        do {
            try whileRunning { timer.schedule() }
        } catch {
            accounts.timerEnded()
            throw error
        }
        return timer
    }

    // MARK: Posts

    /// Puts a value among the completions. Under the engine's lock, so that what is accepted comes before the
    /// end.
    package func post(_ node: ListNode, to sink: CompletionQueue) throws(AIOError) {
        guard accounts.posted() else {
            throw AIOError(.limitReached, detail: "postsMax: \(configuration.postsMax)")
        }
        do {
            try whileRunning { sink.push(node) }
        } catch {
            accounts.postWasSeen()
            throw error
        }
    }

    // MARK: Signals

    package func watchSignals(
        _ signals: [ProcessSignal], _ handler: @escaping @Sendable (ProcessSignal) -> Void
    ) throws(AIOError) {
        lock.lock()
        defer { lock.unlock() }
        guard phase == .running else { throw AIOError(.shutDown) }
        signalWatch = try host.watchSignals(signals, handler)
    }

    // MARK: Ending

    /// Handlers, and servers' accepting tasks, that have not ended.
    package var handlerCount: Int { workers.reduce(0) { $0 + $1.handlerCount } }

    package var isRunning: Bool { lock.withLock { phase == .running } }

    func whileRunning(_ body: () -> Void) throws(AIOError) {
        lock.lock()
        defer { lock.unlock() }
        guard phase == .running else { throw AIOError(.shutDown) }
        body()
    }

    /// Ends all workers; `ended` is called when the last has, on its thread. May be asked for several times;
    /// a request that is not graceful hurries one that was.
    package func end(gracefully: Bool, ended: @escaping @Sendable () -> Void) {
        lock.lock()
        if phase == .ended {
            lock.unlock()
            return ended()
        }
        onEnded.append(ended)
        endsGracefully = endsGracefully && gracefully
        let before = phase
        if phase == .running { phase = .endingListeners }
        lock.unlock()
        switch before {
        case .running:
            for worker in workers {
                worker.requestListenersEnd(gracefully: gracefully) { [self] in listenersEnded() }
            }
        case .ending: endWorkers(gracefully: gracefully)
        // The last of the listeners sees to it.
        case .endingListeners, .ended: break
        }
    }

    /// Listeners end first, on all workers: they hand connections to workers, which must be there to take
    /// them.
    private func listenersEnded() {
        lock.lock()
        workersListening -= 1
        guard workersListening == 0 else { return lock.unlock() }
        phase = .ending
        let isGraceful = endsGracefully
        lock.unlock()
        endWorkers(gracefully: isGraceful)
    }

    /// A worker keeps the `done` of one request, whichever came first, and calls it once.
    private func endWorkers(gracefully: Bool) {
        for worker in workers { worker.requestEnd(gracefully: gracefully) { [self] in workerEnded() } }
    }

    private func workerEnded() {
        lock.lock()
        workersRunning -= 1
        guard workersRunning == 0 else { return lock.unlock() }
        phase = .ended
        let bodies = onEnded
        onEnded = []
        lock.unlock()
        accounts.sleepers.end()
        for body in bodies { body() }
    }

    /// Waits for the threads of ended workers, which takes no longer than their last few instructions. Not on
    /// a worker.
    package func joinThreads() {
        let (threads, watch, listeners) = lock.withLock {
            defer { unstarted = [] }
            return (self.threads, signalWatch.take(), unstarted)
        }
        for listener in listeners { listener.abandon(kernel: kernel) }
        for thread in threads { thread.join() }
        let (watchdog, watchdogThread) = lock.withLock { (self.watchdog, self.watchdogThread) }
        watchdog?.requestEnd()
        watchdogThread?.join()
        watch?.end()
        host.shutDown()
        descriptorReserve.close()
    }
}
