// `aio.connect`: how it fails and when, where its body runs, and how the connection ends.

import AIO
import AIOKernel
import AIOTesting
import Testing

@testable import AIOWorkers

@Suite struct ClientTests {
    private struct OwnError: Error {}

    @Test(.simulated(seeds: 0..<20)) func `each way of failing has its code, and leaves no connection`()
        async throws
    {
        try await withProgram { world, aio in
            func failure(_ endpoint: String) async -> AIOError.Code? {
                let scoped = await code { try await aio.connect(to: endpoint) { _ in } }
                let owned = await code { let _: OwnedConnection = try await aio.connect(to: endpoint) }
                #expect(scoped == owned)
                await world.settle()
                #expect(aio.statistics.connections == 0)
                return scoped
            }
            _ = world.host("far")
            world.names.set("broken", failingWith: .nameResolutionFailed)
            #expect(await failure("far:1") == .connectionRefused)
            #expect(await failure("unix:/run/nowhere") == .notFound)
            #expect(await failure("nobody:80") == .hostNotFound)
            #expect(await failure("broken:80") == .nameResolutionFailed)
            #expect(await failure("127.0.0.1") == .malformedEndpoint)
        }
    }

    @Test(.simulated(seeds: 0..<20))
    func `a peer that never answers is given up after the time limit, and hardly later`() async throws {
        try await withProgram(within: .seconds(8), configure: { $0.connection.connectTimeout = .seconds(7) })
        { world, aio in
            let cut = world.isolate(world.host("far"))
            for (timeout, expected) in [(Duration.milliseconds(100), 100), (nil, 7_000)] {
                let start = world.clock.now
                let error = await code { try await aio.connect(to: "far:80", timeout: timeout) { _ in } }
                #expect(error == .timedOut)
                let passed = start.duration(to: world.clock.now) / .milliseconds(1)
                #expect(passed >= Double(expected) && passed <= Double(expected + 2))
                await world.settle()
                #expect(aio.statistics.connections == 0)
            }
            cut.heal()
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `after the shutdown nothing connects`() async throws {
        try await withProgram { world, aio in
            let listener = try world.host("far").listen(on: "*:81")
            try await aio.shutdown()
            #expect(await code { try await aio.connect(to: "far:81") { _ in } } == .shutDown)
            #expect(listener.waitingCount == 0)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `connections made count against the limit until they are closed`()
        async throws
    {
        try await withProgram(configure: { $0.connectionsMax = 1 }) { world, aio in
            _ = try world.host("far").listen(on: "*:81")
            try await aio.connect(to: "far:81") { first in
                let error = await code { try await aio.connect(to: "far:81") { _ in } }
                #expect(error == .limitReached)
                first.abort()
                _ = try await first.closed()
                #expect(await code { try await aio.connect(to: "far:81") { $0.abort() } } == nil)
            }
        }
    }

    // MARK: Where it runs

    @Test(.simulated(seeds: 0..<20))
    func `a connection that a handler makes belongs to the handler's worker`()
        async throws
    {
        try await withProgram(configure: { $0.workerCount = 2 }) { world, aio in
            let upstream = try world.host("upstream").listen(on: "*:81")
            let server = try await aio.listen(on: "*:80")
            async let report = server.serve { connection in
                let worker = connection.core.worker
                #expect(worker.isCurrent)
                try await aio.connect(to: "upstream:81") { second in
                    #expect(second.core.worker === worker)
                    #expect(worker.isCurrent)
                    try await second.write("x")
                    try await second.flush()
                    #expect(worker.isCurrent, "nothing changes threads in between")
                    try await connection.write("\(worker.index)")
                }
                #expect(worker.isCurrent)
            }
            for _ in 0..<4 {
                let peer = try await world.host("far").connect(to: "program:80")
                let accepted = try await upstream.accept()
                try await accepted.expect("x")
                let index = try await peer.receiveToEnd()
                #expect(index == "0" || index == "1")
                accepted.close()
                peer.close()
            }
            server.drain()
            #expect(try await report.failed == 0)
        }
    }

    private actor Caller {
        var counter = 0

        func connect(_ aio: Proactor, to endpoint: String) async throws -> Int {
            try await aio.connect(to: endpoint) { connection in
                // Isolated to this actor: no other call of it can come between, and its state can be used.
                counter += 1
                self.preconditionIsolated()
                try await connection.write("x")
                counter += 1
            }
            return counter
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `the body runs where it was asked to`() async throws {
        try await withProgram(configure: { $0.workerCount = 2 }) { world, aio in
            _ = try world.host("far").listen(on: "*:81")
            for executor in HandlerExecutor.everywhere {
                var options = ClientOptions()
                options.executor = executor
                try await aio.connect(to: "far:81", options: options) { connection in
                    let core = connection.core
                    #expect(core.worker.isCurrent == (executor == .worker))
                    let partner = core.worker.partner
                    #expect((partner?.executors.jobs.isCurrent ?? false) == (executor == .partner))
                }
            }
            #expect(try await Caller().connect(aio, to: "far:81") == 2)
        }
    }

    // MARK: Its end

    @Test(.simulated(seeds: 0..<30), arguments: Road.allCases)
    func `a body that throws closes the connection in order`(_ road: Road) async throws {
        try await withProgram { world, aio in
            let listener = try road.farHost(of: world).listen(on: road.farEndpoint)
            let kept = Promise<Connection>()
            async let session: Void = aio.connect(to: listener.endpoint) { connection in
                kept.put(connection)
                try await connection.write("last words")
                throw OwnError()
            }
            let peer = try await listener.accept()
            do {
                try await session
                Issue.record("it has not thrown")
            } catch is OwnError {}
            let connection = try await kept.value()
            #expect(try await peer.receiveToEnd() == "last words")
            #expect(await code { try await connection.write("x") } == .closed)
            #expect(await code { _ = try await connection.read() } == .closed)
            peer.close()
            #expect(try await connection.closed() == .local)
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: Road.allCases)
    func `an owned connection closes in order when it is let go of, and not before`(_ road: Road)
        async throws
    {
        try await withProgram { world, aio in
            let listener = try road.farHost(of: world).listen(on: road.farEndpoint)
            let connection: Connection
            let peer: MockPeer
            do {
                let owned: OwnedConnection = try await aio.connect(to: listener.endpoint)
                connection = owned.connection
                peer = try await listener.accept()
                try await peer.send("x")
                #expect(try await connection.read() == "x")
                try await connection.write("still there")
                try await peer.expect("still there")
                await world.settle()
                #expect(!peer.hasEnded)
                try await connection.write("and the rest")
                withExtendedLifetime(owned) {}
            }
            #expect(try await peer.receiveToEnd() == "and the rest")
            peer.close()
            #expect(try await connection.closed() == .local)
        }
    }
}
