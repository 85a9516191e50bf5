// Handlers that are cancelled with their server, wherever they wait; and attempts to connect that are.

import AIO
import AIOKernel
import AIOTesting
import Testing

@testable import AIOWorkers

@Suite struct OwnerCancellationTests {
    /// Where a handler is when it is cancelled.
    enum Place: String, CaseIterable, Sendable {
        case read, readExactly, write, flush, closed, withTimeout, nestedTimeouts, childRead, childWrite

        /// Waits there for ever.
        func wait(_ connection: Connection) async throws {
            switch self {
            case .read: while try await connection.read() != nil {}
            case .readExactly: _ = try await connection.read(exactly: 1_000)
            case .write: while true { try await connection.write(Tape.bytes(count: 10_000)) }
            case .flush:
                try await connection.write(Tape.bytes(count: 200_000))
                try await connection.flush()
            case .closed: _ = try await connection.closed()
            case .withTimeout:
                _ = try await connection.withTimeout(.seconds(60)) { try await connection.read() }
            case .nestedTimeouts:
                _ = try await connection.withTimeout(.seconds(60)) {
                    try await connection.withTimeout(.seconds(60)) { try await connection.read() }
                }
            case .childRead:
                async let bytes = connection.read()
                _ = try await bytes
            case .childWrite:
                async let done: Void = Place.write.wait(connection)
                try await done
            }
        }

        func hasBegun(_ connection: Connection) -> Bool {
            switch self {
            case .read, .readExactly, .withTimeout, .nestedTimeouts, .childRead: connection.readIsWaiting
            case .write, .flush, .closed, .childWrite: connection.waiterCount == 1
            }
        }
    }

