// Many datagrams: none lost while the program keeps up, all losses counted when it does not, memory and queues bounded
// throughout.

import AIO
import AIOKernel
import AIOTesting
import AIOWorkers
import Testing

@Suite struct DatagramFlowTests {
    @Test(.simulated(seeds: 0..<15)) func `datagrams paced by answers all arrive, in order and once`()
        async throws
    {
        try await withSockets { sockets in
            let (server, client) = (sockets.server, sockets.client)
            let count = 300
            async let echoed = {
                var next = 0
                for try await datagram in server.datagrams {
                    #expect(datagram.number == next)
                    next += 1
                    try await server.send(datagram.bytes, to: datagram.sender)
                }
                return next
            }()
            // Sixteen are under way at a time.
            for number in 0..<count + 16 {
                if number < count { try await client.send("\(number)") }
                if number >= 16 { #expect(try await client.receive()?.number == number - 16) }
            }
            let statistics = server.statistics
            #expect(statistics.received == UInt64(count) && statistics.dropped == 0)
            #expect(statistics.kernelDropped == 0 && statistics.sendErrors == 0)
            await server.close()
            #expect(try await echoed == count)
        }
    }

    // MARK: The inbox

    /// Sends `count` numbered datagrams of `byteCount` to the server, whose program takes none; returns when it has read them
    /// all.
    private func flood(_ sockets: Sockets, count: Int, byteCount: Int) async throws {
        // So many that the kernels' buffers hold them.
        let step = max(1, min(64, 60_000 / byteCount))
        for start in stride(from: 0, to: count, by: step) {
            let end = min(start + step, count)
            for number in start..<end { try await sockets.client.send(Self.payload(number, byteCount)) }
            await sockets.world.settle()
            #expect(sockets.server.statistics.received == UInt64(end))
        }
    }

    private static func payload(_ number: Int, _ byteCount: Int) -> Bytes {
        Tape.bytes(at: number * 64, count: byteCount)
    }

    @Test(.simulated(seeds: 0..<15))
    func `when the program lags, the newest are dropped and counted, the oldest kept`() async throws {
        try await withSockets(server: .with { $0.inboxDatagramsMax = 100 }) { sockets in
            try await flood(sockets, count: 300, byteCount: 50)
            let server = sockets.server
            #expect(server.statistics.dropped == 200 && server.statistics.inboxCount == 100)
            #expect(server.drain().map(\.bytes) == (0..<100).map { Self.payload($0, 50) })
            try await sockets.client.send("after")
            #expect(try await server.receive()?.bytes == "after")
        }
    }

    @Test(.simulated(seeds: 0..<15)) func `with dropOldest the newest are kept`() async throws {
        let options = DatagramOptions.with {
            $0.inboxDatagramsMax = 100
            $0.whenInboxIsFull = .dropOldest
        }
        try await withSockets(server: options) { sockets in
            try await flood(sockets, count: 300, byteCount: 50)
            let server = sockets.server
            #expect(server.statistics.dropped == 200 && server.statistics.inboxCount == 100)
            #expect(server.drain().map(\.bytes) == (200..<300).map { Self.payload($0, 50) })
        }
    }

    @Test(.simulated(seeds: 0..<15))
    func `what waits for the program is bounded in bytes, and so are the slabs`()
        async throws
    {
        let configure = { (configuration: inout Proactor.Configuration) in
            configuration.slabByteCount = 16_384
            configuration.inboundByteCountMax = 8 << 20
        }
        try await withSockets(server: .with { $0.inboxByteCountMax = 100_000 }, configure: configure) {
            sockets in
            try await flood(sockets, count: 100, byteCount: 4_000)
            let statistics = sockets.server.statistics
            #expect(statistics.inboxCount == 100_000 / 4_000)
            #expect(statistics.dropped == UInt64(100 - statistics.inboxCount))
            // Four to a slab, and the one that is being filled.
            #expect(sockets.aio.statistics.total.slabsInUse <= statistics.inboxCount / 4 + 2)
            #expect(sockets.server.drain().count == statistics.inboxCount)
            await sockets.world.settle()
            #expect(sockets.aio.statistics.total.slabsInUse <= 1)
        }
    }

    @Test(.simulated(seeds: 0..<15)) func `the worker's inbound budget limits the inbox too`() async throws {
        let options = DatagramOptions.with {
            $0.inboxByteCountMax = 64 << 20
            $0.inboxDatagramsMax = 100_000
        }
        let configure = { (configuration: inout Proactor.Configuration) in
            configuration.slabByteCount = 16_384
            configuration.inboundByteCountMax = 128 << 10
        }
        try await withSockets(server: options, configure: configure) { sockets in
            try await flood(sockets, count: 100, byteCount: 4_000)
            #expect(sockets.server.statistics.dropped > 60 && sockets.server.statistics.inboxCount > 20)
            #expect(sockets.aio.statistics.total.slabsInUse <= 10)
        }
    }

    // MARK: The worker's time

    @Test(.simulated(seeds: 0..<15)) func `a flood is spread over passes, and others get their turn`()
        async throws
    {
        let options = DatagramOptions.with { $0.receiveBufferByteCount = 1 << 20 }
        try await withSockets(server: options) { sockets in
            let (world, flooded) = (sockets.world, sockets.server)
            let other = try await sockets.aio.bind(udp: "127.0.0.1:0")
            let stop = sockets.stopReceiving(of: flooded)
            let stopOther = sockets.stopReceiving(of: other)
            // More than a pass's budget, and one for another socket behind them.
            for number in 0..<500 {
                try await sockets.client.send("\(number)")
                if number % 50 == 49 { await world.settle() }
            }
            let stranger = try await sockets.aio.bind(udp: "127.0.0.1:0")
            try await stranger.send("x", to: other.endpoint)
            await world.settle()
            #expect(flooded.statistics.received == 0 && other.statistics.received == 0)
            let polls = sockets.aio.statistics.total.polls
            stop.end()
            stopOther.end()
            #expect(try await other.receive()?.bytes == "x")
            try await world.advance(by: .milliseconds(2))
            #expect(flooded.statistics.received == 500 && flooded.statistics.kernelDropped == 0)
            #expect(sockets.aio.statistics.total.polls - polls >= 500 / 128)
        }
    }

    @Test(.simulated(seeds: 0..<15)) func `what the kernel drops is counted with the next datagram`()
        async throws
    {
        let options = DatagramOptions.with { $0.receiveBufferByteCount = 4_096 }
        try await withSockets(server: options) { sockets in
            let (world, server) = (sockets.world, sockets.server)
            let stop = sockets.stopReceiving(of: server)
            for number in 0..<100 {
                try await sockets.client.send(Tape.bytes(at: number, count: 1_000))
                if number % 50 == 49 { await world.settle() }
            }
            stop.end()
            try await world.advance(by: .milliseconds(2))
            #expect(server.statistics.received == 4 && server.statistics.kernelDropped == 96)
            try await sockets.client.send("after")
            for _ in 0..<4 { #expect(try await server.receive()?.bytes.count == 1_000) }
            #expect(try await server.receive()?.bytes == "after")
            #expect(server.statistics.kernelDropped == 96)
        }
    }

    // MARK: The outbound queue

    @Test(.simulated(seeds: 0..<30)) func `a full queue makes send wait in order, and trySend refuse`()
        async throws
    {
        try await withSockets(client: .with { $0.outboundDatagramsMax = 4 }) { sockets in
            let (world, client) = (sockets.world, sockets.client)
            let stop = sockets.stopSending()
            for number in 0..<4 { #expect(client.trySend("\(number)") == .queued) }
            #expect(client.trySend("4").refusal == .limitReached)
            #expect(client.statistics.sendsRefused == 1 && client.statistics.outboundCount == 4)
            try await withThrowingTaskGroup { group in
                for number in 4..<10 {
                    group.addTask { try await client.send("\(number)") }
                    await world.settle()
                    #expect(client.core.waitingSendCount == number - 3)
                }
                // Those who wait come first.
                #expect(client.trySend("4").refusal == .limitReached)
                stop.end()
                try await group.waitForAll()
            }
            for number in 0..<10 { #expect(try await sockets.server.receive()?.number == number) }
            #expect(client.statistics.outboundCount == 0 && client.statistics.sent == 10)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `the queue is bounded in bytes`() async throws {
        try await withSockets(client: .with { $0.outboundByteCountMax = 100_000 }) { sockets in
            let stop = sockets.stopSending()
            let payload = Tape.bytes(count: 30_000)
            var accepted = 0
            while accepted < 10, sockets.client.trySend(payload) == .queued { accepted += 1 }
            #expect(accepted == 3)
            #expect(sockets.client.trySend("small") == .queued)
            stop.end()
            try await sockets.world.advance(by: .milliseconds(2))
            #expect(sockets.client.statistics.sent == 4)
        }
    }

    @Test(.simulated(seeds: 0..<30))
    func `a send that is cancelled while it waits was not accepted, others were`() async throws {
        try await withSockets(client: .with { $0.outboundDatagramsMax = 1 }) { sockets in
            let (world, client) = (sockets.world, sockets.client)
            let stop = sockets.stopSending()
            try await client.send("first")
            let cancelled = Task(executorPreference: world.taskExecutor) {
                try await client.send("cancelled")
            }
            await world.settle()
            async let last: Void = client.send("last")
            await world.settle()
            #expect(client.core.waitingSendCount == 2)
            cancelled.cancel()
            #expect(await code { try await cancelled.value } == .cancelled)
            stop.end()
            try await last
            #expect(try await sockets.server.receive()?.bytes == "first")
            #expect(try await sockets.server.receive()?.bytes == "last")
            await world.settle()
            #expect(client.statistics.sent == 2)
            #expect(sockets.server.drain().isEmpty)
        }
    }

    @Test(.simulated(seeds: 0..<40))
    func `sends that are cancelled at random were each accepted wholly or not at all`() async throws {
        try await withSockets(client: .with { $0.outboundDatagramsMax = 2 }) { sockets in
            let (world, client) = (sockets.world, sockets.client)
            let accepted = await withTaskGroup(of: Int?.self) { group in
                for number in 0..<40 {
                    group.addTask {
                        let send = Task(executorPreference: world.taskExecutor) {
                            try await client.send("\(number)")
                        }
                        if number.isMultiple(of: 3) {
                            for _ in 0..<number % 4 { await Task.yield() }
                            send.cancel()
                        }
                        return if case .success = await send.result { number } else { nil }
                    }
                }
                return await group.reduce(into: Set<Int>()) { set, number in
                    if let number { set.insert(number) }
                }
            }
            await world.settle()
            #expect(accepted.count >= 26 && sockets.server.statistics.received == UInt64(accepted.count))
            let received = sockets.server.drain().compactMap(\.number)
            #expect(Set(received) == accepted && received.count == accepted.count)
        }
    }
}
