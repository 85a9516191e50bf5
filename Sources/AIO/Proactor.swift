// The proactor: workers, their threads, and the event stream, started and ended as one. Where a program
// begins.

public import AIOKernel
public import AIOWorkers

/// A set of I/O workers and the stream of what they complete.
///
/// ```swift
/// let aio = try Proactor()
/// try await aio.events.listen(on: "127.0.0.1:7007")
/// for await event in aio.events { … }
/// ```
///
/// End it with `shutdown()`, or use `withProactor`, which does. A proactor that is simply let go of cuts its
/// connections and ends its threads in the background.
public final class Proactor: Sendable {
    public typealias Configuration = EngineConfiguration

    package let engine: Engine
    /// What has been completed, and the calls that ask for more.
    public let events: Events
    let servers = Servers()

    /// Starts the workers.
    /// - Throws: `.invalidArgument` for a configuration that makes no sense; `.descriptorLimit`,
    ///   `.outOfMemory` or `.limitReached` if the machine has no room for the workers' descriptors or
    ///   threads. Nothing is left behind.
    public convenience init(_ configuration: Configuration = Configuration()) throws(AIOError) {
        let kernel = LinuxKernel()
        try self.init(configuration, kernel: kernel, host: Self.makeHost(for: configuration, kernel: kernel))
    }

    package init(_ configuration: Configuration, kernel: any Kernel, host: any Host) throws(AIOError) {
        engine = try Engine(configuration: configuration, kernel: kernel, host: host)
        events = Events(source: EventSource(accounts: engine.accounts), engine: engine)
        engine.accounts.owner = self
    }

    deinit {
        guard engine.isRunning else { return }
        let engine = engine
        // Of a server that still runs: `serve` returns when its handlers have ended.
        servers.cut()
        engine.end(gracefully: false) { engine.afterwards { engine.joinThreads() } }
    }

    /// Ends everything: drains the servers (see `drain(within:)`) and closes all connections gracefully, both within
    /// `Configuration.shutdownTimeout`, cuts what has not ended then, cancels the handlers that are left, and ends
    /// the threads.
    ///
    /// Returns when no handler, thread, descriptor or timer of the proactor is left, but for threads that are inside
    /// of offloaded work or of looking up a name: they go on until that is done. `events` hands out what is left and
    /// then ends; nobody needs to iterate it for the shutdown to finish. Cancelling the task skips the
    /// graceful part. May be called more than once and from several tasks; all of them wait for the same end.
    /// - Throws: `.handlersStillRunning` if handlers have not ended one second after everything was cut. Their
    ///   threads stay until they do.
    public func shutdown() async throws(AIOError) {
        let engine = engine
        let servers = servers
        let ending = ShutdownWait(engine: engine)
        await withTaskCancellationHandler {
            servers.drain(within: engine.configuration.shutdownTimeout)
            if Task.isCancelled { servers.cut() }
            await ending.servers(servers)
            let endsGracefully = !Task.isCancelled && ending.isInTime
            engine.end(gracefully: endsGracefully) { ending.engineEnded() }
            await ending.engine(endsGracefully: endsGracefully)
        } onCancel: {
            servers.cut()
            engine.end(gracefully: false) {}
            ending.cut()
        }
        guard ending.hasEnded else {
            // Whenever they end, what is left of the proactor does, whether or not somebody asks again.
            let source = events.source
            engine.end(gracefully: false) {
                engine.afterwards {
                    engine.joinThreads()
                    source.finish()
                }
            }
            throw AIOError(
                .handlersStillRunning, call: "shutdown", detail: "\(engine.handlerCount) have not ended")
        }
        engine.joinThreads()
        events.source.finish()
    }
}

extension Engine {
    /// Runs `body` on no thread of the engine's: what its last thread cannot do itself.
    fileprivate func afterwards(_ body: @escaping @Sendable () -> Void) {
        Task.detached(executorPreference: host.globalTaskExecutor) { body() }
    }
}

/// Runs `body` with a proactor and shuts it down afterwards, however `body` ends.
///
/// - Throws: what starting the proactor or `body` throws; what `shutdown` does.
public func withProactor<Result>(
    _ configuration: Proactor.Configuration = Proactor.Configuration(),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (Proactor) async throws -> Result
) async throws -> Result {
    let aio = try Proactor(configuration)
    do {
        let result = try await body(aio)
        try await aio.shutdown()
        return result
    } catch {
        // What `body` threw is the news; a second `shutdown` finds nothing to do.
        try? await aio.shutdown()
        throw error
    }
}
