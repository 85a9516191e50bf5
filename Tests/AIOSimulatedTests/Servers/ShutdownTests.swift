// The end of a proactor whose servers run: gracefully if they let it, and in bounded time if they do not. That nothing is
// left of it, no descriptor and no thread, is checked at the end of each.

import AIO
import AIOTesting
import Testing

@Suite struct ShutdownTests {
    @Test(.simulated(seeds: 0..<30), arguments: HandlerExecutor.all)
    func `shutdown lets handlers finish, and serve returns its report`(executor: HandlerExecutor)
        async throws
    {
        try await withServerHost(configure: { $0.shutdownTimeout = .seconds(600) }) { world, aio in
            let gate = Gate()
            let server = try await aio.serving(.testing(executor)) { try await $0.echo(behind: gate) }
            let peer = try await server.connect()
            try await peer.send("reply")
            try await world.wait(for: "the request") { gate.count == 1 }
            let ending = world.beside("shutdown") { try await aio.shutdown() }
            try await peer.expectSilence(for: .seconds(500))
            try await server.connect().expectRefused()
            #expect(!ending.hasEnded && !server.serving.hasEnded)
            gate.open()
            try await peer.expect("reply")
            try await peer.expectEnd()
            peer.close()
            try await ending.value
            #expect(try await server.report == .of(accepted: 1, completed: 1, openAtDrain: 1))
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: HandlerExecutor.all)
    func `what has not ended by the shutdown's timeout is cut and cancelled`(executor: HandlerExecutor)
        async throws
    {
        try await withServerHost(configure: { $0.shutdownTimeout = .seconds(10) }) { world, aio in
            let server = try await aio.serving(.testing(executor)) { connection in
                try await connection.write("here")
                try await aio.clock.sleep(for: .seconds(600))
            }
            let peer = try await server.connect()
            try await peer.expect("here")
            let start = world.clock.now
            try await aio.shutdown()
            #expect(world.time(since: start).isAbout(.seconds(10)))
            #expect(try await server.report == .of(accepted: 1, failed: 1, openAtDrain: 1, cut: 1))
            try await peer.expectReset()
        }
    }

    @Test(.simulated(seeds: 0..<50), arguments: HandlerExecutor.all)
    func `cancelling shutdown skips the graceful part of servers too`(executor: HandlerExecutor) async throws
    {
        try await withServerHost(configure: { $0.shutdownTimeout = .seconds(600) }) { world, aio in
            let server = try await aio.serving(.testing(executor)) { _ in
                try await aio.clock.sleep(for: .seconds(900))
            }
            let peer = try await server.connect()
            await world.settle()
            let start = world.clock.now
            let ending = world.beside("shutdown") { try await aio.shutdown() }
            try await peer.expectSilence(for: .seconds(5))
            ending.cancel()
            try await ending.value
            #expect(world.time(since: start).isAbout(.seconds(5)))
            #expect(try await server.report == .of(accepted: 1, failed: 1, openAtDrain: 1, cut: 1))
            try await peer.expectReset()
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: HandlerExecutor.all)
    func `handlers that do not end are an error of shutdown, and it ends when they do`(
        executor: HandlerExecutor
    ) async throws {
        try await withServerHost(configure: { $0.shutdownTimeout = .seconds(10) }) { world, aio in
            let gate = Gate()
            let server = try await aio.serving(.testing(executor)) { _ in await gate.wait() }
            let peers = try await server.connect(3)
            await world.settle()
            let log = EventLog(aio)
            let start = world.clock.now
            #expect(await errorCode { try await aio.shutdown() } == .handlersStillRunning)
            #expect(world.time(since: start).isAbout(.seconds(11)))
            for peer in peers { try await peer.expectReset() }
            #expect(gate.count == 3 && !log.hasEnded)
            gate.open()
            #expect(try await server.report == .of(accepted: 3, completed: 3, openAtDrain: 3, cut: 3))
            // Without another shutdown.
            try await log.end()
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: [HandlerExecutor.worker, .global])
    func `a second after a shutdown was cancelled, handlers that do not end are its error`(
        executor: HandlerExecutor
    ) async throws {
        try await withServerHost(configure: { $0.shutdownTimeout = .seconds(600) }) { world, aio in
            let gate = Gate()
            let server = try await aio.serving(.testing(executor)) { _ in await gate.wait() }
            let peer = try await server.connect()
            await world.settle()
            let start = world.clock.now
            let ending = world.beside("shutdown") { try await aio.shutdown() }
            try await peer.expectSilence(for: .seconds(5))
            ending.cancel()
            #expect(await errorCode { try await ending.value } == .handlersStillRunning)
            #expect(world.time(since: start).isAbout(.seconds(6)))
            gate.open()
            #expect(try await server.report.cut == 1)
        }
    }

    @Test(.simulated(seeds: 0..<50), arguments: HandlerExecutor.all)
    func `a proactor that is dropped while a server runs cuts it, and serve returns`(
        executor: HandlerExecutor
    ) async throws {
        try await withSimulation { world in
            let host = world.host("server")
            let serving: SideTask<DrainReport>
            let peer: MockPeer
            do {
                let server = try await host.proactor().serving(.testing(executor)) { try await $0.echo() }
                peer = try await server.connect()
                try await peer.exchange("?")
                serving = server.serving
            }
            try await peer.expectReset()
            let report = try await serving.value
            #expect(report.accepted == 1 && report.cut == 1)
            await world.settle()
            #expect(host.openDescriptorCount == 0)
        }
    }

    /// Whoever comes, goes, and has sent what by the time, and whether or not it is cancelled.
    @Test(.simulated(seeds: 0..<150), arguments: HandlerExecutor.all)
    func `a server may be shut down at any time`(executor: HandlerExecutor) async throws {
        let seed = Int(Simulation.world.seed)
        try await withServerHost(workers: 1 + seed % 3) { world, aio in
            let server = try await aio.serving(.testing(executor)) { try await $0.echo() }
            let peers = try await server.connect(seed % 5)
            for peer in peers { try await peer.send("?") }
            for peer in peers.prefix(2) { peer.close() }
            let staying = peers.dropFirst(2).map { peer in
                world.beside("a peer's end") {
                    let answer = try await peer.receive(.max)
                    peer.close()
                    return answer
                }
            }
            let start = world.clock.now
            let ending = world.beside("shutdown") { try await aio.shutdown() }
            if seed.isMultiple(of: 4) { ending.cancel() }
            try await ending.value
            // The shutdown may have come before `serve`.
            do {
                let report = try await server.report
                #expect(report.completed + report.failed == report.accepted && report.refused == 0)
                #expect(seed.isMultiple(of: 4) || report.cut == 0)
            } catch let error as AIOError { #expect(error.code == .shutDown) }
            for peer in staying {
                let answer = try await peer.value
                #expect(answer == "?" || answer.isEmpty && seed.isMultiple(of: 4))
            }
            // Fresh connections have a second for their first bytes.
            #expect(world.time(since: start) < .seconds(2))
        }
    }
}
