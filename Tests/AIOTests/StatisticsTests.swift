// The numbers add up.

import AIO
import Testing

extension Loopback {
    @Suite struct StatisticsTests {
        @Test func `connections and bytes are counted once, on both ends`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                #expect(aio.statistics.workers.count == 2)
                let clients = try (0..<10).map { _ in try aio.events.connect(to: listener.endpoint) }
                for client in clients { client.send(Pattern.bytes(at: 0, count: 12_345)) }
                var received = 0
                var begun = 0
                try await aio.run { event in
                    switch event {
                    case .accepted, .connected: begun += 1
                    case .received(let bytes, let connection):
                        received += bytes.count
                        if connection.isAccepted { connection.send(bytes) }
                    default: break
                    }
                    return begun == 20 && received == 20 * 12_345
                }
                // Sent bytes are counted after the call that sends them, by when the other worker may have them.
                #expect(await eventually { aio.statistics.total.bytesSent == UInt64(received) })
                let middle = aio.statistics
                #expect(middle.connections == 20)
                #expect(middle.total.accepted == 10)
                #expect(middle.total.connected == 10)
                #expect(middle.total.openConnections == 20)
                #expect(middle.total.bytesReceived == UInt64(received))
                #expect(middle.total.bytesSent == middle.total.bytesReceived)
                #expect(middle.total.receives > 0 && middle.total.sends > 0 && middle.total.polls > 0)
                for client in clients { client.abort() }
                var closed = 0
                try await aio.run { event in
                    if event.name == "closed" { closed += 1 }
                    return closed == 20
                }
                #expect(aio.statistics.connections == 0)
                #expect(aio.statistics.total.openConnections == 0)
            }
        }

        @Test func `every byte sent is received when both ends are in one proactor`() async throws {
            try await withProactor(.testing()) { aio in
                let pair = try await aio.pair()
                pair.client.send(Pattern.bytes(at: 0, count: 500_000))
                pair.client.close()
                _ = try await aio.closeReason(of: pair.server)
                #expect(aio.statistics.total.bytesSent == 500_000)
                #expect(aio.statistics.total.bytesReceived == 500_000)
            }
        }

        @Test func `a slab is out of the pool as long as somebody keeps bytes in it`() async throws {
            try await withProactor(
                .testing {
                    $0.workerCount = 1; $0.slabByteCount = 4_096; $0.idleSlabsMax = 0
                }
            ) {
                aio in
                let pair = try await aio.pair()
                pair.client.send(Pattern.bytes(at: 0, count: 60_000))
                var kept: [Bytes] = []
                var count = 0
                try await aio.run { event in
                    if case .received(let bytes, pair.server) = event {
                        kept.append(bytes)
                        count += bytes.count
                    }
                    return count == 60_000
                }
                #expect(aio.statistics.total.slabsInUse >= 14)
                kept = []
                #expect(await eventually { aio.statistics.total.slabsInUse <= 1 })
            }
        }

        @Test func `a connection counts its own bytes, read and unread`() async throws {
            try await withProactor(.testing()) { aio in
                let server = try await aio.listen(on: "127.0.0.1:0")
                async let served = server.serve { connection in
                    #expect(try await connection.peek(atLeast: 10) == "0123456789")
                    #expect(connection.statistics.bytesReceived == 10)
                    #expect(connection.statistics.unreadByteCount == 10)
                    #expect(try await connection.read(exactly: 4) == "0123")
                    #expect(connection.statistics.unreadByteCount == 6)
                    try await connection.write("12345")
                    try await connection.flush()
                    #expect(connection.statistics.bytesSent == 5)
                    #expect(connection.statistics.pendingByteCount == 0)
                }
                try await aio.connect(to: server.endpoint) { connection in
                    try await connection.write("0123456789")
                    #expect(try await connection.read(exactly: 5) == "12345")
                }
                server.drain(within: .seconds(5))
                #expect(try await served.failed == 0)
            }
        }
    }
}
