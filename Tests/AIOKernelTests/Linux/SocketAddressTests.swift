// Socket addresses are read without trusting their lengths.

import Glibc
import Testing

@testable import AIOKernel

@Suite struct SocketAddressTests {
    private func endpoint(_ bytes: [UInt8]) -> Endpoint? {
        // SAFETY: bytes are plain data.
        unsafe SocketAddress(copying: bytes.span.bytes).endpoint
    }

    @Test func `an endpoint survives the way to the kernel's bytes and back`() throws {
        let endpoints: [Endpoint] = [
            .ip(.v4(192, 0, 2, 1), port: 0x1234), .ip(try IPAddress(parsing: "2001:db8::1:2%77"), port: 443),
            .unix("/run/x.sock"), .abstract("name"), .unix("/" + String(repeating: "a", count: 106)),
            .abstract(String(repeating: "b", count: 107)),
        ]
        for endpoint in endpoints {
            let address = try SocketAddress(endpoint, family: SocketAddress.family(of: endpoint))
            #expect(address.endpoint == endpoint)
        }
    }

    @Test func `the bytes of an IPv4 address are as in ip(7)`() throws {
        let address = try SocketAddress(.ip(.v4(1, 2, 3, 4), port: 0x0506), family: AF_INET)
        let bytes = unsafe address.withBytes {
            unsafe Array(UnsafeRawBufferPointer(start: $0, count: Int($1)))
        }
        #expect(bytes == [2, 0, 5, 6, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test func `any is one address or the other by the family of the socket`() throws {
        let any = Endpoint.any(port: 80)
        #expect(try SocketAddress(any, family: AF_INET6).endpoint == .ip(.unspecifiedV6, port: 80))
        #expect(try SocketAddress(any, family: AF_INET).endpoint == .ip(.unspecifiedV4, port: 80))
    }

    @Test func `an IPv4-mapped address is IPv4 in both directions`() throws {
        let mapped = Endpoint.ip(try IPAddress(parsing: "::ffff:1.2.3.4"), port: 9)
        #expect(try SocketAddress.family(of: mapped) == AF_INET)
        #expect(try SocketAddress(mapped, family: AF_INET).endpoint == .ip(.v4(1, 2, 3, 4), port: 9))
        let bytes: [UInt8] =
            [10, 0, 0, 9, 0, 0, 0, 0] + Array(repeating: 0, count: 10) + [255, 255, 1, 2, 3, 4, 0, 0, 0, 0]
        #expect(endpoint(bytes) == .ip(.v4(1, 2, 3, 4), port: 9))
    }

    @Test func `what cannot be an address is refused`() {
        let tooLong = Endpoint.unix("/" + String(repeating: "a", count: 107))
        for bad in [tooLong, .unix(""), .abstract(""), .unix("a\u{0}b")] {
            #expect { try SocketAddress(bad, family: AF_UNIX) } throws: {
                ($0 as? AIOError)?.code == .malformedEndpoint
            }
        }
        let host = Endpoint.host("example.org", port: 1)
        #expect { try SocketAddress(host, family: AF_INET) } throws: {
            ($0 as? AIOError)?.code == .invalidArgument
        }
    }

    @Test func `a short or foreign address is not an endpoint`() {
        #expect(endpoint([2]) == nil)
        #expect(endpoint([2, 0, 1, 2, 3]) == nil)
        #expect(endpoint([10, 0] + Array(repeating: 0, count: 25)) == nil)
        #expect(endpoint([99, 0, 1, 2, 3, 4, 5, 6]) == nil)
        #expect(
            endpoint([]) == .unnamed && endpoint([1, 0]) == .unnamed && endpoint([1, 0, 0x2f]) == .unix("/"))
        #expect(
            endpoint([1, 0] + Array(repeating: 0x61, count: 200)) == .unix(String(repeating: "a", count: 126))
        )
    }

    @Test func `random bytes never trap`() {
        for seed in UInt64(0)..<5_000 {
            var generator = SeededGenerator(state: seed)
            let family: UInt8 = [1, 2, 10].randomElement(using: &generator) ?? 1
            let count = Int.random(in: 0...160, using: &generator)
            _ = endpoint([family, 0] + (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) })
        }
    }
}
