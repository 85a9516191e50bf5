// Datagrams over real loopback sockets: what goes out comes in, whole, once, with its sender.

import AIO
import AIOKernel
import Testing

extension Loopback {
    @Suite struct DatagramSocketTests {
        /// Sends each datagram from one socket to another and back, and checks both ends.
        private func exchange(_ payloads: [Bytes], on endpoint: String, to host: IPAddress) async throws {
            try await withProactor(.testing()) { aio in
                let server = try await aio.bind(udp: endpoint)
                let client = try await aio.bind(udp: "\(endpoint.hasPrefix("[") ? "[::1]" : "127.0.0.1"):0")
                let target = Endpoint.ip(host, port: try #require(server.endpoint.port))
                for payload in payloads {
                    try await client.send(payload, to: target)
                    let question = try #require(try await server.receive())
                    #expect(question == Datagram(bytes: payload, sender: client.endpoint))
                    try await server.send(question.bytes, to: question.sender)
                    let answer = try #require(try await client.receive())
                    #expect(answer.bytes == payload && answer.sender == target && !answer.isTruncated)
                }
                let byteCount = UInt64(payloads.reduce(0) { $0 + $1.count })
                for socket in [server, client] {
                    #expect(await eventually { socket.statistics.sent == UInt64(payloads.count) })
                    let statistics = socket.statistics
                    #expect(statistics.received == UInt64(payloads.count))
                    #expect(
                        statistics.receivedByteCount == byteCount && statistics.sentByteCount == byteCount)
                    #expect(
                        statistics.dropped == 0 && statistics.sendErrors == 0 && statistics.truncated == 0)
                    await socket.close()
                }
            }
        }

        private let payloads: [Bytes] = ["question", "", "!", Pattern.bytes(at: 7, count: 65_507)]

        @Test func `datagrams go both ways over IPv4, the empty and the longest included`() async throws {
            try await exchange(payloads, on: "127.0.0.1:0", to: .loopbackV4)
        }

        @Test func `datagrams go both ways over IPv6, the empty and the longest included`() async throws {
            let longest = Pattern.bytes(at: 3, count: 65_527)
            try await exchange(payloads + [longest], on: "[::1]:0", to: .loopbackV6)
        }

        @Test func `a socket on all addresses shows IPv4 peers as IPv4, and answers them`() async throws {
            try await exchange(["one", "two"], on: "*:0", to: .loopbackV4)
        }

        @Test func `a name is resolved`() async throws {
            try await withProactor(.testing()) { aio in
                let socket = try await aio.bind(udp: "localhost:0")
                #expect(socket.endpoint.address?.isLoopback == true && socket.endpoint.port != 0)
                #expect(socket.description == "UDP socket \(socket.endpoint)")
                await socket.close()
            }
        }

        @Test func `the sequence hands out datagrams until the socket is closed`() async throws {
            try await withProactor(.testing()) { aio in
                let server = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: server.endpoint)
                let echo = Task {
                    var count = 0
                    for try await datagram in server.datagrams {
                        try await server.send(datagram.bytes, to: datagram.sender)
                        count += 1
                    }
                    return count
                }
                for number in 0..<10 {
                    try await client.send("\(number)")
                    #expect(try await client.receive()?.bytes == "\(number)")
                }
                await server.close()
                #expect(try await echo.value == 10)
                #expect(try await server.receive() == nil)
            }
        }

        @Test func `a datagram longer than wanted is cut, says so, and is counted`() async throws {
            try await withProactor(.testing()) { aio in
                var options = DatagramOptions()
                options.payloadByteCountMax = 10
                let server = try await aio.bind(udp: "127.0.0.1:0", options: options)
                let client = try await aio.connect(udp: server.endpoint)
                for payload: Bytes in ["0123456789", "0123456789abc"] { try await client.send(payload) }
                let whole = try #require(try await server.receive())
                let cut = try #require(try await server.receive())
                #expect(whole.bytes == "0123456789" && !whole.isTruncated)
                #expect(cut.bytes == "0123456789" && cut.isTruncated)
                #expect(server.statistics.truncated == 1)
            }
        }

