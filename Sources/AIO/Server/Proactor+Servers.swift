// `aio.listen(on:)` and `aio.serve(on:)`.

import AIOFraming
public import AIOKernel
import AIOWorkers

extension Proactor {
    /// Listens on addresses, for a server that is then run with `Server.serve`.
    ///
    /// TCP gets one listening socket a worker, so that each worker accepts for itself (unless
    /// `ServerOptions.sharesListener`); a Unix socket is one socket whose connections go round the workers. A name
    /// is resolved off the workers, and its first address is used. If one address fails, none is listened on.
    /// - Throws: `.addressInUse`, `.addressNotAvailable`, `.permissionDenied`, `.notFound` (a directory of a Unix
    ///   path), `.hostNotFound`, `.malformedEndpoint`, `.invalidArgument` (an option), `.descriptorLimit`,
    ///   `.shutDown`.
    public func listen(
        on endpoints: Endpoint..., options: ServerOptions = ServerOptions()
    ) async throws(AIOError) -> Server {
        try await listen(on: endpoints, options: options)
    }

    /// Listens on addresses in text, as in `"127.0.0.1:7007"`, `"[::1]:7007"`, `"*:7007"` or
    /// `"unix:/run/x.sock"`.
    public func listen(
        on endpoints: String..., options: ServerOptions = ServerOptions()
    ) async throws(AIOError) -> Server {
        try await listen(on: parse(endpoints), options: options)
    }

    public func listen(
        on endpoints: [Endpoint], options: ServerOptions = ServerOptions()
    ) async throws(AIOError) -> Server {
        try options.validate()
        guard !endpoints.isEmpty else { throw AIOError(.invalidArgument, detail: "no address to listen on") }
        let core = try ServerCore(engine: engine, options: options)
        let sink = ConnectionSink(
            place: options.executor.place, limits: options.connection ?? engine.configuration.connection,
            observer: core, framePolicy: core.framePolicy)
        var listeners: [ListenerCore] = []
        do throws(AIOError) {
            for endpoint in endpoints {
                let address = try await engine.firstAddress(of: endpoint)
                listeners.append(
                    try engine.listen(
                        on: address, backlog: options.backlog, deferAccept: options.deferAccept,
                        isShared: options.sharesListener, sink: sink, accepts: false))
            }
        } catch {
            for listener in listeners { listener.close() }
            throw error
        }
        return Server(engine: engine, servers: servers, core: core, listeners: listeners)
    }

    /// Serves connections to these addresses: listens, then runs `handler` for each connection until drained. See
    /// `Server.serve` for what ends it, and what cancelling does.
    @discardableResult
    public func serve(
        on endpoints: Endpoint..., options: ServerOptions = ServerOptions(),
        _ handler: @escaping @Sendable (Connection) async throws -> Void
    ) async throws(AIOError) -> DrainReport {
        try await listen(on: endpoints, options: options).serve(handler)
    }

    /// The same for addresses in text.
    @discardableResult
    public func serve(
        on endpoints: String..., options: ServerOptions = ServerOptions(),
        _ handler: @escaping @Sendable (Connection) async throws -> Void
    ) async throws(AIOError) -> DrainReport {
        try await listen(on: parse(endpoints), options: options).serve(handler)
    }

    func parse(_ endpoints: [String]) throws(AIOError) -> [Endpoint] {
        var parsed: [Endpoint] = []
        for endpoint in endpoints { parsed.append(try Endpoint(parsing: endpoint)) }
        return parsed
    }
}

extension Engine {
    /// nil if there is nothing to it.
    func framePolicy(
        _ framing: Framing, _ filter: FrameFilter?, _ surfacing: Surfacing = .onAccept
    ) throws(AIOError) -> FramePolicy? {
        try surfacing.validate(with: framing)
        guard !framing.isRaw else {
            guard filter == nil else {
                throw AIOError(.invalidArgument, detail: "a filter judges frames, and framing is .raw")
            }
            return nil
        }
        return try FramePolicy(
            framing: framing, filter: filter, surfacing: surfacing,
            frameByteCountMax: configuration.inboundByteCountMax / 2, workerCount: workers.count)
    }

    /// The address that an endpoint means for listening; a name is looked up off the workers.
    func firstAddress(of endpoint: Endpoint) async throws(AIOError) -> Endpoint {
        let result = await withCheckedContinuation { continuation in
            resolve(endpoint) { continuation.resume(returning: $0) }
        }
        guard let address = try result.get().first else {
            throw AIOError(.hostNotFound, detail: endpoint.description)
        }
        return address
    }
}
