// Multicast over the loopback interface: joined, left, and kept from those who did not join.

import AIO
import AIOKernel
import Testing

extension Loopback {
    @Suite struct DatagramMulticastTests {
        private static let groupV4 = IPAddress.v4(239, 255, 77, 1)

        private func receiver(_ aio: Proactor, on endpoint: String) async throws -> DatagramSocket {
            var options = DatagramOptions()
            options.reusesAddress = true
            return try await aio.bind(udp: endpoint, options: options)
        }

        private func sender(_ aio: Proactor, on endpoint: String) async throws -> DatagramSocket {
            var options = DatagramOptions()
            options.multicastInterface = "lo"
            options.multicastHops = 0
            options.multicastLoopback = true
            return try await aio.bind(udp: endpoint, options: options)
        }

        @Test func `everybody who joined gets what is sent to an IPv4 group, nobody else does`() async throws
        {
            try await withProactor(.testing()) { aio in
                let first = try await receiver(aio, on: "0.0.0.0:0")
                let port = try #require(first.endpoint.port)
                let second = try await receiver(aio, on: "0.0.0.0:\(port)")
                let outsider = try await receiver(aio, on: "0.0.0.0:\(port)")
                try first.joinMulticast(Self.groupV4, interface: "lo")
                try second.joinMulticast(Self.groupV4, interface: "lo")
                let sender = try await sender(aio, on: "127.0.0.1:0")
                let group = Endpoint.ip(Self.groupV4, port: port)
                try await sender.send("to all", to: group)
                for socket in [first, second] {
                    let datagram = try #require(try await socket.receive())
                    #expect(datagram == Datagram(bytes: "to all", sender: sender.endpoint))
                }
                try first.leaveMulticast(Self.groupV4, interface: "lo")
                try await sender.send("to the second", to: group)
                #expect(try await second.receive()?.bytes == "to the second")
                #expect(first.drain().isEmpty && outsider.statistics.received == 0)
            }
        }

        @Test func `what is sent to a group stays away from this machine if asked to`() async throws {
            try await withProactor(.testing()) { aio in
                let receiver = try await receiver(aio, on: "0.0.0.0:0")
                try receiver.joinMulticast(Self.groupV4, interface: "lo")
                let sender = try await sender(aio, on: "127.0.0.1:0")
                let group = Endpoint.ip(Self.groupV4, port: try #require(receiver.endpoint.port))
                // On the loopback interface what leaves comes in again by itself, so only that the calls are
                // taken can be seen here.
                try sender.setMulticastLoopback(false)
                try sender.setMulticastLoopback(true)
                try sender.setMulticastHops(1)
                try sender.setMulticastInterface("lo")
                try await sender.send("hello", to: group)
                #expect(try await receiver.receive()?.bytes == "hello")
            }
        }

        @Test func `an IPv6 group on the loopback interface is joined and left`() async throws {
            try await withProactor(.testing()) { aio in
                let group = try IPAddress(parsing: "ff01::7701")
                let receiver = try await receiver(aio, on: "[::]:0")
                try receiver.joinMulticast(group, interface: "lo")
                let sender = try await sender(aio, on: "[::1]:0")
                let target = Endpoint.ip(group, port: try #require(receiver.endpoint.port))
                try await sender.send("six", to: target)
                // A machine without a route for ff00::/8 on lo refuses it: then that is what is counted.
                await sender.close()
                #expect(sender.statistics.sent + sender.statistics.sendErrors == 1)
                if sender.statistics.sendErrors == 0 {
                    #expect(try await receiver.receive()?.bytes == "six")
                } else {
                    #expect(sender.statistics.lastSendError?.code == .unreachable)
                }
                try receiver.leaveMulticast(group, interface: "lo")
            }
        }

        @Test func `a socket for both families joins groups of both`() async throws {
            try await withProactor(.testing()) { aio in
                let socket = try await receiver(aio, on: "*:0")
                try socket.joinMulticast(Self.groupV4, interface: "lo")
                try socket.joinMulticast(IPAddress(parsing: "ff01::7702"), interface: "lo")
                try socket.setMulticastHops(3)
                let sender = try await sender(aio, on: "127.0.0.1:0")
                let port = try #require(socket.endpoint.port)
                try await sender.send("both", to: .ip(Self.groupV4, port: port))
                #expect(try await socket.receive()?.sender == sender.endpoint)
            }
        }

        @Test func `what cannot be joined is said at once`() async throws {
            try await withProactor(.testing()) { aio in
                let socket = try await receiver(aio, on: "0.0.0.0:0")
                func code(_ body: () throws(AIOError) -> Void) -> AIOError.Code? {
                    do throws(AIOError) { try body() } catch { return error.code }
                    return nil
                }
                #expect(
                    code { () throws(AIOError) in try socket.joinMulticast(.loopbackV4) } == .invalidArgument)
                #expect(
                    code { () throws(AIOError) in
                        try socket.joinMulticast(Self.groupV4, interface: "no-such-thing")
                    } == .notFound)
                try socket.joinMulticast(Self.groupV4, interface: "lo")
                #expect(
                    code { () throws(AIOError) in try socket.joinMulticast(Self.groupV4, interface: "lo") }
                        == .addressInUse)
                try socket.leaveMulticast(Self.groupV4, interface: "lo")
                #expect(
                    code { () throws(AIOError) in try socket.leaveMulticast(Self.groupV4, interface: "lo") }
                        == .addressNotAvailable)
                #expect(code { () throws(AIOError) in try socket.setMulticastHops(256) } == .invalidArgument)
            }
        }
    }
}
