// `forEach`: lanes, order, and its ends.

import AIO
import AIOTesting
import Testing

@Suite struct ForEachTests {
    private struct Done: Error {}

    private static let connectionCount = 12
    private static let byteCount = 12_000
    private static let total = connectionCount * byteCount

    /// What the lanes do, and have to do: each connection's bytes in order, by one lane at a time.
    ///
    /// Sendable, unchecked: of one simulation's thread.
    private final class Floor: @unchecked Sendable {
        private var positions: [Connection: Int] = [:]
        private var busy: Set<Connection> = []
        private(set) var peak = 0
        private(set) var taken = 0

        /// Takes what an event brings, in several turns; how many bytes.
        @discardableResult
        func take(_ event: Event) async -> Int {
            guard case .received(let bytes, let connection) = event else { return 0 }
            #expect(busy.insert(connection).inserted, "two lanes have one connection")
            peak = max(peak, busy.count)
            #expect(Tape.matches(bytes, at: positions[connection, default: 0]))
            for _ in 0..<3 { await Task.yield() }
            positions[connection, default: 0] += bytes.count
            taken += bytes.count
            busy.remove(connection)
            return bytes.count
        }

        /// All of every connection.
        var isComplete: Bool {
            positions.count == connectionCount && positions.values.allSatisfy { $0 == byteCount }
        }
    }

    /// Connections whose clients have sent everything, all of which has been received and not been taken.
    private func loaded(_ world: Simulation, _ aio: Proactor) async throws {
        let listener = try await aio.events.listen(on: "127.0.0.1:0")
        for _ in 0..<Self.connectionCount { _ = try aio.events.connect(to: listener.endpoint) }
        var accepted = 0
        var clients: [Connection] = []
        try await aio.run { event in
            if case .accepted = event { accepted += 1 }
            if case .connected(let connection) = event { clients.append(connection) }
            return accepted == Self.connectionCount && clients.count == Self.connectionCount
        }
        for client in clients { client.send(Tape.bytes(count: Self.byteCount)) }
        await world.settle()
        #expect(aio.statistics.total.bytesReceived == UInt64(Self.total))
    }

    @Test(.simulated(seeds: 0..<12), arguments: [1, 4])
    func `each connection's events are in order and one at a time, with lanes:`(_ lanesMax: Int) async throws
    {
        try await withProgram { world, aio in
            try await loaded(world, aio)
            let floor = Floor()
            await #expect(throws: Done.self) {
                try await aio.events.forEach(lanesMax: lanesMax, spreadAbove: 4) { event in
                    await floor.take(event)
                    if floor.taken == Self.total { throw Done() }
                }
            }
            #expect(floor.isComplete)
            if lanesMax == 1 {
                #expect(floor.peak == 1)
            } else {
                #expect(floor.peak > 1 && floor.peak <= lanesMax)
            }
        }
    }

    @Test(.simulated(seeds: 0..<12)) func `below spreadAbove nothing is spread`() async throws {
        try await withProgram { world, aio in
            try await loaded(world, aio)
            let floor = Floor()
            await #expect(throws: Done.self) {
                try await aio.events.forEach(lanesMax: 4, spreadAbove: 1_000) { event in
                    await floor.take(event)
                    if floor.taken == Self.total { throw Done() }
                }
            }
            #expect(floor.isComplete && floor.peak == 1)
        }
    }

    @Test(.simulated(seeds: 0..<12))
    func `a body that throws stops all lanes, and the next iteration gets everything that was left`()
        async throws
    {
        try await withProgram { world, aio in
            try await loaded(world, aio)
            let floor = Floor()
            for round in 1...5 {
                await #expect(throws: Done.self) {
                    try await aio.events.forEach(lanesMax: 4, spreadAbove: 4) { event in
                        await floor.take(event)
                        if floor.taken >= round * Self.total / 10 { throw Done() }
                    }
                }
            }
            #expect(floor.taken < Self.total)
            for await event in aio.events {
                await floor.take(event)
                if floor.taken == Self.total { break }
            }
            #expect(floor.isComplete)
            #expect(aio.events.drain().isEmpty)
        }
    }

    @Test(.simulated(seeds: 0..<12)) func `cancelling the task ends it at work, and loses nothing`()
        async throws
    {
        try await withProgram { world, aio in
            try await loaded(world, aio)
            let floor = Floor()
            let looping = Task(executorPreference: world.taskExecutor) {
                try await aio.events.forEach(lanesMax: 4, spreadAbove: 4) { event in
                    await floor.take(event)
                    // In the middle of the work each lane waits for the cancellation.
                    if floor.taken > Self.total / 3 {
                        while !Task.isCancelled { try? await world.clock.sleep(for: .milliseconds(1)) }
                    }
                }
            }
            try await world.wait(for: "a third of it") { floor.taken > Self.total / 3 }
            await world.settle()
            looping.cancel()
            try await looping.value
            #expect(floor.taken < Self.total)
            for await event in aio.events {
                await floor.take(event)
                if floor.taken == Self.total { break }
            }
            #expect(floor.isComplete)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `cancelling the task ends it asleep`() async throws {
        try await withProgram { world, aio in
            let looping = Task(executorPreference: world.taskExecutor) {
                try await aio.events.forEach { _ in Issue.record("there is nothing") }
            }
            await world.settle()
            looping.cancel()
            try await looping.value
        }
    }

    @Test(.simulated(seeds: 0..<12))
    func `forEach returns when the stream ends, with each connection's closed told`() async throws {
        try await withProgram { world, aio in
            try await loaded(world, aio)
            async let ended: Void = aio.shutdown()
            let floor = Floor()
            let closed = Closed()
            try await aio.events.forEach(lanesMax: 4, spreadAbove: 4) { event in
                await floor.take(event)
                if case .closed = event { closed.count += 1 }
            }
            try await ended
            #expect(closed.count == 2 * Self.connectionCount)
        }
    }

    /// Sendable, unchecked: of one simulation's thread.
    private final class Closed: @unchecked Sendable { var count = 0 }
}