    @Test(.simulated(seeds: 0..<12), arguments: Place.allCases, HandlerExecutor.everywhere)
    func `a handler is cancelled where it waits, and serve returns`(
        _ place: Place, _ executor: HandlerExecutor
    ) async throws {
        try await withProgram { world, aio in
            let server = try await aio.listen(on: "*:80", options: .on(executor))
            let ready = Promise<Connection>()
            let result = Promise<Outcome<Void>>()
            let serving = Task(executorPreference: world.taskExecutor) {
                try await server.serve { connection in
                    ready.put(connection)
                    let became = await outcome { try await place.wait(connection) }
                    // It stays cancelled: nothing waits any more.
                    #expect(Task.isCancelled)
                    #expect(await outcome { try await connection.read() }.isCancellation)
                    result.put(became)
                    try became.get()
                }
            }
            let peer = try await world.host("far").connect(to: "program:80")
            peer.stall()
            let connection = try await ready.value()
            await world.settle()
            #expect(place.hasBegun(connection))
            let start = world.clock.now
            serving.cancel()
            let report = try await serving.value
            #expect(start.duration(to: world.clock.now) < .milliseconds(1), "it took no time")
            #expect(report.accepted == 1 && report.completed + report.failed == 1 && report.cut == 1)
            // The connection is cut in the same moment, and either may be seen first.
            let became = try await result.value()
            #expect(became.isCancellation || became.code == .closed || place == .closed)
            #expect(connection.core.closeReason == .aborted)
            peer.resume()
            await world.settle()
            #expect(peer.hasEnded)
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: HandlerExecutor.everywhere)
    func `an owner that was cancelled waits no more, and its connection stays whole`(
        _ executor: HandlerExecutor
    ) async throws {
        try await withProgram { world, aio in
            let listener = try world.host("far").listen(on: "*:81")
            var options = ClientOptions()
            options.executor = executor
            let session = Task(executorPreference: world.taskExecutor) { [options] in
                try await aio.connect(to: listener.endpoint, options: options) { connection in
                    for _ in 0..<3 {
                        #expect(await outcome { try await connection.read() }.isCancellation)
                        #expect(await outcome { try await connection.read(exactly: 2) }.isCancellation)
                    }
                    try await connection.write("bye")
                    // A task that is not cancelled may still read for it.
                    return try await Task(executorPreference: world.taskExecutor) {
                        try await connection.read(exactly: 4)
                    }.value
                }
            }
            let peer = try await listener.accept()
            await world.settle()
            session.cancel()
            try await peer.expect("bye")
            try await peer.send("last")
            #expect(try await session.value == "last")
            try await peer.expectEnd()
            peer.close()
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: Road.withResets)
    func `a client whose body ends with the cancellation is cut`(_ road: Road) async throws {
        try await withProgram { world, aio in
            let listener = try road.farHost(of: world).listen(on: road.farEndpoint)
            let session = Task(executorPreference: world.taskExecutor) {
                try await aio.connect(to: listener.endpoint) { connection in
                    _ = try await connection.read()
                }
            }
            let peer = try await listener.accept()
            await world.settle()
            session.cancel()
            #expect(await outcome { try await session.value }.isCancellation)
            try await peer.expectReset()
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `a task that was cancelled before does not connect`() async throws {
        try await withProgram { world, aio in
            let listener = try world.host("far").listen(on: "*:81")
            let cancelled = Promise<Void>()
            let session = Task(executorPreference: world.taskExecutor) {
                try await cancelled.value()
                _ = try await aio.connect(to: listener.endpoint) { _ in Issue.record("connected") }
            }
            session.cancel()
            cancelled.keep()
            #expect(await outcome { try await session.value }.isCancellation)
            await world.settle()
            #expect(aio.statistics.connections == 0 && aio.statistics.total.connected == 0)
            #expect(listener.waitingCount == 0)
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: [true, false])
    func `an attempt to connect is cancelled at once, and leaves nothing`(isScoped: Bool) async throws {
        try await withProgram { world, aio in
            // Nothing reaches it, and nobody says so.
            let cut = world.isolate(world.host("far"))
            let start = world.clock.now
            let session = Task(executorPreference: world.taskExecutor) {
                if isScoped {
                    _ = try await aio.connect(to: "far:80") { _ in Issue.record("connected") }
                } else {
                    _ = try await aio.connect(to: "far:80")
                }
            }
            await world.settle()
            #expect(aio.statistics.connections == 1)
            session.cancel()
            #expect(await outcome { try await session.value }.isCancellation)
            await world.settle()
            #expect(aio.statistics.connections == 0 && aio.statistics.total.connected == 0)
            #expect(start.duration(to: world.clock.now) < .milliseconds(1))
            cut.heal()
        }
    }

    /// How many of three sessions were connected before they were cancelled.
    private func raceConnecting() async throws -> Int {
        var connected = 0
        try await withProgram { world, aio in
            let server = try await aio.listen(on: "*:80")
            async let report = server.serve { connection in
                _ = await outcome { try await connection.read() }
            }
            for round in 0..<3 {
                let session = Task(executorPreference: world.taskExecutor) {
                    try await aio.connect(to: "program:80") { connection in
                        _ = try await connection.read()
                    }
                }
                for _ in 0..<(round * Int(world.seed % 11)) { await Task.yield() }
                session.cancel()
                #expect(await outcome { try await session.value }.isCancellation)
            }
            await world.settle()
            #expect(aio.statistics.connections == 0)
            connected = Int(aio.statistics.total.connected)
            server.drain(within: .seconds(5))
            #expect(try await report.cut == 0)
        }
        return connected
    }

    @Test(.simulated(seeds: 0..<200))
    func `a cancellation that races the connecting leaves no connection behind`() async throws {
        _ = try await raceConnecting()
    }

    @Test func `of the seeds some have connected when they are cancelled, and some have not`() async throws {
        var counts: Set<Int> = []
        for seed in 0..<30 as Range<UInt64> {
            try await Simulation(seed: seed).run { _ in
                let connected = try await raceConnecting()
                counts.insert(connected)
            }
        }
        #expect(counts.isSuperset(of: [0, 1, 2]))
    }
}
