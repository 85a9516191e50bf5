// Two connections that are joined, for who wants to test code that takes a connection and needs nothing else.

public import AIO
import AIOKernel
public import AIOWorkers

/// What joins the ends of a connected pair.
public enum PairNetwork: Sendable, Hashable, CaseIterable {
    /// TCP, between two hosts.
    case tcp
    /// A Unix socket with a path, on one host.
    case unix
}

/// Runs `body` with both ends of one connection, each with a proactor of its own.
///
/// ```swift
/// try await withConnectedPair { client, server in
///     try await client.write("hello")
///     #expect(try await server.read() == "hello")
/// }
/// ```
///
/// Both ends are closed when `body` returns. Under `.simulated` they are part of that test's simulation; elsewhere of one of
/// their own.
/// - Throws: what `body` throws; `SimulationError` for a dead-lock.
public func withConnectedPair(
    over network: PairNetwork = .tcp, limits: ConnectionLimits = ConnectionLimits(),
    _ body: (Connection, Connection) async throws -> Void
) async throws {
    try await withSimulation { simulation in
        let far = simulation.makeHost(named: "server")
        let near = network == .unix ? far : simulation.makeHost(named: "client")
        let address: Endpoint = network == .unix ? .unix("/pair") : .ip(far.address, port: 4_000)
        var options = ServerOptions()
        options.connection = limits
        let chosen = options
        try await far.withProactor { server in
            let listening = try await server.listen(on: address, options: chosen)
            let handover = Handover(simulation)
            let serving = Task(executorPreference: simulation.executor) {
                try await listening.serve { await handover.hold($0) }
            }
            let result: Result<Void, any Error>
            do {
                try await near.withProactor { client in
                    var options = ClientOptions()
                    options.connection = limits
                    let connection = try await client.connect(to: listening.endpoint, options: options)
                    try await body(connection.connection, handover.connection())
                }
                result = .success(())
            } catch {
                result = .failure(error)
            }
            handover.isDone = true
            listening.drain()
            _ = try? await serving.value
            try result.get()
        }
        if let problem = (near.reports + far.reports).first { throw SimulationError("\(problem)") }
    }
}

/// Passes the accepted end from its handler to the test, and holds the handler until the test is done. Sendable, unchecked:
/// of one simulation's thread.
private final class Handover: @unchecked Sendable {
    private let simulation: Simulation
    private var accepted: Connection?
    var isDone = false

    init(_ simulation: Simulation) { self.simulation = simulation }

    func hold(_ connection: Connection) async {
        accepted = connection
        _ = await simulation.waits.wait(for: { "the end of the test" }) { [self] in isDone }
    }

    func connection() async throws -> Connection {
        _ = await simulation.waits.wait(for: { "the other end" }) { [self] in accepted != nil }
        guard let accepted else { throw SimulationError("the connection was not accepted") }
        return accepted
    }
}
