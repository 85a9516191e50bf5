// What simulated tests run in: a proactor on the host "program", a server with one handled connection, a client with a
// scripted server at its other side.

import AIO
import AIOKernel
import AIOTesting
import Testing

@testable import AIOWorkers

/// Runs `body` with a proactor on the host "program" of the test's world, which in that world must not take longer than
/// `limit`. See `Patience`.
func withProgram<Result>(
    within limit: Duration = .seconds(4), configure: (inout Proactor.Configuration) -> Void = { _ in },
    sourceLocation: SourceLocation = #_sourceLocation, _ body: (Simulation, Proactor) async throws -> Result
) async throws -> Result {
    try await withSimulation { world in
        try await world.host("program").withProactor(configure: configure) { aio in
            let patience = Patience(world, aio, within: limit, sourceLocation)
            defer { patience.end() }
            let result = try await body(world, aio)
            patience.check()
            return result
        }
    }
}

/// Sees to it that a test ends, and in its time: what the engine has forgotten must not hide behind the deadline that wakes
/// everybody in the end.
///
/// When a week has passed, the test waits for something that does not come: the proactor is shut down then, which ends
/// whatever can be waited for of it.
struct Patience {
    private let world: Simulation
    private let start: AIOClock.Instant
    private let limit: Duration
    private let sourceLocation: SourceLocation
    private let watch: Task<Void, Never>

    init(_ world: Simulation, _ aio: Proactor, within limit: Duration, _ sourceLocation: SourceLocation) {
        self.world = world
        self.limit = limit
        self.sourceLocation = sourceLocation
        start = world.clock.now
        watch = Task(executorPreference: world.taskExecutor) {
            guard (try? await world.clock.sleep(for: .seconds(7 * 86_400))) != nil else { return }
            Issue.record("what the test waits for has not come within a week", sourceLocation: sourceLocation)
            try? await aio.shutdown()
        }
    }

    /// The test has done its work.
    func check() {
        let passed = start.duration(to: world.clock.now)
        #expect(passed < limit, "it took too long", sourceLocation: sourceLocation)
    }

    func end() { watch.cancel() }
}

extension HandlerExecutor {
    static let everywhere: [HandlerExecutor] = [.worker, .partner, .global]
}

extension ConnectionLimits {
    static func with(_ change: (inout ConnectionLimits) -> Void) -> Self {
        var limits = Self()
        change(&limits)
        return limits
    }
}

extension ServerOptions {
    static func on(
        _ executor: HandlerExecutor = .worker, _ change: (inout ConnectionLimits) -> Void = { _ in }
    ) -> Self {
        var options = Self()
        options.connection = .with(change)
        options.executor = executor
        return options
    }
}

/// What a connection goes over. Unix sockets are registered for writing otherwise than TCP's, and stay on their host.
enum Road: String, CaseIterable, Sendable {
    case tcp, unix

    /// Those on which a connection can be reset: a Unix socket that is cut just ends, unix(7).
    static let withResets: [Road] = [.tcp]

    /// Where the host "program" listens.
    var endpoint: Endpoint { self == .tcp ? .any(port: 80) : .unix("/run/program") }

    /// A scripted peer of what listens there.
    func connect(in world: Simulation, arrival: Arrival = .asSent) async throws -> MockPeer {
        let target = self == .tcp ? Endpoint.ip(world.host("program").address, port: 80) : endpoint
        return try await farHost(of: world).connect(to: target, arrival: arrival)
    }

    /// Where the other side is.
    func farHost(of world: Simulation) -> NetworkHost { world.host(self == .tcp ? "far" : "program") }

    /// Where a scripted server of that host listens, and how clients call it.
    var farEndpoint: Endpoint { self == .tcp ? .any(port: 81) : .unix("/run/far") }
}

/// One handled connection, and the scripted peer at its other side.
struct Stage {
    let world: Simulation
    let aio: Proactor
    let server: Server
    let connection: Connection
    let peer: MockPeer

    func settle() async { await world.settle() }

    /// What the workers have counted so far.
    var total: WorkerStatistics { aio.statistics.total }
}

/// Runs one connection: `handler` at our side, `script` at the other. Returns what the handler returns, or throws what it
/// throws, once the script is done too; the server is then drained.
func serving<Value: Sendable>(
    over road: Road = .tcp, _ options: ServerOptions = .on(), arrival: Arrival = .asSent,
    within limit: Duration = .seconds(4), configure: (inout Proactor.Configuration) -> Void = { _ in },
    sourceLocation: SourceLocation = #_sourceLocation,
    _ handler: @escaping @Sendable (Connection) async throws -> Value,
    peer script: (Stage) async throws -> Void
) async throws -> Value {
    try await withProgram(within: limit, configure: configure, sourceLocation: sourceLocation) { world, aio in
        let server = try await aio.listen(on: road.endpoint, options: options)
        let accepted = Promise<Connection>()
        let result = Promise<Outcome<Value>>()
        async let report = server.serve { connection in
            accepted.put(connection)
            result.put(await outcome { try await handler(connection) })
        }
        let peer = try await road.connect(in: world, arrival: arrival)
        let connection = try await accepted.value()
        try await script(
            Stage(world: world, aio: aio, server: server, connection: connection, peer: peer))
        let became = try await result.value()
        peer.close()
        server.drain()
        #expect(try await report.accepted == 1)
        return try became.get()
    }
}

extension Connection {
    /// Whether a task is suspended in a read.
    var readIsWaiting: Bool { core.lock.withLock { core.shared.reader.isSuspended } }

    /// Tasks that wait for room, for a flush, or for the end.
    var waiterCount: Int { core.lock.withLock { core.shared.waiters.count } }

    /// Writes blocks of the pattern until the kernel takes no more and so much is queued that the next write would wait.
    /// How many bytes that were.
    func writeUntilAboveMark(blockByteCount: Int = 16_384, in world: Simulation) async throws -> Int {
        var written = 0
        while true {
            await world.settle()
            if pendingByteCount > core.limits.highWaterMark { return written }
            try await write(Tape.bytes(at: written, count: blockByteCount))
            written += blockByteCount
        }
    }
}

/// What is in a kernel's two buffers, and in between, when nobody reads it.
let kernelByteCount = 16_384 + 65_536
