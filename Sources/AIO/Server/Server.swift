// A server: listening sockets, and the handlers of the connections that they bring. `aio.listen(on:)` makes one,
// `serve` runs it; `aio.serve(on:)` does both.

public import AIOFraming
public import AIOKernel
import AIOWorkers
import Synchronization

/// Listening sockets whose connections a handler will serve. Made by `Proactor.listen(on:options:)`.
///
/// Listening begins at once: the kernel completes connections and keeps them (up to `ServerOptions.backlog`)
/// until `serve` accepts them. A server that is let go of without being served closes its sockets.
public final class Server: Sendable {
    private let engine: Engine
    private let servers: Servers
    let core: ServerCore
    private let listeners: [ListenerCore]
    private let hasBegun = Atomic<Bool>(false)

    init(engine: Engine, servers: Servers, core: ServerCore, listeners: [ListenerCore]) {
        self.engine = engine
        self.servers = servers
        self.core = core
        self.listeners = listeners
    }

    /// Where it listens; if port 0 was asked for, with the port that the kernel chose. The first, if there are
    /// several.
    public var endpoint: Endpoint { listeners[0].endpoint }

    public var endpoints: [Endpoint] { listeners.map(\.endpoint) }

    /// How many frames each rule of `ServerOptions.filter` has decided about, until now; nil without a filter. Frames that
    /// were judged in vain, because the framing changed before it was their turn, are not counted.
    public var filterCounts: FilterCounts? { core.framePolicy?.filterCounts }

    /// Runs `handler` for each connection, each in a task of its own, until the server has drained.
    ///
    /// When the handler returns, its connection is closed gracefully: what was written is sent, and no reset
    /// overtakes it. When it throws, the error ends that connection only (gracefully too, unless it is a
    /// `CancellationError`: then it is cut); it is reported once, with the peer, and counted.
    ///
    /// Suspends until the server has been asked to drain (`drain(within:)`, `Proactor.drain(within:)`,
    /// `Proactor.shutdown()`, a signal) and every handler and connection has ended. Cancelling the task cuts all
    /// connections and cancels all handlers at once; `serve` returns when they have ended.
    /// - Throws: `.misuse` if it is served already; `.shutDown`; what broke a listening socket, after the other
    ///   connections have been drained.
    @discardableResult
    public func serve(
        _ handler: @escaping @Sendable (Connection) async throws -> Void
    ) async throws(AIOError) -> DrainReport {
        try await serve(by: .closure(handler))
    }

    func serve(by handler: ServerCore.Handler) async throws(AIOError) -> DrainReport {
        try begin(handler)
        let core = core
        let engine = engine
        let workers = engine.workers
        for worker in workers { worker.handlerBegan() }
        servers.began(core)
        // A task of its own, so that a server can cancel its handlers by itself, and knows of each cut before they do.
        // It runs on a worker, though that makes it wait for a turn: who serves from a simulation stays in it.
        let accepting = Task(executorPreference: workers[0].executors.task) {
            await withDiscardingTaskGroup { group in
                for worker in workers {
                    let executor = worker.taskExecutor(for: core.options.executor.place)
                    group.addTask(executorPreference: executor) { await core.accept(on: worker) }
                }
            }
        }
        core.run(by: accepting)
        await withTaskCancellationHandler {
            await accepting.value
        } onCancel: {
            core.cut()
        }
        servers.ended(core)
        for worker in workers { worker.handlerEnded() }
        return try core.report()
    }

    private func begin(_ handler: ServerCore.Handler) throws(AIOError) {
        guard !hasBegun.exchange(true, ordering: .acquiringAndReleasing) else {
            throw AIOError(.misuse, call: "serve", detail: "\(endpoint) is being served, or was")
        }
        do {
            try engine.prepareForHandlers(on: core.options.executor.place)
            // Drained before it was served: there is nothing to begin with.
            guard core.begin(with: listeners, handler: handler) else { return closeListeners() }
            for listener in listeners { try engine.start(listener) }
        } catch {
            core.cut()
            closeListeners()
            throw error
        }
    }

    private func closeListeners() { for listener in listeners { engine.close(unstarted: listener) } }

    deinit {
        if !hasBegun.load(ordering: .acquiring) { closeListeners() }
    }

    /// Asks for the end: stops accepting (what the kernel had queued is accepted), lets handlers finish what they
    /// are at, closes idle connections, and after `timeout` cuts what is left. Returns at once; `serve` returns
    /// when it has happened. A second call can only make the deadline earlier.
    public func drain(within timeout: Duration = .seconds(10)) { core.drain(within: timeout) }
}

extension ServerCore {
    /// Takes connections of one worker and starts their handlers, which are its child tasks.
    func accept(on worker: Worker) async {
        let queue = queues[worker.index]
        let handler = handler
        // None of these tasks throws. But a group of tasks that cannot wraps each task's closure in another, with a
        // frame of its own: memory and time that every connection would pay for.
        try? await withThrowingDiscardingTaskGroup { group in
            while let connection = await queue.next() {
                worker.accounts.acceptedWasSeen()
                // The task's closure holds the connection alone, which knows its server: the less it holds, the
                // smaller an idle handler is.
                switch handler {
                case .closure: group.addTask { await Self.runClosure(for: connection) }
                case .actor: group.addTask { await Self.runActor(for: connection) }
                }
            }
        }
    }

    // Two handlers' tasks, and no cancellation handler in either: what cancels them is the end of the server
    // (`cut`), which tells the connection itself. Each frame here is there for as long as its connection.

    private static func runClosure(for connection: ConnectionCore) async {
        guard let server = connection.sink.observer as? ServerCore,
            case .closure(let handler) = server.handler
        else { return }
        connection.beginOwnership()
        do {
            try await handler(Connection(connection))
            server.handlerEnded(of: connection, nil)
        } catch {
            server.handlerEnded(of: connection, error)
        }
    }

    private static func runActor(for connection: ConnectionCore) async {
        guard let server = connection.sink.observer as? ServerCore, case .actor(let make) = server.handler
        else { return }
        connection.beginOwnership()
        do {
            try await make(Connection(connection)).handle()
            server.handlerEnded(of: connection, nil)
        } catch {
            server.handlerEnded(of: connection, error)
        }
    }

    private func handlerEnded(of connection: ConnectionCore, _ error: (any Error)?) {
        connection.endOwnership()
        if error is CancellationError { connection.abort() } else { connection.close() }
        if let error { handlerFailed(error, of: connection) } else { handlerCompleted() }
    }
}
