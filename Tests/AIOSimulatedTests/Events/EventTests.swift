// The order in which a connection's events come.

import AIO
import AIOTesting
import Testing

@Suite struct EventTests {
    @Test(.simulated(seeds: 0..<50))
    func `a connection is accepted, receives, sees the peer's end and is closed, in this order`() async throws
    {
        try await withProgram(configure: { $0.workerCount = 2 }) { _, aio in
            let listener = try await aio.events.listen(on: "127.0.0.1:0")
            let client = try aio.events.connect(to: listener.endpoint)
            client.send("hello")
            client.finish()
            var kinds: [String] = []
            var clientKinds: [String] = []
            var text = ""
            var reasons: [CloseReason] = []
            try await aio.run { event in
                if event.subject == client {
                    clientKinds.append(event.kind)
                } else {
                    kinds.append(event.kind)
                }
                if case .received(let bytes, _) = event { text += String(decoding: bytes, as: UTF8.self) }
                if case .closed(let connection, let reason) = event {
                    reasons.append(reason)
                    #expect(reason == (connection == client ? .local : .peer))
                }
                return reasons.count == 2
            }
            // What was sent at once may arrive apart.
            #expect(text == "hello")
            let received = kinds.filter { $0 == "received" }
            #expect(kinds == ["accepted"] + received + ["peerHalfClosed", "closed"])
            #expect(clientKinds == ["connected", "closed"])
        }
    }

    @Test(.simulated(seeds: 0..<50), arguments: Road.allCases)
    func `what is sent while the peer's end is handled still reaches the peer`(_ road: Road) async throws {
        try await withProgram { world, aio in
            let met = try await aio.meet(in: world, over: road)
            try await met.peer.send("question")
            met.peer.halfClose()
            try await aio.run { event in
                if case .peerHalfClosed(let connection) = event { connection.send("answer") }
                if case .closed(_, let reason) = event { #expect(reason == .peer) }
                return event.kind == "closed"
            }
            #expect(try await met.peer.receiveToEnd() == "answer")
        }
    }

    @Test(.simulated(seeds: 0..<20))
    func `a connection that keeps half open can answer long after the peer's end`() async throws {
        try await withProgram(within: .seconds(501)) { world, aio in
            let met = try await aio.meet(in: world, limits: .with { $0.keepsHalfOpen = true })
            met.peer.halfClose()
            try await aio.run { if case .peerHalfClosed(met.server) = $0 { true } else { false } }
            // Other events come and go; the connection stays.
            try aio.events.schedule(after: .seconds(500), tag: 1)
            try await aio.run { event in
                #expect(event.subject == nil)
                return event.kind == "timer"
            }
            #expect(met.server.send("late") == .queued(pending: 4))
            try await met.peer.expect("late")
            met.server.close()
            #expect(try await aio.closeReason(of: met.server) == .peer)
        }
    }

    @Test(.simulated(seeds: 0..<30))
    func `a connection that does not keep half open refuses to send once the next event was asked for`()
        async throws
    {
        try await withProgram { world, aio in
            let met = try await aio.meet(in: world)
            met.peer.halfClose()
            try await aio.run { if case .peerHalfClosed(met.server) = $0 { true } else { false } }
            #expect(try await aio.closeReason(of: met.server) == .peer)
            #expect(met.server.send("late") == .refused(.closed))
        }
    }

    @Test(.simulated(seeds: 0..<50), arguments: Road.withResets)
    func `a peer that resets gives one closed event and ends nothing else`(_ road: Road) async throws {
        try await withProgram { world, aio in
            _ = try await aio.events.listen(on: road.endpoint)
            let stays = try await road.connect(in: world)
            let other = try await aio.nextAccepted()
            for _ in 0..<4 {
                let peer = try await road.connect(in: world)
                let server = try await aio.nextAccepted()
                peer.reset()
                // Written into a reset connection, this would be SIGPIPE.
                server.send("x")
                var kinds: [String] = []
                try await aio.run { event in
                    kinds.append(event.kind)
                    if case .closed(server, let reason) = event { #expect(reason == .reset) }
                    return event.kind == "closed"
                }
                #expect(kinds == ["closed"])
                #expect(server.send("x") == .refused(.closed))
            }
            #expect(aio.statistics.connections == 1)
            other.send("still here")
            try await stays.expect("still here")
        }
    }

    @Test(.simulated(seeds: 0..<50), arguments: Road.withResets)
    func `bytes that came before a reset are delivered, and closed is the last event`(_ road: Road)
        async throws
    {
        try await withProgram { world, aio in
            let met = try await aio.meet(in: world, over: road)
            try await met.peer.send("some bytes")
            await world.settle()
            met.peer.reset()
            await world.settle()
            #expect(aio.statistics.total.openConnections == 0)
            var kinds: [String] = []
            try await aio.run { event in
                kinds.append(event.kind)
                if case .closed(met.server, let reason) = event { #expect(reason == .reset) }
                return event.kind == "closed"
            }
            #expect(kinds == ["received", "closed"])
        }
    }
}
