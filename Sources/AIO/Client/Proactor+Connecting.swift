// `aio.connect`: a connection to somebody, for the length of a closure or for as long as its owner lives.

public import AIOKernel
import AIOWorkers

extension Proactor {
    /// Connects, runs `body` with the connection, and closes it gracefully afterwards (cuts it, if `body` throws a
    /// `CancellationError`).
    ///
    /// All addresses of a name are tried, IPv6 and IPv4 in turn and overlapping (RFC 8305), until one answers;
    /// Unix sockets likewise. Called on a worker of this proactor (from a handler), the connection belongs to
    /// that worker, and nothing between the two changes threads; from elsewhere, to the worker with the fewest
    /// connections, and `body` runs there unless `ClientOptions.executor` says otherwise or the caller is an
    /// actor.
    ///
    /// Suspends until connected and then for as long as `body` takes. Cancelling the task ends an attempt at once,
    /// and otherwise does what cancelling does to the calls in `body`.
    /// - Parameter timeout: for resolving the name and connecting together; nil takes
    ///   `ConnectionLimits.connectTimeout`.
    /// - Throws: what `body` throws; `CancellationError`; `.hostNotFound`, `.connectionRefused`, `.timedOut`,
    ///   `.unreachable`, `.notFound` (a Unix path) and the like; `.limitReached` (`connectionsMax`); `.shutDown`.
    public func connect<Result>(
        to endpoint: Endpoint, timeout: Duration? = nil, options: ClientOptions = ClientOptions(),
        _ body: (Connection) async throws -> Result
    ) async throws -> Result {
        let core = try await dial(endpoint, timeout: timeout, options: options)
        let worker = core.worker
        worker.handlerBegan()
        defer { worker.handlerEnded() }
        guard options.executor != .global, !worker.isCurrent else { return try await core.run(body) }
        return try await withTaskExecutorPreference(worker.taskExecutor(for: options.executor.place)) {
            try await core.run(body)
        }
    }

    /// The same for an address or name in text, as in `"example.org:25"` or `"unix:/run/x.sock"`.
    public func connect<Result>(
        to endpoint: String, timeout: Duration? = nil, options: ClientOptions = ClientOptions(),
        _ body: (Connection) async throws -> Result
    ) async throws -> Result {
        try await connect(to: Endpoint(parsing: endpoint), timeout: timeout, options: options, body)
    }

    /// Connects, and leaves the connection to whoever holds the result: when that is let go of, the connection is
    /// closed gracefully. For connections that outlive a scope; prefer the form with a closure.
    public func connect(
        to endpoint: Endpoint, timeout: Duration? = nil, options: ClientOptions = ClientOptions()
    ) async throws -> OwnedConnection {
        OwnedConnection(try await dial(endpoint, timeout: timeout, options: options))
    }

    /// The same for an address or name in text.
    public func connect(
        to endpoint: String, timeout: Duration? = nil, options: ClientOptions = ClientOptions()
    ) async throws -> OwnedConnection {
        try await connect(to: Endpoint(parsing: endpoint), timeout: timeout, options: options)
    }

    private func dial(
        _ endpoint: Endpoint, timeout: Duration?, options: ClientOptions
    ) async throws -> ConnectionCore {
        if Task.isCancelled { throw CancellationError() }
        var limits = options.connection ?? engine.configuration.connection
        if let timeout { limits.connectTimeout = timeout }
        try engine.prepareForHandlers(on: options.executor.place)
        let sink = ConnectionSink(
            place: options.executor.place, limits: limits, observer: nil,
            framePolicy: try engine.framePolicy(options.framing, nil))
        let core = try engine.connect(to: endpoint, on: engine.currentWorker, sink: sink)
        do {
            try await core.waitUntilMade()
        } catch {
            core.abort()
            throw error
        }
        return core
    }
}

extension ConnectionCore {
    /// Runs a client's code as the owner of this connection, and closes it.
    fileprivate func run<Result>(_ body: (Connection) async throws -> Result) async throws -> Result {
        beginOwnership()
        defer { endOwnership() }
        do {
            let result = try await withTaskCancellationHandler {
                try await body(Connection(self))
            } onCancel: {
                ownerWasCancelled()
            }
            close()
            return result
        } catch {
            if error is CancellationError { abort() } else { close() }
            throw error
        }
    }
}

/// A connection that belongs to whoever holds this object; closed gracefully when it is let go of.
public final class OwnedConnection: Sendable {
    public let connection: Connection

    init(_ core: ConnectionCore) { connection = Connection(core) }

    deinit { connection.close() }
}
