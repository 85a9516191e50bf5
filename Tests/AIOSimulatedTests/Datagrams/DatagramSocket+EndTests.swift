// Cancelling, closing, shutting down: who waits is told, nothing is lost that was promised, nothing stays open.

import AIO
import AIOKernel
import AIOWorkers
import Testing

@testable import AIOTesting

@Suite struct DatagramEndTests {
    // MARK: Cancelling

    @Test(.simulated(seeds: 0..<30)) func `a cancelled receive loses nothing`() async throws {
        try await withSockets { sockets in
            let server = sockets.server
            let pending = Task(executorPreference: sockets.world.taskExecutor) { try await server.receive() }
            await sockets.world.settle()
            #expect(server.core.hasSuspendedReader)
            pending.cancel()
            #expect(await code { _ = try await pending.value } == .cancelled)
            try await sockets.client.send("still there")
            #expect(try await server.receive()?.bytes == "still there")
        }
    }

    /// How many of some receives, each cancelled at about the moment when a datagram came, have taken one.
    private func raceReceives() async throws -> Int {
        let count = 12
        var next = 0
        var atOnce = 0
        try await withSockets { sockets in
            let (world, server) = (sockets.world, sockets.server)
            for number in 0..<count {
                let receive = Task(executorPreference: world.taskExecutor) { try await server.receive() }
                async let sent: Void = sockets.client.send("\(number)")
                for _ in 0..<(Int(world.seed) + number) % 5 * 5 { await Task.yield() }
                receive.cancel()
                if case .success(let datagram) = await receive.result {
                    try #require(datagram?.number == next)
                    next += 1
                }
                try await sent
            }
            atOnce = next
            while next < count {
                try #require(try await server.receive()?.number == next)
                next += 1
            }
            #expect(server.statistics.dropped == 0 && server.statistics.received == UInt64(count))
        }
        return atOnce
    }

    @Test(.simulated(seeds: 0..<60)) func `receives cancelled at any moment lose nothing`() async throws {
        _ = try await raceReceives()
    }

    @Test func `of the seeds some have the datagram first, and some the cancellation`() async throws {
        var taken = 0
        for seed in 0..<20 as Range<UInt64> {
            try await Simulation(seed: seed).run { _ in taken += try await raceReceives() }
        }
        #expect(taken > 20 && taken < 220, "\(taken) of 240")
    }

    @Test(.simulated(seeds: 0..<30)) func `cancelling ends an iteration, and a later one goes on`()
        async throws
    {
        try await withSockets { sockets in
            let server = sockets.server
            let iteration = Task(executorPreference: sockets.world.taskExecutor) {
                for try await _ in server.datagrams { Issue.record("there is nothing") }
            }
            await sockets.world.settle()
            iteration.cancel()
            try await iteration.value
            try await sockets.client.send("for the next")
            for try await datagram in server.datagrams {
                #expect(datagram.bytes == "for the next")
                break
            }
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `a second receive is an error, and the first goes on`() async throws
    {
        try await withSockets { sockets in
            async let first = sockets.server.receive()
            await sockets.world.settle()
            #expect(await code { _ = try await sockets.server.receive() } == .invalidArgument)
            try await sockets.client.send("for the first")
            #expect(try await first?.bytes == "for the first")
        }
    }

    // MARK: Closing

    @Test(.simulated(seeds: 0..<50))
    func `closing ends a pending receive with nil and pending sends with closed, and sends what is queued`()
        async throws
    {
        try await withSockets(client: .with { $0.outboundDatagramsMax = 1 }) { sockets in
            let (world, client) = (sockets.world, sockets.client)
            async let received = client.receive()
            let stop = sockets.stopSending()
            try await client.send("queued")
            async let sent = code { try await client.send("waits") }
            await world.settle()
            #expect(client.core.hasSuspendedReader && client.core.waitingSendCount == 1)
            // The kernel would take it now, and the worker has not heard of that yet.
            stop.end()
            await client.close()
            #expect(try await received == nil)
            #expect(await sent == .closed)
            await client.close()
            // What was queued went out before the end.
            #expect(try await sockets.server.receive()?.bytes == "queued")
            #expect(client.statistics.sent == 1 && client.statistics.sendsDropped == 0)
            #expect(await code { try await client.send("late") } == .closed)
            #expect(await code { try client.joinMulticast(.v4(239, 1, 1, 1)) } == .closed)
            #expect(try await client.receive() == nil)
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `what the kernel does not take at the end is dropped, and counted`()
        async throws
    {
        try await withSockets { sockets in
            let stop = sockets.stopSending()
            for _ in 0..<5 { try await sockets.client.send("x") }
            await sockets.client.close()
            #expect(sockets.client.statistics.sendsDropped == 5 && sockets.client.statistics.sent == 0)
            stop.end()
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `what waits for the program is dropped by closing, and counted`()
        async throws
    {
        try await withSockets { sockets in
            for _ in 0..<5 { try await sockets.client.send("x") }
            await sockets.world.settle()
            #expect(sockets.server.statistics.inboxCount == 5)
            await sockets.server.close()
            #expect(try await sockets.server.receive() == nil && sockets.server.drain().isEmpty)
            #expect(sockets.server.statistics.dropped == 5)
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `a socket that nobody holds any more is closed`() async throws {
        try await withProgram { world, aio in
            let kernel = world.host("program").kernel
            let before = kernel.openDescriptors
            var socket: DatagramSocket? = try await aio.bind(udp: "127.0.0.1:0")
            let endpoint = try #require(socket?.endpoint)
            #expect(await code { _ = try await aio.bind(udp: endpoint) } == .addressInUse)
            socket = nil
            await world.settle()
            #expect(kernel.openDescriptors == before)
            _ = try await aio.bind(udp: endpoint)
        }
    }

    // MARK: Shutting down

    @Test(.simulated(seeds: 0..<30))
    func `shutdown ends a pending receive, and leaves what came before to be taken`() async throws {
        try await withProgram { world, aio in
            let first = try await aio.bind(udp: "127.0.0.1:0")
            let second = try await aio.bind(udp: "127.0.0.1:0")
            async let pending = first.receive()
            try await first.send("before the end", to: second.endpoint)
            await world.settle()
            #expect(first.core.hasSuspendedReader && second.statistics.inboxCount == 1)
            try await aio.shutdown()
            #expect(try await pending == nil)
            #expect(try await second.receive()?.bytes == "before the end")
            #expect(try await second.receive() == nil)
            #expect(await code { try await first.send("x", to: second.endpoint) } == .closed)
            await second.close()
        }
    }

    @Test(.simulated(seeds: 0..<60)) func `shutdown in the middle of traffic ends everybody`() async throws {
        try await withSockets { sockets in
            let (world, server, client) = (sockets.world, sockets.server, sockets.client)
            async let echo: Void = {
                for try await datagram in server.datagrams {
                    server.trySend(datagram.bytes, to: datagram.sender)
                }
            }()
            async let sender: Void = { while case .queued = client.trySend("ping") { await Task.yield() } }()
            async let reader: Void = { for try await _ in client.datagrams {} }()
            try await world.wait(for: "some traffic") { client.statistics.received > 10 }
            try await sockets.aio.shutdown()
            await sender
            _ = try await (echo, reader)
        }
    }
}
