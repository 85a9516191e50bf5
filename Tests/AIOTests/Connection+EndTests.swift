// The ways a connection ends: close delivers, abort does not, and nothing follows either but closed.

import AIO
import SystemPackage
import Testing

extension Loopback {
    @Suite struct EndTests {
        @Test func `a reply is never truncated, though the peer's request was not read to its end`()
            async throws
        {
            // Closing a socket with unread input resets it, and the reset overtakes what was sent before.
            try await withProactor(.testing { $0.connection.receiveWindow = 1_024 }) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let endpoint = listener.endpoint
                var whole = 0
                for _ in 0..<50 {
                    async let count = onThread {
                        let peer = try RawPeer(connectingTo: endpoint)
                        // More than the window: when the reply comes, most of this is unread.
                        try peer.send([UInt8](repeating: 0x3f, count: 40_000))
                        let count = try peer.countToEnd()
                        peer.close()
                        return count
                    }
                    let server: Connection = try await aio.first {
                        if case .received(_, let connection) = $0 { connection } else { nil }
                    }
                    server.send(Pattern.bytes(at: 0, count: 900_000))
                    server.close()
                    if try await count == 900_000 { whole += 1 }
                    #expect(try await aio.closeReason(of: server) == .local)
                }
                #expect(whole == 50)
            }
        }

        @Test func `close sends everything that was queued, however large`() async throws {
            try await withProactor(.testing()) { aio in
                let limits = ConnectionLimits.testing { $0.outboundByteCountMax = 1 << 30 }
                let pair = try await aio.pair(serverLimits: limits)
                for index in 0..<16 { pair.server.send(Pattern.bytes(at: index << 20, count: 1 << 20)) }
                pair.server.close()
                var position = 0
                try await aio.run { event in
                    if case .received(let bytes, pair.client) = event {
                        #expect(Pattern.matches(bytes, at: position))
                        position += bytes.count
                    }
                    if case .closed(pair.client, let reason) = event {
                        #expect(reason == .peer)
                        return true
                    }
                    return false
                }
                #expect(position == 16 << 20)
            }
        }

