// `withMockServer`: a server under test on a simulated machine, and as many scripted peers as a test wants.

public import AIO
public import AIOKernel
import AIOWorkers

/// A server under test, from its peers' side.
///
/// Sendable, unchecked: all of it runs on the simulation's thread.
public final class MockServer: @unchecked Sendable {
    let simulation: Simulation
    private let server: Server
    private let splits: EverySplit
    private var peers: [MockPeer] = []

    init(simulation: Simulation, server: Server, splits: EverySplit) {
        self.simulation = simulation
        self.server = server
        self.splits = splits
    }

    /// Where it listens.
    public var endpoint: Endpoint { server.endpoint }

    /// One more peer, on a machine and with an address of its own. Suspends until its kernel says that it is connected, or
    /// that it was refused; which the peer finds out by what it expects.
    /// - Parameter arrival: in which pieces what it sends arrives.
    public func connect(arrival: Arrival = .asSent) async throws -> MockPeer {
        let index = peers.count
        let host = simulation.makeHost(named: "peer \(index + 1)")
        let peer = try await host.connect(
            to: endpoint, arrival: splits.arrival(ofPeer: index, asking: arrival))
        if arrival == .everySplit { splits.note(peer, index: index) }
        peers.append(peer)
        return peer
    }

    /// Asks the server to drain, as a signal would. See `Server.drain`.
    public func drain(within timeout: Duration = .seconds(10)) { server.drain(within: timeout) }

    /// Waits until everybody has done what can be done without time passing.
    public func settle() async { await simulation.settle() }

    func closePeers() { for peer in peers { peer.close() } }
    /// A peer has reset its connection, or closed it with something unread.
    var someoneBrokeOff: Bool { peers.contains { $0.socket.brokeOff } }
}

/// Serves `handler`, an actor for each connection, and runs `body` with the server's outside: `connect` makes peers.
///
/// When `body` returns, the peers close and the server is drained; it is checked that nothing is left of it. If a peer was
/// connected with the arrival `.everySplit`, all of this is done again for each place at which what that peer sends can be
/// split. A handler that throws fails the test, unless it was told of the reset of a peer that had reset its connection.
/// - Returns: the server's report, the last if there were several.
/// - Throws: what `body` throws; what a handler threw, if `body` did not; `SimulationError` for a dead-lock.
@discardableResult
public func withMockServer<Handler: ConnectionHandler>(
    _ handler: @escaping @Sendable (Connection) throws -> Handler, options: ServerOptions = ServerOptions(),
    _ body: (MockServer) async throws -> Void
) async throws -> DrainReport {
    try await withMockServer(options, { try await $0.serve(handler: handler) }, body)
}

/// The same for a handler that is a closure.
@discardableResult
public func withMockServer(
    options: ServerOptions = ServerOptions(),
    serving handler: @escaping @Sendable (Connection) async throws -> Void,
    _ body: (MockServer) async throws -> Void
) async throws -> DrainReport {
    try await withMockServer(options, { try await $0.serve(handler) }, body)
}

/// `ignoring`: what the engine reports and is no failure here.
@discardableResult
func withMockServer(
    _ options: ServerOptions, _ serve: @escaping @Sendable (Server) async throws -> DrainReport,
    ignoring isExpected: (Report) -> Bool = { _ in false },
    _ body: (MockServer) async throws -> Void
) async throws -> DrainReport {
    try await withSimulation { simulation in
        let splits = EverySplit()
        while true {
            let report = try await serveOnce(options, serve, splits, isExpected, body, in: simulation)
            guard try splits.next() else { return report }
        }
    }
}

private func serveOnce(
    _ options: ServerOptions, _ serve: @escaping @Sendable (Server) async throws -> DrainReport,
    _ splits: EverySplit, _ isExpected: (Report) -> Bool, _ body: (MockServer) async throws -> Void,
    in simulation: Simulation
) async throws -> DrainReport {
    let host = simulation.makeHost(named: "server")
    var peersBrokeOff = false
    let report = try await host.withProactor { aio in
        let server = try await aio.listen(on: .ip(host.address, port: 4_000), options: options)
        let serving = Task(executorPreference: simulation.executor) { try await serve(server) }
        let mock = MockServer(simulation: simulation, server: server, splits: splits)
        do {
            try await body(mock)
            mock.closePeers()
            peersBrokeOff = mock.someoneBrokeOff
        } catch {
            server.drain(within: .zero)
            _ = try? await serving.value
            throw error
        }
        server.drain()
        return try await serving.value
    }
    // A handler that was told so by a read or a write, and passed it on, has done nothing wrong.
    let problem = host.reports.first {
        !(peersBrokeOff && $0.error?.code == .connectionReset) && !isExpected($0)
    }
    if let problem { throw SimulationError("\(problem)") }
    return report
}
