// Ending: shutdown in every situation. That no descriptor and no thread is left is checked at the end of each.

import AIO
import AIOTesting
import Testing

@Suite struct ProactorTests {
    @Test(.simulated(seeds: 0..<30))
    func `shutdown while somebody iterates tells every connection's end, and then ends the stream`()
        async throws
    {
        try await withServerHost { world, aio in
            let log = EventLog(aio)
            try await aio.events.listen(on: "*:80")
            var peers: [MockPeer] = []
            for _ in 0..<6 { peers.append(try await world.host("client").connect(to: "server:80")) }
            try await world.wait(for: "all") { log.accepted.count == 6 }
            let ending = world.beside("shutdown") { try await aio.shutdown() }
            for peer in peers {
                // An orderly end, not a reset.
                try await peer.expectEnd()
                peer.close()
            }
            try await log.end()
            #expect(log.closeReasons() == [CloseReason](repeating: .shutDown, count: 6))
            #expect(Set(log.closed) == Set(log.accepted) && log.values.count == 12)
            try await ending.value
            for await event in aio.events { Issue.record("\(event.name) after the end") }
            #expect(aio.events.drain().isEmpty)
        }
    }

    @Test(.simulated(seeds: 0..<10)) func `shutdown delivers what was queued for a peer`() async throws {
        let pattern = Pattern(byteCount: 150_000)
        try await withServerHost(configure: { $0.shutdownTimeout = .seconds(50) }) { world, aio in
            let log = EventLog(aio)
            try await aio.events.listen(on: "*:80")
            let peer = try await world.host("client").connect(to: "server:80")
            peer.stall()
            try await world.wait(for: "the connection") { log.accepted.count == 1 }
            log.accepted[0].send(pattern.bytes(at: 0))
            // No socket's buffer has room for all of it.
            await world.settle()
            #expect(log.accepted[0].pendingByteCount > 0)
            let ending = world.beside("shutdown") { try await aio.shutdown() }
            try await world.advance(by: .seconds(2))
            #expect(!ending.hasEnded)
            peer.resume()
            #expect(try await peer.receiveToEnd() == pattern.bytes(at: 0))
            peer.close()
            try await ending.value
            #expect(log.closeReasons() == [.shutDown])
        }
    }

    @Test(.simulated(seeds: 0..<50))
    func `shutdown needs nobody to iterate, and what is left can be taken afterwards`() async throws {
        try await withServerHost { world, aio in
            let listener = try await aio.events.listen(on: "127.0.0.1:0")
            let client = try aio.events.connect(to: listener.endpoint)
            client.send("!")
            await world.settle()
            #expect(aio.statistics.total.bytesReceived == 1)
            try await aio.shutdown()
            let log = EventLog(aio)
            try await log.end()
            #expect(log.names(of: client) == ["connected", "closed"])
            let server = try #require(log.accepted.first)
            #expect(log.names(of: server) == ["accepted", "received", "closed"])
            #expect(log.received(by: server) == "!" && log.values.count == 5)
        }
    }

    @Test(.simulated(seeds: 0..<50)) func `shutdown may be called often and from many tasks`() async throws {
        try await withServerHost { world, aio in
            let log = EventLog(aio)
            _ = try await world.pair(aio, log)
            let endings = (0..<8).map { number in
                world.beside("shutdown \(number)") { try await aio.shutdown() }
            }
            for ending in endings { try await ending.value }
            try await aio.shutdown()
            try await log.end()
            #expect(log.closeReasons() == [.shutDown, .shutDown])
        }
    }

