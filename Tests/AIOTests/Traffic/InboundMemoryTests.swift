// What peers can make the engine hold: bytes, not slabs.

import AIO
import Testing

extension Loopback {
    @Suite struct InboundMemoryTests {
        @Test func `thousands of peers that send one byte each hold a few slabs`() async throws {
            let count = isSanitized ? 500 : 2_000
            try await withProactor(.testing { $0.unseenConnectionsMax = 10_000 }) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let endpoint = listener.endpoint
                let peers = try await onThread {
                    try (0..<count).map { index in
                        let peer = try RawPeer(connectingTo: endpoint)
                        try peer.send([UInt8(index % 251)])
                        return peer
                    }
                }
                #expect(await eventually { aio.statistics.total.bytesReceived == UInt64(count) })
                #expect(aio.statistics.total.slabsInUse <= 4)
                var sum = 0
                var received = 0
                try await aio.run { event in
                    if case .received(let bytes, _) = event {
                        received += bytes.count
                        sum += bytes.reduce(0) { $0 + Int($1) }
                    }
                    return received == count
                }
                #expect(sum == (0..<count).reduce(0) { $0 + $1 % 251 })
                for peer in peers { peer.close() }
            }
        }

        @Test func `leftovers of one byte do not keep the slabs that bulk went through`() async throws {
            let configuration = Proactor.Configuration.testing {
                $0.workerCount = 1
                $0.slabByteCount = 16_384
                $0.idleSlabsMax = 0
                $0.unseenConnectionsMax = 10_000
            }
            let count = isSanitized ? 200 : 600
            try await withProactor(configuration) { aio in
                let listener = try await aio.events.listen(
                    on: "127.0.0.1:0",
                    limits: .testing {
                        $0.lingerByteCountMax = 1 << 30
                        $0.lingerTimeout = .seconds(600)
                    })
                // A connection that was closed: what it still sends goes through slabs and is thrown away.
                let bulk = try RawPeer(connectingTo: listener.endpoint)
                try await aio.nextAccepted().close()
                // Nobody iterates from here on. Each round leaves a byte in a slab that bulk then fills.
                var peers: [RawPeer] = []
                var expected: UInt64 = 0
                let filling = [UInt8](repeating: 0, count: 16_384)
                for index in 0..<count {
                    let peer = try RawPeer(connectingTo: listener.endpoint)
                    peers.append(peer)
                    try peer.send([UInt8(index % 251)])
                    try bulk.send(filling)
                    expected += UInt64(filling.count + 1)
                    #expect(await eventually { aio.statistics.total.bytesReceived == expected })
                }
                let statistics = aio.statistics.total
                #expect(statistics.compactions > 0)
                #expect(statistics.slabsInUse <= 16, "of \(count) that were begun")
                var sum = 0
                var received = 0
                try await aio.run { event in
                    if case .received(let bytes, _) = event {
                        received += bytes.count
                        sum += bytes.reduce(0) { $0 + Int($1) }
                    }
                    return received == count
                }
                #expect(sum == (0..<count).reduce(0) { $0 + $1 % 251 })
                for peer in peers + [bulk] { peer.close() }
            }
        }

        @Test func `the inbound budget holds however many windows there are`() async throws {
            let configuration = Proactor.Configuration.testing {
                $0.workerCount = 1
                $0.slabByteCount = 16_384
                $0.inboundByteCountMax = 1 << 20
                $0.idleSlabsMax = 0
            }
            try await withProactor(configuration) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let endpoint = listener.endpoint
                // A hundred windows of 64 KiB, six times the budget.
                let count = 100
                let each = 100_000
                async let sent: Void = onThread {
                    let peers = try (0..<count).map { _ in try RawPeer(connectingTo: endpoint) }
                    for peer in peers {
                        try peer.send([UInt8](repeating: 1, count: each))
                        peer.finish()
                    }
                    for peer in peers {
                        _ = try peer.receiveToEnd()
                        peer.close()
                    }
                }
                // Until the budget stops the reading: then what was received stays what it was.
                var last: UInt64 = 0
                var unchanged = 0
                #expect(
                    await eventually {
                        let now = aio.statistics.total.bytesReceived
                        unchanged = now == last && now > 500_000 ? unchanged + 1 : 0
                        last = now
                        return unchanged > 2_000
                    })
                // One slab may be begun beyond the budget for each read of a pass.
                #expect(aio.statistics.total.slabsInUse <= 80)
                #expect(aio.statistics.total.bytesReceived <= 80 * 16_384)
                var received = 0
                var closed = 0
                try await aio.run { event in
                    if case .received(let bytes, _) = event { received += bytes.count }
                    if event.name == "closed" { closed += 1 }
                    return closed == count
                }
                #expect(received == count * each)
                try await sent
            }
        }
    }
}
