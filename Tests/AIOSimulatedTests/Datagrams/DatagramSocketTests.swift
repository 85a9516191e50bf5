// Single datagrams: what goes out comes in, whole, once, with its sender; and what cannot go out is said.

import AIO
import AIOKernel
import AIOTesting
import Testing

@Suite struct DatagramSocketTests {
    @Test(.simulated(seeds: 0..<30)) func `the sequence hands out datagrams until the socket is closed`()
        async throws
    {
        try await withSockets { sockets in
            let (server, client) = (sockets.server, sockets.client)
            async let echoed = {
                var count = 0
                for try await datagram in server.datagrams {
                    try await server.send(datagram.bytes, to: datagram.sender)
                    count += 1
                }
                return count
            }()
            for number in 0..<10 {
                try await client.send("\(number)")
                #expect(try await client.receive()?.bytes == "\(number)")
            }
            await server.close()
            #expect(try await echoed == 10)
            #expect(try await server.receive() == nil)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `a datagram longer than wanted is cut, says so, and is counted`()
        async throws
    {
        try await withSockets(server: .with { $0.payloadByteCountMax = 10 }) { sockets in
            for payload: Bytes in ["0123456789", "0123456789abc"] { try await sockets.client.send(payload) }
            let whole = try #require(try await sockets.server.receive())
            let cut = try #require(try await sockets.server.receive())
            #expect(whole.bytes == "0123456789" && !whole.isTruncated)
            #expect(cut.bytes == "0123456789" && cut.isTruncated)
            #expect(sockets.server.statistics.truncated == 1)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `small datagrams share slabs`() async throws {
        try await withSockets { sockets in
            for number in 0..<500 {
                try await sockets.client.send("\(number)")
                // The kernel's send buffer does not hold all of them.
                if number % 50 == 49 { await sockets.world.settle() }
            }
            await sockets.world.settle()
            #expect(sockets.server.statistics.inboxCount == 500)
            #expect(sockets.aio.statistics.total.slabsInUse <= 2)
            #expect(sockets.server.drain(atMost: 500).map(\.number) == Array(0..<500))
            #expect(sockets.server.drain().isEmpty)
        }
    }

    @Test(.simulated(seeds: 0..<10)) func `what cannot be sent is said at once`() async throws {
        try await withProgram { _, aio in
            let socket = try await aio.bind(udp: "127.0.0.1:0")
            let v6 = try await aio.bind(udp: "[::1]:0")
            let tooLong = Tape.bytes(count: 65_508)
            #expect(await code { try await socket.send(tooLong, to: socket.endpoint) } == .tooLarge)
            let tooLongV6 = Tape.bytes(count: 65_528)
            #expect(await code { try await v6.send(tooLongV6, to: v6.endpoint) } == .tooLarge)
            for target: Endpoint in [
                .host("example.org", port: 1), .any(port: 1), .unix("/tmp/x"), .ip(.loopbackV4, port: 0),
                v6.endpoint,
            ] {
                #expect(
                    await code { try await socket.send("x", to: target) } == .invalidArgument, "\(target)")
                #expect(socket.trySend("x", to: target).refusal == .invalidArgument, "\(target)")
            }
            #expect(await code { try await socket.send("x") } == .invalidArgument)
            #expect(socket.statistics.sent == 0)
        }
    }

    // MARK: Connected sockets

    @Test(.simulated(seeds: 0..<50))
    func `a connected socket hears of a port where nobody listens, and goes on working`() async throws {
        try await withSockets { sockets in
            let (world, client) = (sockets.world, sockets.client)
            let endpoint = sockets.server.endpoint
            await sockets.server.close()
            #expect(client.peer == endpoint)
            try await client.send("anybody?")
            #expect(await code { _ = try await client.receive() } == .connectionRefused)
            // The next send hears of it as well, if no receive did before, and once.
            try await client.send("anybody?")
            await world.settle()
            #expect(client.trySend("again").refusal == .connectionRefused)
            #expect(client.trySend("and again") == .queued)
            await world.settle()
            let server = try await sockets.aio.bind(udp: endpoint)
            #expect(await code { try await client.send("x") } == .connectionRefused)
            try await client.send("there")
            #expect(try await server.receive() == Datagram(bytes: "there", sender: client.endpoint))
            #expect(client.statistics.sent == 4 && client.statistics.outboundCount == 0)
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `a connected socket gets its peer's datagrams only`() async throws {
        try await withSockets { sockets in
            let stranger = try await sockets.aio.bind(udp: "127.0.0.1:0")
            try await stranger.send("psst", to: sockets.client.endpoint)
            await sockets.world.settle()
            #expect(stranger.statistics.sent == 1)
            try await sockets.server.send("hello", to: sockets.client.endpoint)
            #expect(try await sockets.client.receive()?.bytes == "hello")
            #expect(sockets.client.drain().isEmpty)
        }
    }
}
