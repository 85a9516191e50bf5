// The graceful end of a server: who may go on, for how long, and what the report says.

import AIO
import AIOTesting
import Testing

@Suite struct DrainTests {
    // MARK: Who may go on

    @Test(.simulated(seeds: 0..<30), arguments: HandlerExecutor.all)
    func `idle connections end at once, and their handlers' loops in order`(executor: HandlerExecutor)
        async throws
    {
        try await withServerHost { world, aio in
            let ends = Log<Int>()
            let server = try await aio.serving(.testing(executor)) { connection in
                try await connection.echo()
                #expect(!Task.isCancelled)
                try await connection.write("bye")
                ends.add(1)
            }
            let peers = try await server.connect(5)
            for peer in peers { try await peer.exchange("hello") }
            let start = world.clock.now
            server.server.drain(within: .seconds(600))
            for peer in peers {
                try await peer.expect("bye")
                try await peer.expectEnd()
                peer.close()
            }
            #expect(
                try await server.report == .of(accepted: 5, completed: 5, openAtDrain: 5))
            #expect(ends.count == 5)
            #expect(world.time(since: start).isAbout(.zero))
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: HandlerExecutor.all)
    func `a handler in the middle of something finishes it`(executor: HandlerExecutor) async throws {
        try await withServerHost { world, aio in
            let gate = Gate()
            let server = try await aio.serving(.testing(executor)) { connection in
                for try await chunk in connection.chunks {
                    if chunk == "work" { await gate.wait() }
                    try await connection.write(chunk)
                }
            }
            let busy = try await server.connect(), idle = try await server.connect()
            try await idle.exchange("idle")
            try await busy.send("work")
            try await world.wait(for: "the work") { gate.count == 1 }
            server.server.drain(within: .seconds(600))
            try await idle.expectEnd()
            try await busy.expectSilence(for: .seconds(599))
            gate.open()
            try await busy.expect("work")
            try await busy.expectEnd()
            for peer in [busy, idle] { peer.close() }
            #expect(try await server.report == .of(accepted: 2, completed: 2, openAtDrain: 2))
        }
    }

    @Test(.simulated(seeds: 0..<50))
    func `half a message is waited for, and answered when the rest comes`() async throws {
        try await withServerHost { _, aio in
            let server = try await aio.serving { connection in
                while let message = try await connection.read(exactly: 10) {
                    try await connection.write(message)
                }
            }
            let half = try await server.connect(), idle = try await server.connect()
            for peer in [half, idle] { try await peer.exchange("0123456789") }
            try await half.send("01234")
            await half.settle()
            server.server.drain(within: .seconds(600))
            try await idle.expectEnd()
            try await half.expectSilence(for: .seconds(500))
            try await half.send("56789")
            try await half.expect("0123456789")
            try await half.expectEnd()
            for peer in [half, idle] { peer.close() }
            #expect(try await server.report == .of(accepted: 2, completed: 2, openAtDrain: 2))
        }
    }

    // MARK: The deadline