        @Test func `small datagrams share slabs`() async throws {
            try await withProactor(.testing()) { aio in
                let server = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: server.endpoint)
                for number in 0..<500 {
                    try await client.send("\(number)")
                    // The kernel's receive buffer does not hold all of them.
                    #expect(await eventually { server.statistics.inboxCount > number - 32 })
                }
                #expect(await eventually { server.statistics.inboxCount == 500 })
                let datagrams = server.drain(atMost: 500)
                #expect(datagrams.map(\.bytes) == (0..<500).map { "\($0)" })
                #expect(aio.statistics.total.slabsInUse <= 2)
                #expect(server.drain().isEmpty)
            }
        }

        private func code(_ body: () async throws(AIOError) -> Void) async -> AIOError.Code? {
            do throws(AIOError) { try await body() } catch { return error.code }
            return nil
        }

        @Test func `what cannot be sent is said at once`() async throws {
            try await withProactor(.testing()) { aio in
                let socket = try await aio.bind(udp: "127.0.0.1:0")
                let v6 = try await aio.bind(udp: "[::1]:0")
                let tooLong = Pattern.bytes(at: 0, count: 65_508)
                #expect(
                    await code { () throws(AIOError) in try await socket.send(tooLong, to: socket.endpoint) }
                        == .tooLarge)
                let tooLongV6 = Pattern.bytes(at: 0, count: 65_528)
                #expect(
                    await code { () throws(AIOError) in try await v6.send(tooLongV6, to: v6.endpoint) }
                        == .tooLarge)
                for target: Endpoint in [
                    .host("example.org", port: 1), .any(port: 1), .unix("/tmp/x"), .ip(.loopbackV4, port: 0),
                    v6.endpoint,
                ] {
                    #expect(
                        await code { () throws(AIOError) in try await socket.send("x", to: target) }
                            == .invalidArgument, "\(target)")
                    guard case .refused(let error) = socket.trySend("x", to: target) else {
                        Issue.record("\(target) was accepted")
                        continue
                    }
                    #expect(error.code == .invalidArgument)
                }
                #expect(await code { () throws(AIOError) in try await socket.send("x") } == .invalidArgument)
                #expect(socket.statistics.sent == 0)
            }
        }

        @Test func `what cannot be opened is said at once`() async throws {
            try await withProactor(.testing()) { aio in
                let socket = try await aio.bind(udp: "127.0.0.1:0")
                let endpoint = socket.endpoint
                #expect(
                    await code { () throws(AIOError) in _ = try await aio.bind(udp: endpoint) }
                        == .addressInUse)
                #expect(
                    await code { () throws(AIOError) in _ = try await aio.bind(udp: "192.0.2.1:0") }
                        == .addressNotAvailable)
                #expect(
                    await code { () throws(AIOError) in _ = try await aio.bind(udp: "unix:/tmp/x") }
                        == .unsupported)
                #expect(
                    await code { () throws(AIOError) in _ = try await aio.connect(udp: "*:9") }
                        == .invalidArgument)
                var options = DatagramOptions()
                options.inboxDatagramsMax = 0
                let senseless = options
                #expect(
                    await code { () throws(AIOError) in
                        _ = try await aio.bind(udp: "127.0.0.1:0", options: senseless)
                    } == .invalidArgument)
                try await aio.shutdown()
                #expect(
                    await code { () throws(AIOError) in _ = try await aio.bind(udp: "127.0.0.1:0") }
                        == .shutDown)
            }
        }

        @Test func `two sockets share an address if both say so`() async throws {
            try await withProactor(.testing()) { aio in
                var options = DatagramOptions()
                options.reusesAddress = true
                let first = try await aio.bind(udp: "127.0.0.1:0", options: options)
                let second = try await aio.bind(udp: first.endpoint, options: options)
                #expect(first.endpoint == second.endpoint)
            }
        }

        // MARK: Connected sockets

        @Test func `a connected socket hears of a port where nobody listens, and goes on working`()
            async throws
        {
            try await withProactor(.testing()) { aio in
                let placeholder = try await aio.bind(udp: "127.0.0.1:0")
                let endpoint = placeholder.endpoint
                await placeholder.close()
                let client = try await aio.connect(udp: endpoint)
                #expect(client.peer == endpoint)
                try await client.send("anybody?")
                #expect(
                    await code { () throws(AIOError) in _ = try await client.receive() } == .connectionRefused
                )
                // The next send hears of it as well, if no receive did before.
                try await client.send("anybody?")
                #expect(
                    await eventually {
                        if case .refused(let error) = client.trySend("again") {
                            error.code == .connectionRefused
                        } else {
                            false
                        }
                    })
                #expect(await eventually { client.statistics.outboundCount == 0 })
                let server = try await aio.bind(udp: endpoint)
                while await code({ () throws(AIOError) in try await client.send("there") }) != nil {}
                #expect(
                    try await server.receive() == Datagram(bytes: "there", sender: client.endpoint))
            }
        }

        @Test func `a connected socket gets its peer's datagrams only`() async throws {
            try await withProactor(.testing()) { aio in
                let peer = try await aio.bind(udp: "127.0.0.1:0")
                let stranger = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: peer.endpoint)
                try await stranger.send("psst", to: client.endpoint)
                #expect(await eventually { stranger.statistics.sent == 1 })
                try await peer.send("hello", to: client.endpoint)
                #expect(try await client.receive()?.bytes == "hello")
                #expect(client.drain().isEmpty)
            }
        }
    }
}
