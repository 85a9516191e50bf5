// UDP sockets of the real kernel: batches in and out, and what stops a batch.

import AIOBytes
import Glibc
import SystemPackage
import Testing

@testable import AIOKernel

extension RealKernel {
    @Suite struct DatagramsTests {
        let kernel = LinuxKernel()

        private func socket(on endpoint: Endpoint) throws -> Descriptor {
            let socket = try kernel.makeDatagramSocket(for: endpoint)
            try kernel.bind(socket, to: endpoint)
            return socket
        }

        private func receive(
            from socket: borrowing Descriptor, atMost byteCountMax: Int = 65_536
        ) throws -> InboundDatagrams {
            _ = try kernel.waitFor(.readable, on: socket)
            let batch = InboundDatagrams()
            let result = kernel.receiveDatagrams(from: socket, into: batch, atMost: byteCountMax)
            #expect(result.count == batch.count)
            return batch
        }

        @Test func `a batch arrives as a batch, with sizes and senders`() throws {
            for host: IPAddress in [.loopbackV4, .loopbackV6] {
                let receiver = try socket(on: .ip(host, port: 0))
                let sender = try socket(on: .ip(host, port: 0))
                let target = try kernel.localEndpoint(of: receiver)
                let payloads: [Bytes] = ["one", "", Bytes([UInt8](repeating: 7, count: 65_507)), "four"]
                let batch = OutboundDatagrams()
                for payload in payloads { try batch.append(payload, to: target) }
                let sent = kernel.sendDatagrams(batch, to: sender)
                #expect(sent.count == 4)
                let arrived = try receive(from: receiver)
                let slabs = SlabPool()
                let own = try kernel.localEndpoint(of: sender)
                try #require(arrived.count == 4)
                for index in 0..<4 {
                    #expect(arrived.copy(at: index, into: slabs) == payloads[index])
                    #expect(arrived.sender(at: index) == own && !arrived.isTruncated(at: index))
                }
                #expect(arrived.kernelDropCount == nil)
                let after = kernel.receiveDatagrams(from: receiver, into: arrived, atMost: 65_536)
                #expect(after.wouldBlock && arrived.count == 0)
            }
        }

        @Test func `a batch takes 32 datagrams, and the rest waits for the next`() throws {
            let receiver = try socket(on: .ip(.loopbackV4, port: 0))
            let sender = try kernel.makeDatagramSocket(for: .ip(.loopbackV4, port: 0))
            let connected = kernel.connect(sender, to: try kernel.localEndpoint(of: receiver))
            #expect(connected.isSuccess)
            let batch = OutboundDatagrams()
            for round in 0..<2 {
                while !batch.isFull, round == 0 || batch.count < 8 { try batch.append("x", to: nil) }
                let sent = kernel.sendDatagrams(batch, to: sender)
                #expect(sent.count == batch.count)
                batch.removeAll()
            }
            #expect(try receive(from: receiver).count == 32)
            #expect(try receive(from: receiver).count == 8)
        }

        @Test func `a datagram that the kernel refuses stops the batch, and is first in the next`() throws {
            let receiver = try socket(on: .ip(.loopbackV4, port: 0))
            let sender = try socket(on: .ip(.loopbackV4, port: 0))
            let target = try kernel.localEndpoint(of: receiver)
            let tooLong = Bytes([UInt8](repeating: 0, count: 65_508))
            let batch = OutboundDatagrams()
            for payload: Bytes in ["one", "two", tooLong, "four"] { try batch.append(payload, to: target) }
            let sent = kernel.sendDatagrams(batch, to: sender)
            #expect(sent.count == 2)
            batch.removeAll()
            for payload: Bytes in [tooLong, "four"] { try batch.append(payload, to: target) }
            let refused = kernel.sendDatagrams(batch, to: sender)
            #expect(refused.errno == .messageTooLong)
            #expect(try receive(from: receiver).count == 2)
        }

