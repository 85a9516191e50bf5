// The numbers add up.

import AIO
import AIOTesting
import Testing

@Suite struct StatisticsTests {
    @Test(.simulated(seeds: 0..<30)) func `connections and bytes are counted once, on both ends`()
        async throws
    {
        let (count, byteCount) = (4, 2_345)
        try await withServerHost { world, aio in
            let log = EventLog(aio) { event in
                if case .received(let bytes, let connection) = event, connection.isAccepted {
                    connection.send(bytes)
                }
            }
            let listener = try await aio.events.listen(on: "127.0.0.1:0")
            #expect(aio.statistics.workers.count == 2)
            let clients = try (0..<count).map { _ in try aio.events.connect(to: listener.endpoint) }
            for client in clients { client.send(Pattern(byteCount: byteCount).bytes(at: 0)) }
            await world.settle()
            for client in clients { #expect(log.received(by: client).count == byteCount) }
            let middle = aio.statistics
            #expect(middle.connections == 2 * count)
            #expect(middle.total.accepted == count && middle.total.connected == count)
            #expect(middle.total.openConnections == 2 * count)
            #expect(middle.total.bytesReceived == 2 * count * byteCount)
            #expect(middle.total.bytesSent == middle.total.bytesReceived)
            #expect(middle.total.receives > 0 && middle.total.sends > 0 && middle.total.polls > 0)
            for client in clients { client.abort() }
            await world.settle()
            #expect(log.closed.count == 2 * count)
            #expect(aio.statistics.connections == 0)
            #expect(aio.statistics.total.openConnections == 0)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `a slab is out of the pool as long as somebody keeps bytes in it`()
        async throws
    {
        try await withServerHost(workers: 1, configure: { $0.idleSlabsMax = 0 }) { world, aio in
            let kept = Log<Bytes>()
            let server = try await aio.serving { connection in
                for try await chunk in connection.chunks { kept.add(chunk) }
            }
            let peer = try await server.connect(arrival: .drawn)
            try await peer.send(Pattern(byteCount: 30_000).bytes(at: 0))
            await world.settle()
            #expect(kept.values.reduce(0) { $0 + $1.count } == 30_000)
            // Of 4,096 bytes each.
            #expect(aio.statistics.total.slabsInUse >= 7)
            kept.removeAll()
            #expect(aio.statistics.total.slabsInUse <= 1)
            peer.close()
            _ = try await server.drained()
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.all)
    func `a connection counts its own bytes, read and unread`(executor: HandlerExecutor) async throws {
        try await withMockPeer(
            options: .testing(executor), arrival: .chaos,
            serving: { connection in
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
        ) { peer in
            try await peer.send("0123456789")
            try await peer.expect("12345")
            try await peer.expectEnd()
        }
    }
}