    @Test(.simulated()) func `after shutdown every call that would start something throws shutDown`()
        async throws
    {
        try await withServerHost { _, aio in
            try await aio.shutdown()
            #expect(await errorCode { try await aio.events.listen(on: "127.0.0.1:0") } == .shutDown)
            #expect(await errorCode { try await aio.events.listen(on: "server:0") } == .shutDown)
            #expect(await errorCode { try aio.events.connect(to: "127.0.0.1:1") } == .shutDown)
            #expect(await errorCode { try aio.events.connect(to: "server:1") } == .shutDown)
            #expect(await errorCode { try aio.events.schedule(after: .zero, tag: 1) } == .shutDown)
            #expect(await errorCode { try aio.events.post(1) } == .shutDown)
            #expect(await errorCode { try aio.events.watch(signals: [.user1]) } == .shutDown)
            #expect(aio.statistics.connections == 0)
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `shutdown can be asked for in the body of the loop`() async throws {
        try await withServerHost { world, aio in
            let log = EventLog(aio) { event in if event.name == "received" { try await aio.shutdown() } }
            let pair = try await world.pair(aio, log)
            pair.client.send("!")
            try await log.end()
            // Either end may learn of the other's first.
            for connection in [pair.client, pair.server] {
                #expect(log.names(of: connection).last == "closed")
            }
            #expect(log.closed.count == 2 && log.received(by: pair.server) == "!")
        }
    }

    @Test(.simulated(seeds: 0..<30))
    func `a peer that never closes is cut when the shutdown timeout is over`()
        async throws
    {
        try await withServerHost(configure: { $0.shutdownTimeout = .seconds(10) }) { world, aio in
            let log = EventLog(aio)
            try await aio.events.listen(on: "*:80", limits: .testing { $0.lingerTimeout = .seconds(600) })
            let peer = try await world.host("client").connect(to: "server:80")
            try await world.wait(for: "the connection") { log.accepted.count == 1 }
            let start = world.clock.now
            try await aio.shutdown()
            #expect(world.time(since: start).isAbout(.seconds(10)))
            try await log.end()
            #expect(log.closeReasons() == [.shutDown])
            try await peer.expectEnd()
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `cancelling the task that shuts down skips the graceful part`()
        async throws
    {
        try await withServerHost(configure: { $0.shutdownTimeout = .seconds(600) }) { world, aio in
            let log = EventLog(aio)
            try await aio.events.listen(on: "*:80", limits: .testing { $0.lingerTimeout = .seconds(600) })
            let peer = try await world.host("client").connect(to: "server:80")
            try await world.wait(for: "the connection") { log.accepted.count == 1 }
            let start = world.clock.now
            let ending = world.beside("shutdown") { try await aio.shutdown() }
            // The end of the peer's input shows that the graceful part is under way.
            try await peer.expectEnd()
            try await world.advance(by: .seconds(5))
            #expect(!ending.hasEnded)
            ending.cancel()
            try await ending.value
            #expect(world.time(since: start).isAbout(.seconds(5)))
        }
    }

    @Test(.simulated(seeds: 0..<50))
    func `connections that the kernel had queued see an end at shutdown, and no reset`() async throws {
        try await withServerHost(workers: 3) { world, aio in
            try await aio.events.listen(on: "*:80")
            var peers: [MockPeer] = []
            for _ in 0..<10 { peers.append(try await world.host("client").connect(to: "server:80")) }
            let ending = world.beside("shutdown") { try await aio.shutdown() }
            for peer in peers {
                try await peer.expectEnd()
                peer.close()
            }
            try await ending.value
        }
    }

    /// Some have no answer to their handshake yet, some have not even an address.
    @Test(.simulated(seeds: 0..<50)) func `connections that are being made are closed by shutdown`()
        async throws
    {
        try await withServerHost { world, aio in
            world.names.delay = .milliseconds(1)...(.milliseconds(50))
            let other = world.host("other")
            other.run { _ in try await world.clock.sleep(for: .seconds(10_000)) }
            let cut = world.partition([world.host("server")], from: [other])
            var clients: Set<Connection> = []
            for _ in 0..<4 {
                clients.insert(try aio.events.connect(to: .ip(other.address, port: 9)))
                clients.insert(try aio.events.connect(to: "other:9"))
            }
            try await world.advance(by: .milliseconds(Int(world.seed % 30)))
            let start = world.clock.now
            try await aio.shutdown()
            #expect(world.time(since: start).isAbout(.zero))
            let log = EventLog(aio)
            try await log.end()
            #expect(Set(log.closed) == clients && log.values.count == clients.count)
            #expect(log.closeReasons().allSatisfy { $0 == .shutDown })
            cut.heal()
        }
    }

    @Test(.simulated(seeds: 0..<100), arguments: ["*:80", "unix:@ending"])
    func `every connection that was accepted is told as closed, whichever worker ended first`(
        endpoint: String
    ) async throws {
        try await withServerHost(workers: 4) { world, aio in
            let listener = try await aio.events.listen(on: endpoint)
            var peers: [MockPeer] = []
            let host = world.host(endpoint == "*:80" ? "client" : "server")
            for _ in 0..<8 { peers.append(try await host.connect(to: listener.endpoint.reachable)) }
            let ending = world.beside("shutdown") { try await aio.shutdown() }
            let log = EventLog(aio)
            for peer in peers {
                try await peer.expectEnd()
                peer.close()
            }
            try await ending.value
            try await log.end()
            #expect(log.accepted.count == 8 && log.closed.count == 8)
            #expect(Set(log.closed) == Set(log.accepted))
            #expect(aio.statistics.connections == 0)
        }
    }
}
