// What peers can make the engine hold: bytes, not slabs.

import AIO
import AIOTesting
import Testing

@Suite struct InboundMemoryTests {
    /// So many connections of a proactor on the host "far" to what listens on port 80, which are cut when `body` has ended.
    private func withClients(
        _ count: Int, in world: Simulation, _ body: (Proactor, [Connection]) async throws -> Void
    ) async throws {
        try await world.host("far").withProactor { far in
            var clients: [Connection] = []
            for _ in 0..<count { _ = try far.events.connect(to: "program:80") }
            try await far.run { event in
                if case .connected(let connection) = event { clients.append(connection) }
                return clients.count == count
            }
            try await body(far, clients)
            for client in clients { client.abort() }
        }
    }

    @Test(.simulated(seeds: 0..<3)) func `hundreds of peers that send one byte each hold a few slabs`()
        async throws
    {
        let count = 200
        try await withProgram(configure: { $0.unseenConnectionsMax = 10_000 }) { world, aio in
            _ = try await aio.events.listen(on: "*:80")
            try await withClients(count, in: world) { _, clients in
                for (index, client) in clients.enumerated() { client.send(Bytes([UInt8(index % 251)])) }
                await world.settle()
                #expect(aio.statistics.total.bytesReceived == UInt64(count))
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
            }
        }
    }

    @Test(.simulated(seeds: 0..<6))
    func `leftovers of one byte do not keep the slabs that bulk went through`()
        async throws
    {
        let count = 60
        let configure = { (configuration: inout Proactor.Configuration) in
            configuration.idleSlabsMax = 0
            configuration.unseenConnectionsMax = 10_000
        }
        try await withProgram(configure: configure) { world, aio in
            // A connection that was closed: what it still sends goes through slabs and is thrown away.
            let bulk = try await aio.meet(
                in: world,
                limits: .with {
                    $0.lingerByteCountMax = 1 << 30
                    $0.lingerTimeout = .seconds(500)
                })
            bulk.server.close()
            try await withClients(count, in: world) { _, clients in
                // Nobody iterates from here on. Each round leaves a byte in a slab that bulk then fills.
                var expected: UInt64 = 0
                for (index, client) in clients.enumerated() {
                    client.send(Bytes([UInt8(index % 251)]))
                    await world.settle()
                    try await bulk.peer.send(Tape.bytes(count: 4_096))
                    await world.settle()
                    expected += 4_097
                    #expect(aio.statistics.total.bytesReceived == expected)
                }
                #expect(aio.statistics.total.compactions > 0)
                #expect(aio.statistics.total.slabsInUse <= 8, "of \(count) that were begun")
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
                bulk.peer.close()
            }
        }
    }

    @Test(.simulated(seeds: 0..<6)) func `the inbound budget holds however many windows there are`()
        async throws
    {
        let budget = 128 << 10
        // Six times the budget of windows, and as much in the kernel's buffers.
        let count = 12
        let each = 100_000
        let configure = { (configuration: inout Proactor.Configuration) in
            configuration.inboundByteCountMax = budget
            configuration.idleSlabsMax = 0
        }
        try await withProgram(configure: configure) { world, aio in
            _ = try await aio.events.listen(on: "*:80")
            try await withClients(count, in: world) { _, clients in
                for client in clients {
                    client.send(Tape.bytes(count: each))
                    client.close()
                }
                await world.settle()
                // One slab may be begun beyond the budget for each read of a pass.
                #expect(aio.statistics.total.slabsInUse <= budget / 4_096 + count)
                #expect(aio.statistics.total.bytesReceived <= UInt64(budget + count * 4_096))
                #expect(aio.statistics.total.bytesReceived > UInt64(budget / 2))
                try await world.advance(by: .seconds(2))
                #expect(aio.statistics.total.slabsInUse <= budget / 4_096 + count)
                var positions: [Connection: Int] = [:]
                var closed = 0
                try await aio.run { event in
                    if case .received(let bytes, let connection) = event {
                        #expect(Tape.matches(bytes, at: positions[connection, default: 0]))
                        positions[connection, default: 0] += bytes.count
                    }
                    if event.kind == "closed" { closed += 1 }
                    return closed == count
                }
                #expect(positions.values.allSatisfy { $0 == each } && positions.count == count)
            }
        }
    }
}
