// The order in which a connection's events come.

import AIO
import Testing

extension Loopback {
    @Suite struct EventTests {
        @Test func `a connection is accepted, receives, sees the peer's end and is closed, in this order`()
            async throws
        {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let client = try aio.events.connect(to: listener.endpoint)
                client.send("hello")
                client.finish()
                var names: [String] = []
                var clientNames: [String] = []
                var reasons: [CloseReason] = []
                try await aio.run { event in
                    if event.connection == client {
                        clientNames.append(event.name)
                    } else {
                        names.append(event.name)
                    }
                    if case .received(let bytes, _) = event { #expect(bytes == "hello") }
                    if case .closed(let connection, let reason) = event {
                        reasons.append(reason)
                        #expect(reason == (connection == client ? .local : .peer))
                    }
                    return reasons.count == 2
                }
                #expect(names == ["accepted", "received", "peerHalfClosed", "closed"])
                #expect(clientNames == ["connected", "closed"])
            }
        }

        @Test func `what is sent while the peer's end is handled still reaches the peer`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let endpoint = listener.endpoint
                async let reply = onThread {
                    let peer = try RawPeer(connectingTo: endpoint)
                    try peer.send("question")
                    peer.finish()
                    return String(decoding: try peer.receiveToEnd(), as: UTF8.self)
                }
                let reason: CloseReason = try await aio.first { event in
                    if case .peerHalfClosed(let connection) = event { connection.send("answer") }
                    if case .closed(_, let reason) = event { return reason }
                    return nil
                }
                #expect(reason == .peer)
                #expect(try await reply == "answer")
            }
        }

        @Test func `a connection that keeps half open can answer long after the peer's end`() async throws {
            try await withProactor(.testing()) { aio in
                let pair = try await aio.pair(serverLimits: .testing { $0.keepsHalfOpen = true })
                pair.client.finish()
                try await aio.run { if case .peerHalfClosed(pair.server) = $0 { true } else { false } }
                // Other events come and go; the connection stays.
                try aio.events.schedule(after: .milliseconds(20), tag: 1)
                try await aio.run { event in
                    #expect(event.connection == nil)
                    return event.name == "timer"
                }
                #expect(pair.server.send("late") == .queued(pending: 4))
                let bytes: Bytes = try await aio.first {
                    if case .received(let bytes, pair.client) = $0 { bytes } else { nil }
                }
                #expect(bytes == "late")
                pair.server.close()
                #expect(try await aio.closeReason(of: pair.server) == .peer)
            }
        }

        @Test
        func `a connection that does not keep half open refuses to send once the next event was asked for`()
            async throws
        {
            try await withProactor(.testing()) { aio in
                let pair = try await aio.pair()
                pair.client.finish()
                try await aio.run { if case .peerHalfClosed(pair.server) = $0 { true } else { false } }
                #expect(try await aio.closeReason(of: pair.server) == .peer)
                #expect(pair.server.send("late") == .refused(.closed))
            }
        }

        @Test func `a peer that resets gives one closed event and ends nothing else`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let endpoint = listener.endpoint
                for _ in 0..<20 {
                    let peer = try await onThread { try RawPeer(connectingTo: endpoint) }
                    let server = try await aio.nextAccepted()
                    peer.reset()
                    // Written into a reset connection, this would be SIGPIPE.
                    server.send("x")
                    #expect(try await aio.closeReason(of: server) == .reset)
                    #expect(server.send("x") == .refused(.closed))
                }
                #expect(aio.statistics.connections == 0)
            }
        }

        @Test func `bytes that came before a reset are delivered or dropped, and closed is the last event`()
            async throws
        {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let endpoint = listener.endpoint
                let peer = try await onThread { try RawPeer(connectingTo: endpoint) }
                let server = try await aio.nextAccepted()
                try peer.send("some bytes")
                #expect(await eventually { aio.statistics.total.bytesReceived == 10 })
                peer.reset()
                #expect(await eventually { aio.statistics.total.openConnections == 0 })
                var names: [String] = []
                try await aio.run { event in
                    names.append(event.name)
                    if case .closed(server, let reason) = event { #expect(reason == .reset) }
                    return event.name == "closed"
                }
                #expect(names == ["received", "closed"])
            }
        }
    }
}
