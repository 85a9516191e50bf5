// Addresses as text, as bytes, and what they say of themselves.

import Testing

@testable import AIOKernel

@Suite struct IPAddressTests {
    @Test(arguments: [
        ("127.0.0.1", IPAddress.loopbackV4), ("::1", .loopbackV6), ("0.0.0.0", .unspecifiedV4),
        ("::", .unspecifiedV6),
        ("192.0.2.1", .v4(192, 0, 2, 1)),
    ])
    func `text and value agree both ways`(text: String, address: IPAddress) throws {
        #expect(try IPAddress(parsing: text) == address)
        #expect(address.description == text)
        #expect(IPAddress(bytes: address.bytes) == address)
        #expect(address.bytes.count == (address.family == .v4 ? 4 : 16))
    }

    @Test(arguments: [
        "", " ", "1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "0x1.2.3.4", "1.2.3.4 ", ":", ":::", "1::2::3",
        "g::1", "::1%",
        "1.2.3.4%1", "1.2.3.4\u{0}", "::1\u{0}", "[::1]", "fe80::1%+3", "fe80::1%4294967296",
    ])
    func `malformed text is refused`(text: String) {
        #expect { try IPAddress(parsing: text) } throws: { ($0 as? AIOError)?.code == .malformedEndpoint }
    }

    @Test func `only 4 and 16 bytes make an address`() {
        #expect((0...20).filter { IPAddress(bytes: Array(repeating: 1, count: $0)) != nil } == [4, 16])
    }

    @Test func `a scope can be given by number or by the name of an interface`() throws {
        #expect(try IPAddress(parsing: "fe80::1%3").scopeID == 3)
        #expect(try IPAddress(parsing: "fe80::1%3").description == "fe80::1%3")
        let byName = try IPAddress(parsing: "fe80::1%lo")
        #expect(byName.scopeID > 0)
        #expect(try IPAddress(parsing: byName.description) == byName)
        #expect(try IPAddress(parsing: "fe80::1") != byName)
    }

    @Test func `loopback and unspecified addresses are known`() throws {
        let loopback = try ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"].map(
            IPAddress.init(parsing:))
        let other = try ["128.0.0.1", "::2", "1::1", "0.0.0.0", "::ffff:1.1.1.1"].map(
            IPAddress.init(parsing:))
        #expect(loopback.map(\.isLoopback) == [true, true, true, true])
        #expect(other.map(\.isLoopback) == [false, false, false, false, false])
        #expect(IPAddress.unspecifiedV4.isUnspecified && IPAddress.unspecifiedV6.isUnspecified)
        #expect(!IPAddress.loopbackV6.isUnspecified)
        #expect(IPAddress.unspecifiedV4 != .unspecifiedV6)
    }

    @Test func `only an IPv4-mapped address has an IPv4 address inside`() throws {
        #expect(try IPAddress(parsing: "::ffff:192.0.2.1").unmapped == .v4(192, 0, 2, 1))
        for text in ["::192.0.2.1", "::fffe:192.0.2.1", "1::ffff:192.0.2.1", "192.0.2.1"] {
            let address = try IPAddress(parsing: text)
            #expect(address.unmapped == address)
        }
    }

    @Test func `an address is compact`() {
        #expect(MemoryLayout<IPAddress>.stride <= 24)
    }
}