        @Test func `what is longer than its place is cut, and says so`() throws {
            let receiver = try socket(on: .ip(.loopbackV4, port: 0))
            let sender = try socket(on: .ip(.loopbackV4, port: 0))
            let batch = OutboundDatagrams()
            try batch.append("0123456789", to: kernel.localEndpoint(of: receiver))
            _ = kernel.sendDatagrams(batch, to: sender)
            let arrived = try receive(from: receiver, atMost: 4)
            #expect(arrived.byteCount(at: 0) == 4 && arrived.isTruncated(at: 0))
            #expect(arrived.copy(at: 0, into: SlabPool()) == "0123")
        }

        @Test func `what the kernel drops for want of room is told with the next datagram`() throws {
            let receiver = try socket(on: .ip(.loopbackV4, port: 0))
            try kernel.set(DatagramSocketOption.countsDrops(true), on: receiver)
            try kernel.set(SocketOption.receiveBufferByteCount(4_096), on: receiver)
            let sender = try socket(on: .ip(.loopbackV4, port: 0))
            let target = try kernel.localEndpoint(of: receiver)
            let batch = OutboundDatagrams()
            while !batch.isFull { try batch.append(Bytes([UInt8](repeating: 1, count: 1_000)), to: target) }
            let sent = kernel.sendDatagrams(batch, to: sender)
            #expect(sent.count == 32)
            let before = try receive(from: receiver)
            #expect(before.count < 32)
            let arrivedCount = before.count
            batch.removeAll()
            try batch.append("next", to: target)
            _ = kernel.sendDatagrams(batch, to: sender)
            #expect(try receive(from: receiver).kernelDropCount == UInt32(32 - arrivedCount))
        }

        @Test func `a port where nobody listens is an error of the connected socket, once`() throws {
            let vacated = try kernel.localEndpoint(of: socket(on: .ip(.loopbackV4, port: 0)))
            let client = try kernel.makeDatagramSocket(for: vacated)
            _ = kernel.connect(client, to: vacated)
            let batch = OutboundDatagrams()
            try batch.append("anybody?", to: nil)
            let sent = kernel.sendDatagrams(batch, to: client)
            #expect(sent.count == 1)
            let readiness = try kernel.waitFor(.readable, on: client)
            #expect(readiness.contains(.error))
            let inbound = InboundDatagrams()
            let first = kernel.receiveDatagrams(from: client, into: inbound, atMost: 65_536)
            #expect(first.errno == .connectionRefused)
            let second = kernel.receiveDatagrams(from: client, into: inbound, atMost: 65_536)
            #expect(second.wouldBlock)
        }

        @Test func `options are taken by sockets of either family, and of both`() throws {
            let lo = try kernel.interfaceIndex(named: "lo")
            for endpoint: Endpoint in [.ip(.loopbackV4, port: 0), .ip(.loopbackV6, port: 0), .any(port: 0)] {
                let socket = try kernel.makeDatagramSocket(for: endpoint)
                for option: DatagramSocketOption in [
                    .broadcast(true), .countsDrops(true), .allGroups(false), .multicastLoopback(false),
                    .multicastHops(255), .multicastInterface(lo), .multicastInterface(0),
                ] { try kernel.set(option, on: socket) }
            }
        }

        @Test func `what is no address of UDP gets no socket, an unknown interface no number`() throws {
            for endpoint: Endpoint in [.unix("/tmp/x"), .host("example.org", port: 1)] {
                #expect(throws: AIOError.self) { _ = try kernel.makeDatagramSocket(for: endpoint) }
            }
            for name in ["", "no-such-thing", String(repeating: "x", count: 16), "lo\0"] {
                let error = #expect(throws: AIOError.self) { try kernel.interfaceIndex(named: name) }
                #expect(error?.code == .notFound)
            }
        }

        @Test func `groups are told from other addresses`() throws {
            for text in ["224.0.0.1", "239.255.255.255", "ff02::1", "::ffff:224.0.0.1"] {
                #expect(try IPAddress(parsing: text).isMulticast, "\(text)")
            }
            for text in ["223.255.255.255", "240.0.0.0", "fe80::1", "::"] {
                #expect(try !IPAddress(parsing: text).isMulticast, "\(text)")
            }
        }
    }
}
