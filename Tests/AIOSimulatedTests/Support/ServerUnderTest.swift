// What tests of servers share: a server on a host of the test's world that is served beside the test, and its peers.

import AIOKernel
import AIOWorkers
import Testing

@testable import AIO
@testable import AIOTesting

extension HandlerExecutor {
    static let all: [HandlerExecutor] = [.worker, .partner, .global]
}

/// A server on the host "server", which is being served.
struct ServerUnderTest {
    let aio: Proactor
    let server: Server
    /// `serve`.
    let serving: SideTask<DrainReport>
    private let world: Simulation

    init(
        _ aio: Proactor, _ server: Server,
        _ serve: @escaping @Sendable (Server) async throws -> DrainReport
    ) {
        world = .world
        self.aio = aio
        self.server = server
        serving = world.beside("serve to return") { try await serve(server) }
    }

    /// What `serve` returns.
    var report: DrainReport { get async throws { try await serving.value } }

    func drained(within timeout: Duration = .seconds(30)) async throws -> DrainReport {
        server.drain(within: timeout)
        return try await report
    }

    /// One more peer, on a host that is not the server's.
    func connect(from host: String = "client", arrival: Arrival = .asSent) async throws -> MockPeer {
        try await world.host(host).connect(to: server.endpoint.reachable, arrival: arrival)
    }

    func connect(_ count: Int, arrival: Arrival = .asSent) async throws -> [MockPeer] {
        var peers: [MockPeer] = []
        for _ in 0..<count { peers.append(try await connect(arrival: arrival)) }
        return peers
    }
}

extension Proactor {
    /// Such calls that are still to be made.
    var unhinderedCallsAheadCount: Int { engine.unhinderedCallsAheadCount }

    /// Serves connections to this host with a closure.
    func serving(
        _ options: ServerOptions = ServerOptions(), on endpoint: String = "*:80",
        _ handler: @escaping @Sendable (Connection) async throws -> Void
    ) async throws -> ServerUnderTest {
        let server = try await listen(on: endpoint, options: options)
        return ServerUnderTest(self, server) { try await $0.serve(handler) }
    }

    /// The same with an actor for each connection.
    func serving<Handler: ConnectionHandler>(
        _ options: ServerOptions = ServerOptions(), on endpoint: String = "*:80",
        actor handler: @escaping @Sendable (Connection) throws -> Handler
    ) async throws -> ServerUnderTest {
        let server = try await listen(on: endpoint, options: options)
        return ServerUnderTest(self, server) { try await $0.serve(handler: handler) }
    }
}

/// Runs `body` with a proactor on the host "server" of the test's world.
func withServerHost(
    workers: Int = 2, configure: (inout Proactor.Configuration) -> Void = { _ in },
    _ body: (Simulation, Proactor) async throws -> Void
) async throws {
    try await withSimulation { world in
        try await world.host("server").withProactor(configure: {
            $0.workerCount = workers
            configure(&$0)
        }) { try await body(world, $0) }
    }
}

extension Simulation {
    /// What engines on the host "server" have reported.
    var reports: [Report] { host("server").reports }
}

extension NetworkHost {
    /// A proactor that nobody shuts down.
    func proactor() throws -> Proactor {
        var configuration = Proactor.Configuration()
        configuration.workerCount = 2
        configuration.jobsPerPassMax = 1
        configuration.watchdogThreshold = nil
        return try Proactor(configuration, kernel: kernel, host: host)
    }

    var openDescriptorCount: Int { kernel.openDescriptors.count }
}

extension Endpoint {
    /// As the other hosts reach what listens here.
    var reachable: Endpoint {
        if case .any(let port) = storage { .host("server", port: port) } else { self }
    }
}

extension ServerOptions {
    static func testing(
        _ executor: HandlerExecutor = .worker, _ change: (inout Self) -> Void = { _ in }
    ) -> Self {
        var options = Self()
        options.executor = executor
        change(&options)
        return options
    }
}

extension ConnectionLimits {
    static func testing(_ change: (inout Self) -> Void) -> Self {
        var limits = Self()
        change(&limits)
        return limits
    }
}

extension Connection {
    /// Sends back what comes, until the end.
    func echo() async throws { for try await chunk in chunks { try await write(chunk) } }

    /// The same, but each piece only once `gate` is open.
    func echo(behind gate: Gate) async throws {
        for try await chunk in chunks {
            await gate.wait()
            try await write(chunk)
        }
    }

    /// Whether the caller runs on the simulated thread on which this connection's handlers should run.
    func isAtHome(_ executor: HandlerExecutor) -> Bool {
        switch executor {
        case .worker: core.worker.isCurrent
        case .partner: core.worker.partner?.executors.jobs.isCurrent == true
        // The tasks of a simulation run on none of the engine's threads.
        case .global: proactor?.engine.host.currentThreadIdentity == 0
        }
    }
}

extension DrainReport {
    static func of(
        accepted: Int = 0, refused: Int = 0, completed: Int = 0, failed: Int = 0, openAtDrain: Int = 0,
        cut: Int = 0
    ) -> Self {
        var report = Self()
        (report.accepted, report.refused, report.completed) = (accepted, refused, completed)
        (report.failed, report.openAtDrain, report.cut) = (failed, openAtDrain, cut)
        return report
    }
}

extension MockPeer {
    /// Sends `text`, and expects it back.
    func exchange(_ text: String) async throws {
        try await send(Bytes(text))
        try await expect(Bytes(text))
    }

    /// The next bytes, or as many as come before the connection ends, in whichever way.
    func receive(_ byteCount: Int) async throws -> Bytes {
        let socket = socket
        try await simulation.wait(for: "\(byteCount) bytes") {
            socket.received.count >= byteCount || socket.isOver
        }
        return Bytes(socket.take(byteCount))
    }
}

/// The code of the error that `body` throws.
func errorCode(of body: () async throws -> Void) async -> AIOError.Code? {
    do {
        try await body()
        return nil
    } catch { return (error as? AIOError)?.code }
}
