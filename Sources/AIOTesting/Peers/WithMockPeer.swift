// `withMockPeer`: a handler under test, served by the production engine on a simulated machine, and one scripted peer.

public import AIO
import AIOBytes
import AIOKernel
import AIOWorkers

/// Serves `handler`, an actor for each connection, connects a peer to it, and runs `body` with that.
///
/// ```swift
/// @Test(.simulated(seeds: 0..<200)) func shouts() async throws {
///     try await withMockPeer(Shout.init) { peer in
///         try await peer.send("he"); try await peer.send("llo\\r\\n")
///         try await peer.expect("HELLO\\r\\n")
///         peer.halfClose(); try await peer.expectEnd()
///     }
/// }
/// ```
///
/// Under `.simulated` it is part of that test's simulation; elsewhere it makes one of its own, of seed `AIO_SEED` or 0.
/// When `body` returns, the peer closes, the server is shut down, and it is checked that nothing is left of it.
///
/// - Parameter arrival: in which pieces what the peer sends arrives.
/// - Throws: what `body` throws; what the handler threw, if `body` did not; `SimulationError` for a dead-lock.
public func withMockPeer<Handler: ConnectionHandler>(
    _ handler: @escaping @Sendable (Connection) throws -> Handler, options: ServerOptions = ServerOptions(),
    arrival: Arrival = .asSent, _ body: (MockPeer) async throws -> Void
) async throws {
    try await withMockPeer(options, arrival, { try await $0.serve(handler: handler) }, body)
}

/// The same for a handler that is a closure.
public func withMockPeer(
    options: ServerOptions = ServerOptions(), arrival: Arrival = .asSent,
    serving handler: @escaping @Sendable (Connection) async throws -> Void,
    _ body: (MockPeer) async throws -> Void
) async throws {
    try await withMockPeer(options, arrival, { try await $0.serve(handler) }, body)
}

private func withMockPeer(
    _ options: ServerOptions, _ arrival: Arrival,
    _ serve: @escaping @Sendable (Server) async throws -> DrainReport,
    _ body: (MockPeer) async throws -> Void
) async throws {
    _ = try await withMockServer(options, serve) { server in
        let peer = try await server.connect(arrival: arrival)
        try await body(peer)
    }
}
