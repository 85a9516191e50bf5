// An IPv4 or IPv6 address as a value of 24 bytes. Read from text and from the kernel's socket addresses,
// carried inside an `Endpoint`, and given back to the kernel by Linux/SocketAddress.swift.

internal import Glibc

/// An IPv4 or IPv6 address; an IPv6 address may have a scope, the interface a link-local address belongs to
/// (RFC 4007).
public struct IPAddress: Hashable, Sendable {
    public enum Family: Hashable, Sendable {
        case v4
        case v6
    }

    // The address as one number, its first byte the most significant. IPv4 uses the lower half of `low`.
    let high: UInt64
    let low: UInt64
    /// The index of the interface that a link-local IPv6 address belongs to; 0 for none, and always for IPv4.
    public let scopeID: UInt32
    public let family: Family

    init(high: UInt64, low: UInt64, scopeID: UInt32, family: Family) {
        self.high = high
        self.low = low
        self.scopeID = scopeID
        self.family = family
    }

    /// An address from its bytes in network order: 4 for IPv4, 16 for IPv6, nil for any other number.
    public init?(bytes: [UInt8], scopeID: UInt32 = 0) {
        func number(_ part: ArraySlice<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
        switch bytes.count {
        case 4: self.init(high: 0, low: number(bytes[...]), scopeID: 0, family: .v4)
        case 16: self.init(high: number(bytes[..<8]), low: number(bytes[8...]), scopeID: scopeID, family: .v6)
        default: return nil
        }
    }

    /// The bytes in network order: 4 for IPv4, 16 for IPv6.
    public var bytes: [UInt8] {
        switch family {
        case .v4: (0..<4).map { UInt8(truncatingIfNeeded: low >> (24 - 8 * $0)) }
        case .v6:
            (0..<16).map { UInt8(truncatingIfNeeded: ($0 < 8 ? high : low) >> (56 - 8 * ($0 % 8))) }
        }
    }
}

extension IPAddress {
    /// `127.0.0.1`
    public static let loopbackV4 = IPAddress(high: 0, low: 0x7f00_0001, scopeID: 0, family: .v4)
    /// `::1`
    public static let loopbackV6 = IPAddress(high: 0, low: 1, scopeID: 0, family: .v6)
    /// `0.0.0.0`: every IPv4 address of this machine, for listening
    public static let unspecifiedV4 = IPAddress(high: 0, low: 0, scopeID: 0, family: .v4)
    /// `::`: every IPv6 address of this machine, for listening
    public static let unspecifiedV6 = IPAddress(high: 0, low: 0, scopeID: 0, family: .v6)

    /// `IPAddress.v4(192, 0, 2, 1)` is `192.0.2.1`.
    public static func v4(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) -> IPAddress {
        let number = UInt64(a) << 24 | UInt64(b) << 16 | UInt64(c) << 8 | UInt64(d)
        return IPAddress(high: 0, low: number, scopeID: 0, family: .v4)
    }

    /// Whether packets to this address stay on this machine: `127.0.0.0/8`, `::1`, and the former mapped to
    /// IPv6.
    public var isLoopback: Bool {
        switch unmapped.family {
        case .v4: unmapped.low >> 24 == 127
        case .v6: high == 0 && low == 1
        }
    }

    /// `0.0.0.0` or `::`
    public var isUnspecified: Bool { high == 0 && low == 0 }

    /// The IPv4 address inside an IPv4-mapped one (`::ffff:192.0.2.1`, RFC 4291 section 2.5.5.2), which is
    /// how a socket for both families shows its IPv4 peers; any other address is itself.
    package var unmapped: IPAddress {
        guard family == .v6, high == 0, low >> 32 == 0xffff else { return self }
        return IPAddress(high: 0, low: low & 0xffff_ffff, scopeID: 0, family: .v4)
    }
}

extension IPAddress {
    /// Reads `192.0.2.1`, `2001:db8::1` or, with an interface by name or number, `fe80::1%eth0`, without
    /// brackets.
    ///
    /// Throws `.malformedEndpoint`. IPv4 is four decimal numbers and nothing else: the shorter, octal and
    /// hexadecimal forms of inet_aton(3) are refused, since programs disagree about what they mean.
    public init(parsing text: String) throws(AIOError) {
        let quoted = String(reflecting: text)
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
            .map(String.init)
        // inet_pton(3) stops at a NUL and at nothing else: what may not stand in an address never reaches it.
        let digits = parts[0].utf8
        guard digits.count <= 45, digits.allSatisfy({ IPAddress.mayContain($0) }) else {
            throw AIOError(.malformedEndpoint, detail: "\(quoted) is not an IPv4 or IPv6 address")
        }
        if let bytes = IPAddress.networkBytes(of: parts[0], family: AF_INET, byteCount: 4), parts.count == 1 {
            self.init(high: 0, low: bytes.reduce(0) { $0 << 8 | UInt64($1) }, scopeID: 0, family: .v4)
            return
        }
        guard let bytes = IPAddress.networkBytes(of: parts[0], family: AF_INET6, byteCount: 16) else {
            let wanted = parts.count == 1 ? "an IPv4 or IPv6 address" : "an IPv6 address with a scope"
            throw AIOError(.malformedEndpoint, detail: "\(quoted) is not \(wanted)")
        }
        let scopeID = parts.count == 1 ? 0 : try IPAddress.scopeID(of: parts[1], in: quoted)
        self.init(
            high: bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) },
            low: bytes[8...].reduce(0) { $0 << 8 | UInt64($1) },
            scopeID: scopeID, family: .v6)
    }

    private static func mayContain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: ":"): true
        case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): true
        default: false
        }
    }

    private static func networkBytes(of text: String, family: CInt, byteCount: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        // SAFETY: inet_pton writes 4 bytes for AF_INET and 16 for AF_INET6, which is what `bytes` holds.
        return unsafe inet_pton(family, text, &bytes) == 1 ? bytes : nil
    }

    private static func scopeID(of zone: String, in quoted: String) throws(AIOError) -> UInt32 {
        if let number = UInt32(zone), zone.utf8.allSatisfy({ $0 != UInt8(ascii: "+") }) { return number }
        let isName = (1..<Int(IF_NAMESIZE)).contains(zone.utf8.count) && !zone.utf8.contains(0)
        // SAFETY: the name is a NUL-terminated copy made for the call.
        let index = isName ? unsafe if_nametoindex(zone) : 0
        guard index != 0 else {
            throw AIOError(
                .malformedEndpoint,
                detail: "\(quoted): this machine has no interface named \(String(reflecting: zone))")
        }
        return index
    }
}

extension IPAddress: CustomStringConvertible {
    /// The usual text, without brackets, IPv6 as in RFC 5952. A scope is printed as a number, because an
    /// interface can be renamed while a program runs and the text must still read back as the same address.
    public var description: String {
        let octets = bytes
        let text = unsafe String(unsafeUninitializedCapacity: Int(INET6_ADDRSTRLEN)) { buffer in
            guard let base = buffer.baseAddress else { return 0 }
            let size = socklen_t(buffer.count)
            return unsafe base.withMemoryRebound(to: CChar.self, capacity: buffer.count) { characters in
                // SAFETY: `octets` has the 4 or 16 bytes of its family; `characters` has room for the longest
                // text.
                guard unsafe inet_ntop(family == .v4 ? AF_INET : AF_INET6, octets, characters, size) != nil
                else { return 0 }
                return unsafe strlen(characters)
            }
        }
        return scopeID == 0 ? text : "\(text)%\(scopeID)"
    }
}
