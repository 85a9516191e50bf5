// A simulation by itself: whose turn it is, what time it is, and what becomes of a test that cannot go on.

import AIO
import AIOKernel
import Testing

@testable import AIOTesting

@Suite struct SimulationRunTests {
    @Test func `a wait for what cannot come is a dead-lock, said at once, with who waits for what`()
        async throws
    {
        let error = await #expect(throws: SimulationError.self) {
            try await Simulation(seed: 1).run { simulation in
                _ = await simulation.waits.wait(for: { "Godot" }) { false }
            }
        }
        let text = try #require(error?.description)
        #expect(text.contains("dead-lock (seed 1)") && text.contains("script waits for Godot"))
    }

    @Test func `child tasks take turns in an order that differs from seed to seed, and never overlap`()
        async throws
    {
        var orders: Set<[Int]> = []
        for seed in 0..<30 as Range<UInt64> {
            let order = try await Simulation(seed: seed).run { _ in
                let log = Log()
                await withTaskGroup { group in
                    for number in 0..<4 {
                        group.addTask {
                            for _ in 0..<3 {
                                log.add(number)
                                await Task.yield()
                            }
                        }
                    }
                }
                return log.entries
            }
            #expect(order.count == 12)
            orders.insert(order)
        }
        #expect(orders.count > 10)
    }

    @Test func `what the body throws is thrown, and what it returns is returned`() async throws {
        struct Its: Error {}
        await #expect(throws: Its.self) { try await Simulation(seed: 1).run { _ in throw Its() } }
        let answer = try await Simulation(seed: 1).run { _ in 42 }
        #expect(answer == 42)
    }

    @Test @MainActor func `a test that is isolated to the main actor is told so`() async throws {
        let error = await #expect(throws: SimulationError.self) {
            try await Simulation.$current.withValue(Simulation(seed: 1)) {
                try await withMockPeer(serving: { _ in }) { _ in }
            }
        }
        #expect(error?.description.contains("isolated to the main actor") == true)
    }
}

/// Sendable, unchecked: of one simulation's thread.
private final class Log: @unchecked Sendable {
    private(set) var entries: [Int] = []
    func add(_ number: Int) { entries.append(number) }
}

extension SimulationRunTests {
    @Test func `a task that leaves the simulation is noticed, and named`() async throws {
        let error = await #expect(throws: SimulationError.self) {
            try await Simulation(seed: 1).run { _ in await Task.detached {}.value }
        }
        #expect(error?.description.contains("left the simulation") == true)
    }

    @Test func `what resumes a task from outside is noticed, and named`() async throws {
        let error = await #expect(throws: SimulationError.self) {
            try await Simulation(seed: 1).run { _ in try await Task.sleep(for: .milliseconds(1)) }
        }
        #expect(error?.description.contains("resumed from outside") == true)
    }

    @Test func `a task that prefers the simulation's executor has not left it`() async throws {
        let answer = try await Simulation(seed: 1).run { simulation in
            await Task(executorPreference: simulation.taskExecutor) { 42 }.value
        }
        #expect(answer == 42)
    }

    @Test(arguments: HandlerExecutor.all) func `handlers stay in it, wherever they would run`(
        _ executor: HandlerExecutor
    ) async throws {
        var options = ServerOptions()
        options.executor = executor
        let chosen = options
        for seed in 0..<20 as Range<UInt64> {
            try await Simulation(seed: seed).run { _ in
                try await withMockPeer(Greeter.init, options: chosen) { peer in
                    try await peer.expect("hello ")
                    try await peer.send("you")
                    try await peer.expect("you")
                    peer.halfClose()
                    try await peer.expect("bye")
                    try await peer.expectEnd()
                }
            }
        }
    }
}

private actor Greeter: ConnectionHandler {
    let connection: Connection
    init(_ connection: Connection) { self.connection = connection }
    func connected() async throws { try await connection.write("hello ") }
    func dataReceived(_ bytes: Bytes) async throws { try await connection.write(bytes) }
    func peerFinished() async throws { try await connection.write("bye") }
}

extension HandlerExecutor {
    fileprivate static let all: [HandlerExecutor] = [.worker, .partner, .global]
}
