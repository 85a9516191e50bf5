// A proactor's servers as a `Service` of swift-service-lifecycle: for programs that run several services in a
// `ServiceGroup` and let it handle signals and the graceful end.

public import AIO
public import ServiceLifecycle

/// A server in a `ServiceGroup`.
///
/// ```swift
/// let service = ProactorService(on: "127.0.0.1:7001") { connection in
///     for try await chunk in connection.chunks { try await connection.write(chunk) }
/// }
/// let group = ServiceGroup(
///     services: [service], gracefulShutdownSignals: [.sigterm], cancellationSignals: [.sigint], logger: logger)
/// try await group.run()
/// ```
///
/// It makes a proactor, serves, and shuts the proactor down. When the group shuts down gracefully the server drains
/// within `drainTimeout`; when the group is cancelled, everything is cut at once.
public struct ProactorService: Service {
    public var configuration = Proactor.Configuration()
    /// How long connections may take to end after a graceful shutdown was asked for.
    public var drainTimeout: Duration = .seconds(10)

    private let serve: @Sendable (Proactor) async throws -> Void

    /// A service that serves connections to `endpoints` with a closure; see `Proactor.serve`.
    public init(
        on endpoints: Endpoint..., options: ServerOptions = ServerOptions(),
        _ handler: @escaping @Sendable (Connection) async throws -> Void
    ) {
        serve = { aio in try await aio.listen(on: endpoints, options: options).serve(handler) }
    }

    /// A service that serves connections to addresses in text with a closure.
    /// - Throws: `.malformedEndpoint`.
    public init(
        on endpoints: String..., options: ServerOptions = ServerOptions(),
        _ handler: @escaping @Sendable (Connection) async throws -> Void
    ) throws(AIOError) {
        var parsed: [Endpoint] = []
        for endpoint in endpoints { parsed.append(try Endpoint(parsing: endpoint)) }
        let addresses = parsed
        serve = { aio in try await aio.listen(on: addresses, options: options).serve(handler) }
    }

    /// A service that does with its proactor what `body` says: serves with actors, several servers at once, clients
    /// beside them. `body` returns when its servers have drained.
    public init(_ body: @escaping @Sendable (Proactor) async throws -> Void) { serve = body }

    public func run() async throws {
        try await withProactor(configuration) { aio in
            try await withGracefulShutdownHandler {
                try await serve(aio)
            } onGracefulShutdown: { [drainTimeout] in
                aio.drain(within: drainTimeout)
            }
        }
    }
}
