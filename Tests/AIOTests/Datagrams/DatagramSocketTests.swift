// Datagrams over real loopback sockets: what goes out comes in, whole, once, with its sender, and Linux' own errors.

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
                    // What was sent is counted at the latest when the socket is closed.
                    await socket.close()
                    let statistics = socket.statistics
                    #expect(statistics.sent == UInt64(payloads.count))
                    #expect(statistics.received == UInt64(payloads.count))
                    #expect(
                        statistics.receivedByteCount == byteCount && statistics.sentByteCount == byteCount)
                    #expect(
                        statistics.dropped == 0 && statistics.sendErrors == 0 && statistics.truncated == 0)
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

        private func code(_ body: () async throws(AIOError) -> Void) async -> AIOError.Code? {
            do throws(AIOError) { try await body() } catch { return error.code }
            return nil
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
                let server = try await aio.bind(udp: endpoint)
                try await client.send("there")
                #expect(
                    try await server.receive() == Datagram(bytes: "there", sender: client.endpoint))
            }
        }
    }
}
