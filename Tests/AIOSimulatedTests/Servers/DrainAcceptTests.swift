// Connections that come as a server drains: what was accepted is served, and no request that was read is lost.

import AIO
import AIOTesting
import SystemPackage
import Testing

@Suite struct DrainAcceptTests {
    @Test(.simulated(seeds: 0..<50), arguments: [false, true])
    func `connections in the kernel's queue at the drain are accepted and served`(sharesListener: Bool)
        async throws
    {
        try await withServerHost { world, aio in
            let server = try await aio.serving(.testing { $0.sharesListener = sharesListener }) {
                try await $0.echo()
            }
            let early = try await server.connect()
            try await early.exchange("early")
            // No worker gets these before it is asked to drain.
            let delay = world.host("server").faults.add(.accept, .fail(.resourceTemporarilyUnavailable))
            let peers = try await server.connect(10)
            for peer in peers { try await peer.send("queued") }
            #expect(aio.statistics.connections == 1)
            delay.end()
            server.server.drain(within: .seconds(600))
            for peer in peers {
                try await peer.expect("queued")
                try await peer.expectEnd()
                peer.close()
            }
            try await early.expectEnd()
            early.close()
            let report = try await server.report
            #expect(report == .of(accepted: 11, completed: 11, openAtDrain: 1))
        }
    }

    @Test(.simulated(seeds: 0..<50))
    func `a fresh connection may send its first request while the server drains`() async throws {
        try await withServerHost { world, aio in
            let options = ServerOptions.testing { $0.drainFirstBytesTimeout = .seconds(500) }
            let server = try await aio.serving(options) { try await $0.echo() }
            let fresh = try await server.connect(), used = try await server.connect()
            try await used.exchange("used")
            await world.settle()
            server.server.drain(within: .seconds(600))
            try await used.expectEnd()
            try await fresh.expectSilence(for: .seconds(499))
            try await fresh.send("first and last")
            try await fresh.expect("first and last")
            try await fresh.expectEnd()
            for peer in [fresh, used] { peer.close() }
            #expect(try await server.report == .of(accepted: 2, completed: 2, openAtDrain: 2))
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.all)
    func `a fresh connection that stays silent is closed after the time for first bytes`(
        executor: HandlerExecutor
    ) async throws {
        try await withServerHost { world, aio in
            let options = ServerOptions.testing(executor) { $0.drainFirstBytesTimeout = .seconds(30) }
            let server = try await aio.serving(options) { try await $0.echo() }
            let peers = try await server.connect(5)
            await world.settle()
            server.server.drain(within: .seconds(600))
            let start = world.clock.now
            for peer in peers {
                // An end, and no reset.
                try await peer.expectEnd()
                #expect(world.time(since: start).isAbout(.seconds(30)))
                peer.close()
            }
            #expect(try await server.report == .of(accepted: 5, completed: 5, openAtDrain: 5))
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: HandlerExecutor.all)
    func `a drain under load loses no request that a handler has read`(executor: HandlerExecutor)
        async throws
    {
        try await withServerHost { world, aio in
            let read = Log<Bytes>(), replied = Log<Bytes>()
            let server = try await aio.serving(.testing(executor)) { connection in
                while let request = try await connection.read(exactly: 8) {
                    read.add(request)
                    await Task.yield()
                    try await connection.write(request)
                }
            }
            let clients = (0..<4).map { index in
                let client = LoadClient(index: index, server: server, replied: replied)
                return world.beside("the client \(index)") { try await client.run() }
            }
            try await world.wait(for: "the load") { replied.count >= 10 + Int(world.seed % 20) }
            let report = try await server.drained()
            for client in clients { try await client.value }
            #expect(Set(read.values) == Set(replied.values))
            #expect(read.count == Set(read.values).count && replied.count == read.count)
            #expect(report.failed == 0 && report.cut == 0 && report.completed == report.accepted)
        }
    }

    @Test(.simulated(seeds: 0..<100), arguments: [false, true])
    func `a drain and connections that come at the same moment agree on who was accepted`(
        sharesListener: Bool
    ) async throws {
        try await withServerHost(workers: 3) { world, aio in
            let options = ServerOptions.testing { $0.sharesListener = sharesListener }
            let server = try await aio.serving(options) { try await $0.echo() }
            let served = world.beside("the client's refusal") {
                var count = 0
                while true {
                    let peer = try await server.connect()
                    defer { peer.close() }
                    try await peer.send("request")
                    guard try await peer.receive(7) == "request" else { return count }
                    count += 1
                }
            }
            let accepted = world.seed % 7
            try await world.wait(for: "connections") { aio.statistics.total.accepted > accepted }
            let report = try await server.drained()
            let count = try await served.value
            #expect(report == .of(accepted: count, completed: count, openAtDrain: report.openAtDrain))
        }
    }
}

/// Sends requests of eight bytes until the server is gone, and records those that were answered.
private struct LoadClient: Sendable {
    let index: Int
    let server: ServerUnderTest
    let replied: Log<Bytes>

    private func request(_ number: Int) -> Bytes {
        let digits = "\(index * 1_000_000 + number)"
        return Bytes(String(repeating: "0", count: 8 - digits.count) + digits)
    }

    /// One connection, and a new one when the server ends it; those with odd numbers, a connection for each request.
    func run() async throws {
        var number = 0
        while true {
            let peer = try await server.connect(from: "client \(index)")
            defer { peer.close() }
            var answered = 0
            repeat {
                let text = request(number)
                number += 1
                try await peer.send(text)
                guard try await peer.receive(8) == text else { break }
                replied.add(text)
                answered += 1
            } while index.isMultiple(of: 2)
            if answered == 0 { return }
        }
    }
}
