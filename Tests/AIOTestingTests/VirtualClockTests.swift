// The clock of a world: sleeping, moving it by hand, holding it; and that the library's deadlines go by the same.

import AIO
import AIOTesting
import Testing

@Suite struct VirtualClockTests {
    @Test(.simulated(seeds: 0..<10))
    func `sleeps end in the order of their deadlines, in a world without a proactor`() async throws {
        try await withSimulation { world in
            let log = Log()
            await withThrowingTaskGroup { group in
                for seconds in [3, 1, 2] {
                    group.addTask {
                        try await world.clock.sleep(for: .seconds(seconds))
                        log.add(seconds)
                    }
                }
            }
            #expect(log.entries == [1, 2, 3])
        }
    }

    @Test(.simulated(seeds: 0..<10)) func `a proactor's clock is the world's`() async throws {
        try await withSimulation { world in
            try await world.host("a").withProactor { aio in
                let start = world.clock.now
                try await aio.clock.sleep(for: .seconds(3_600))
                let passed = start.duration(to: world.clock.now)
                #expect(passed >= .seconds(3_600) && passed < .seconds(3_601))
                let apart = world.clock.now.duration(to: aio.clock.now)
                #expect(apart < .milliseconds(1))
            }
        }
    }

    @Test(.simulated(seeds: 0..<10)) func `a cancelled sleep ends at once`() async throws {
        try await withSimulation { world in
            try await world.host("a").withProactor { aio in
                let start = world.clock.now
                await withThrowingTaskGroup(of: Void.self) { group in
                    for clock in [aio.clock, world.clock] {
                        group.addTask { try await clock.sleep(for: .seconds(100)) }
                    }
                    await world.settle()
                    group.cancelAll()
                    while let result = await group.nextResult() {
                        #expect(throws: CancellationError.self) { try result.get() }
                    }
                }
                #expect(start.duration(to: world.clock.now) < .seconds(1))
            }
        }
    }

    @Test(.simulated(seeds: 0..<10))
    func `advance brings about what is due by then, and no more, while time is held`() async throws {
        var options = ServerOptions()
        options.connection = ConnectionLimits()
        options.connection?.idleTimeout = .seconds(30)
        let chosen = options
        try await withSimulation { world in
            try await withMockPeer(
                options: chosen, serving: { connection in while let _ = try? await connection.read() {} }
            ) { peer in
                let hold = world.holdTime()
                try await world.advance(by: .seconds(29))
                #expect(peer.receivedByteCount == 0 && !peer.hasEnded)
                try await world.advance(by: .seconds(1))
                hold.end()
                try await peer.expectEnd(within: .milliseconds(100))
            }
        }
    }

    @Test func `a wait for what only time would bring is a dead-lock while time is held`() async throws {
        let error = await #expect(throws: SimulationError.self) {
            try await withSimulation { world in
                let hold = world.holdTime()
                defer { hold.end() }
                try await world.clock.sleep(for: .seconds(1))
            }
        }
        #expect(error?.description.contains("time is held") == true)
    }

    @Test func `a hold that is released lets time go`() async throws {
        try await withSimulation { world in
            do { _ = world.holdTime() }
            try await world.clock.sleep(for: .seconds(1))
        }
    }
}

/// Sendable, unchecked: of one simulation's thread.
private final class Log: @unchecked Sendable {
    private(set) var entries: [Int] = []
    func add(_ number: Int) { entries.append(number) }
}