        @Test func `abort resets the connection`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let endpoint = listener.endpoint
                let peer = try await onThread { try RawPeer(connectingTo: endpoint) }
                let server = try await aio.nextAccepted()
                server.abort()
                server.abort()
                server.close()
                #expect(try await aio.closeReason(of: server) == .aborted)
                await #expect(throws: Errno.connectionReset) {
                    try await onThread { try peer.receiveToEnd() }
                }
                #expect(server.send("x") == .refused(.closed))
                peer.close()
            }
        }

        @Test
        func `after close nothing is delivered but closed, also of what was taken off the list already`()
            async throws
        {
            try await withProactor(.testing { $0.slabByteCount = 4_096 }) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let endpoint = listener.endpoint
                let peer = try await onThread { try RawPeer(connectingTo: endpoint) }
                let server = try await aio.nextAccepted()
                // Slices of several slabs wait together, and the peer's end behind them.
                try peer.send([UInt8](repeating: 1, count: 60_000))
                #expect(await eventually { aio.statistics.total.bytesReceived == 60_000 })
                try peer.send([UInt8](repeating: 1, count: 5_000))
                peer.finish()
                #expect(await eventually { aio.statistics.total.bytesReceived == 65_000 })
                var received = 0
                var names: [String] = []
                try await aio.run { event in
                    names.append(event.name)
                    if case .received(let bytes, _) = event {
                        received += bytes.count
                        server.close()
                    }
                    return event.name == "closed"
                }
                #expect(names == ["received", "closed"])
                #expect(received < 65_000, "the close came in the middle of the batch")
                peer.close()
            }
        }

        @Test func `closing a connection whose accepted was just taken drops its bytes`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let peers = try (0..<20).map { _ in try RawPeer(connectingTo: listener.endpoint) }
                for peer in peers { try peer.send("never seen") }
                #expect(await eventually { aio.statistics.total.bytesReceived == 200 })
                for peer in peers { peer.finish() }
                var closed = 0
                try await aio.run { event in
                    switch event {
                    case .accepted(let connection): connection.close()
                    case .closed: closed += 1
                    default: Issue.record("\(event.name) after close")
                    }
                    return closed == 20
                }
                for peer in peers { peer.close() }
            }
        }

        @Test func `a peer that never ends is cut after the linger timeout`() async throws {
            try await withProactor(.testing { $0.connection.lingerTimeout = .milliseconds(100) }) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let endpoint = listener.endpoint
                let peer = try await onThread { try RawPeer(connectingTo: endpoint) }
                let server = try await aio.nextAccepted()
                let start = ContinuousClock.now
                server.send("bye")
                server.close()
                #expect(try await aio.closeReason(of: server) == .local)
                // Counted from the beginning of the worker's pass, which may be before the call.
                #expect(ContinuousClock.now - start >= .milliseconds(50))
                #expect(try peer.receiveText(3) == "bye")
                peer.close()
            }
        }

        @Test func `a peer that takes nothing of what is queued is cut after the linger timeout`()
            async throws
        {
            try await withProactor(.testing { $0.connection.lingerTimeout = .milliseconds(100) }) { aio in
                let limits = ConnectionLimits.testing {
                    $0.outboundByteCountMax = 1 << 30
                    $0.lingerTimeout = .milliseconds(100)
                }
                let listener = try await aio.events.listen(on: "127.0.0.1:0", limits: limits)
                let peer = try RawPeer(connectingTo: listener.endpoint, receiveBufferByteCount: 4_096)
                let server = try await aio.nextAccepted()
                for index in 0..<32 { server.send(Pattern.bytes(at: index << 20, count: 1 << 20)) }
                server.close()
                guard case .failed(let error) = try await aio.closeReason(of: server) else {
                    return #expect(
                        Bool(false), "bytes that were queued are lost, and the reason does not say so")
                }
                #expect(error.code == .timedOut)
                #expect(server.pendingByteCount == 0)
                peer.close()
            }
        }

        @Test func `a peer that goes on sending is cut after the linger byte limit`() async throws {
            try await withProactor(.testing()) { aio in
                let limits = ConnectionLimits.testing {
                    $0.lingerByteCountMax = 100_000
                    $0.lingerTimeout = .seconds(60)
                }
                let listener = try await aio.events.listen(on: "127.0.0.1:0", limits: limits)
                let endpoint = listener.endpoint
                let peer = try await onThread { try RawPeer(connectingTo: endpoint) }
                let server = try await aio.nextAccepted()
                server.close()
                async let pushed = onThread { () throws -> Bool in
                    do {
                        while true { try peer.send([UInt8](repeating: 0, count: 10_000)) }
                    } catch is Errno {
                        return true
                    }
                }
                #expect(try await aio.closeReason(of: server) == .local)
                #expect(try await pushed)
                #expect(aio.statistics.total.bytesReceived > 100_000)
                peer.close()
            }
        }

        @Test func `a connection on which nothing happens is closed with idle, one that is used is not`()
            async throws
        {
            try await withProactor(.testing()) { aio in
                let idle = ConnectionLimits.testing { $0.idleTimeout = .milliseconds(150) }
                let quiet = try await aio.pair(serverLimits: idle)
                let busy = try await aio.pair(serverLimits: idle)
                let start = ContinuousClock.now
                // The busy one exchanges a byte every 20 ms until the quiet one is gone.
                try aio.events.schedule(after: .milliseconds(20), tag: 1)
                var exchanged = 0
                try await aio.run { event in
                    switch event {
                    case .timer:
                        busy.client.send("x")
                        try aio.events.schedule(after: .milliseconds(20), tag: 1)
                    case .received(_, busy.server): exchanged += 1
                    case .closed(busy.server, let reason): Issue.record("closed: \(reason)")
                    case .closed(quiet.server, let reason):
                        #expect(reason == .idle)
                        #expect(ContinuousClock.now - start >= .milliseconds(100))
                    case .closed(quiet.client, let reason):
                        #expect(reason == .peer || reason == .reset)
                    default: break
                    }
                    return ContinuousClock.now - start > .milliseconds(300) && exchanged > 5
                }
                #expect(aio.statistics.total.openConnections == 2)
            }
        }
    }
}