    @Test(.simulated(seeds: 0..<30), arguments: HandlerExecutor.all)
    func `the deadline cuts what is left, and cancels the handlers`(executor: HandlerExecutor)
        async throws
    {
        try await withServerHost { world, aio in
            let cancelled = Log<String>()
            let server = try await aio.serving(.testing(executor)) { connection in
                let request = try await connection.read(exactly: 4)
                do {
                    if request == "wait" {
                        try await aio.clock.sleep(for: .seconds(600))
                    } else {
                        _ = try await connection.read(exactly: 1_000)
                    }
                } catch {
                    #expect(Task.isCancelled)
                    cancelled.add(request == "wait" ? "waiting" : "reading")
                    throw error
                }
            }
            let peers = try await server.connect(4)
            for (index, peer) in peers.enumerated() {
                try await peer.send(index < 2 ? "wait" : "read and half")
            }
            await world.settle()
            let start = world.clock.now
            server.server.drain(within: .seconds(20))
            #expect(
                try await server.report == .of(accepted: 4, failed: 4, openAtDrain: 4, cut: 4))
            #expect(world.time(since: start).isAbout(.seconds(20)))
            #expect(cancelled.values.sorted() == ["reading", "reading", "waiting", "waiting"])
            for peer in peers { try await peer.expectReset() }
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: [(300, 40), (40, 300)])
    func `a second drain can only make the deadline earlier`(first: Int, second: Int) async throws {
        try await withServerHost { world, aio in
            let server = try await aio.serving { _ = try await $0.read(exactly: 100) }
            let peer = try await server.connect()
            try await peer.send("half")
            await world.settle()
            let start = world.clock.now
            server.server.drain(within: .seconds(first))
            server.server.drain(within: .seconds(second))
            #expect(
                try await server.report == .of(accepted: 1, failed: 1, openAtDrain: 1, cut: 1))
            #expect(world.time(since: start).isAbout(.seconds(40)))
        }
    }

    /// As of a program that drains with each signal, or each failed health check.
    @Test(.simulated(seeds: 0..<20))
    func `a drain that is asked for again and again leaves one deadline, and an earlier one counts`()
        async throws
    {
        try await withServerHost { world, aio in
            let options = ServerOptions.testing { $0.drainFirstBytesTimeout = .seconds(600) }
            let server = try await aio.serving(options) { _ = try await $0.read(exactly: 100) }
            let peer = try await server.connect()
            try await peer.send("half")
            await world.settle()
            let start = world.clock.now
            for _ in 0..<100 { server.server.drain(within: .seconds(300)) }
            await world.settle()
            // The deadline, and that for first bytes once the listeners have closed.
            #expect(aio.unhinderedCallsAheadCount == 2)
            for _ in 0..<100 { server.server.drain(within: .seconds(300)) }
            #expect(aio.unhinderedCallsAheadCount == 2)
            server.server.drain(within: .seconds(200))
            #expect(aio.unhinderedCallsAheadCount == 3)
            aio.drain(within: .seconds(7))
            #expect(
                try await server.report == .of(accepted: 1, failed: 1, openAtDrain: 1, cut: 1))
            #expect(world.time(since: start).isAbout(.seconds(7)))
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: HandlerExecutor.all)
    func `cancelling serve cuts and cancels at once`(executor: HandlerExecutor) async throws {
        try await withServerHost { world, aio in
            let server = try await aio.serving(.testing(executor)) { try await $0.echo() }
            let peers = try await server.connect(5)
            for peer in peers { try await peer.exchange("?") }
            let start = world.clock.now
            server.serving.cancel()
            for peer in peers { try await peer.expectReset() }
            let report = try await server.report
            #expect(report.accepted == 5 && report.completed + report.failed == 5)
            #expect(report.openAtDrain == 5 && report.cut == 5)
            #expect(world.time(since: start).isAbout(.zero))
        }
    }

    // MARK: Who asks

    @Test(.simulated(seeds: 0..<50)) func `aio.drain drains every server, and those that begin later`()
        async throws
    {
        try await withServerHost { world, aio in
            let first = try await aio.serving { try await $0.echo() }
            let second = try await aio.serving(on: "unix:@drain") { try await $0.echo() }
            let late = try await aio.listen(on: "*:81")
            let peer = try await first.connect()
            try await peer.exchange("?")
            // In the kernel's queue, with its first bytes sent.
            let queued = try await world.host("client").connect(to: "server:81")
            try await queued.send("first bytes")
            aio.drain(within: .seconds(600))
            try await peer.expectEnd()
            peer.close()
            #expect(try await first.report == .of(accepted: 1, completed: 1, openAtDrain: 1))
            #expect(try await second.report == .of())
            let served = world.beside("serve") { try await late.serve { try await $0.echo() } }
            try await queued.expect("first bytes")
            try await queued.expectEnd()
            queued.close()
            let report = try await served.value
            #expect(report.accepted == 1 && report.completed == 1 && report.cut == 0)
            try await world.host("client").connect(to: "server:81").expectRefused()
        }
    }

    @Test(.simulated(seeds: 0..<20))
    func `a server that was drained before it was served ends at once, and listens no more`()
        async throws
    {
        try await withServerHost { world, aio in
            let server = try await aio.listen(on: "*:80")
            server.drain(within: .seconds(600))
            let start = world.clock.now
            let serving = world.beside("serve") { try await server.serve { try await $0.echo() } }
            #expect(try await serving.value == .of())
            #expect(world.time(since: start).isAbout(.zero))
            await world.settle()
            try await world.host("client").connect(to: "server:80").expectRefused()
        }
    }
}
