// An endpoint as the kernel wants it: the bytes of a sockaddr. Made for bind and connect, filled by accept
// and getsockname, and gone again before the call's caller returns.

internal import Glibc
internal import SystemPackage

/// The bytes of a socket address, which Linux's ABI fixes: two of family in the machine's order, then
/// - ip(7): two of port and four of address in network order, eight of nothing;
/// - ipv6(7): two of port in network order, four of flow label, sixteen of address, four of scope in the
///   machine's order;
/// - unix(7): up to 108 of path that end with a NUL, or a NUL and a name that ends with the address, or
///   nothing.
///
/// Built and read as bytes, not through `sockaddr_in` and its siblings: no pointer is cast anywhere, and
/// reading checks each length that the kernel (or an inherited socket's maker) claims.
package struct SocketAddress {
    static let capacity = 128  // sizeof(sockaddr_storage)

    private var bytes = InlineArray<128, UInt8>(repeating: 0)
    private var byteCount = 0

    private init() {}

    private mutating func append(_ byte: UInt8) {
        bytes[byteCount] = byte
        byteCount += 1
    }

    private mutating func append(contentsOf name: String) {
        for byte in name.utf8 { append(byte) }
    }

    /// `value` in network order: its most significant byte first.
    private mutating func append(network value: some FixedWidthInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// `value` in the machine's order.
    private mutating func append(native value: some FixedWidthInteger) { append(network: value.bigEndian) }

    private func network<Integer: FixedWidthInteger>(_ type: Integer.Type, at offset: Int) -> Integer {
        var value: Integer = 0
        for index in 0..<Integer.bitWidth / 8 { value = value << 8 | Integer(bytes[offset + index]) }
        return value
    }

    private func native<Integer: FixedWidthInteger>(_ type: Integer.Type, at offset: Int) -> Integer {
        Integer(bigEndian: network(type, at: offset))
    }
}

// MARK: From an endpoint

extension SocketAddress {
    /// The address family of the sockets for `endpoint`; `any` begins with IPv6, which serves both.
    static func family(of endpoint: Endpoint) throws(AIOError) -> CInt {
        switch endpoint.storage {
        case .ip(let address, _): return address.unmapped.family == .v4 ? AF_INET : AF_INET6
        case .any: return AF_INET6
        case .unix, .abstract: return AF_UNIX
        case .host:
            throw AIOError(.invalidArgument, detail: "\(endpoint) has a host name, to be resolved first")
        }
    }

    /// The address of `endpoint` for a socket of `family`, which only matters to `any`: `::` for an IPv6
    /// socket and `0.0.0.0` for an IPv4 one.
    package init(_ endpoint: Endpoint, family: CInt) throws(AIOError) {
        self.init()
        switch endpoint.storage {
        case .ip(let address, let port): append(address.unmapped, port: port)
        case .any(let port): append(family == AF_INET ? .unspecifiedV4 : .unspecifiedV6, port: port)
        case .unix(let path):
            try Self.checkUnixName(of: endpoint)
            append(native: UInt16(AF_UNIX))
            append(contentsOf: path)
            append(0)
        case .abstract(let name):
            try Self.checkUnixName(of: endpoint)
            append(native: UInt16(AF_UNIX))
            append(0)
            append(contentsOf: name)
        case .host: _ = try Self.family(of: endpoint)
        }
    }

    private static func checkUnixName(of endpoint: Endpoint) throws(AIOError) {
        guard let problem = endpoint.unixNameProblem else { return }
        throw AIOError(.malformedEndpoint, detail: "\(String(reflecting: endpoint.description)) \(problem)")
    }

    private mutating func append(_ address: IPAddress, port: UInt16) {
        append(native: UInt16(address.family == .v4 ? AF_INET : AF_INET6))
        append(network: port)
        switch address.family {
        case .v4:
            append(network: UInt32(truncatingIfNeeded: address.low))
            append(network: UInt64(0))
        case .v6:
            append(network: UInt32(0))
            append(network: address.high)
            append(network: address.low)
            append(native: address.scopeID)
        }
    }

    /// Lends the bytes to a call such as bind(2).
    func withBytes<R>(_ body: (UnsafeRawPointer?, UInt32) -> R) -> R {
        let count = UInt32(byteCount)
        // SAFETY: the pointer is good for `capacity` bytes while `body` runs, and `byteCount` never exceeds
        // that.
        return unsafe bytes.span.withUnsafeBytes { unsafe body($0.baseAddress, count) }
    }
}

// MARK: To an endpoint

extension SocketAddress {
    /// An address that a call such as accept4(2) writes. The call is given the room and sets the length; it
    /// may set more than there was room for, which means that it cut the address off.
    static func filled(
        by call: (UnsafeMutableRawPointer?, inout UInt32) -> CallResult
    ) -> (address: SocketAddress, result: CallResult) {
        var address = SocketAddress()
        var length = UInt32(capacity)
        var span = address.bytes.mutableSpan
        // SAFETY: the pointer is good for `capacity` bytes, which is what `length` tells the call.
        let result = unsafe span.withUnsafeMutableBytes { unsafe call($0.baseAddress, &length) }
        address.byteCount = min(Int(length), capacity)
        return (address, result)
    }

    /// The address that someone else's memory holds, such as a result of getaddrinfo(3).
    package init(copying source: RawSpan) {
        self.init()
        // SAFETY: any byte is a UInt8, and the load checks its offset.
        for offset in 0..<min(source.byteCount, Self.capacity) {
            append(unsafe source.unsafeLoad(fromByteOffset: offset, as: UInt8.self))
        }
    }

    /// What the bytes mean; nil for a family this library does not speak or an address that is too short.
    /// IPv4 addresses that an IPv6 socket shows as mapped are IPv4 again.
    package var endpoint: Endpoint? {
        guard byteCount >= 2 else { return byteCount == 0 ? .unnamed : nil }
        switch CInt(native(UInt16.self, at: 0)) {
        case AF_INET:
            guard byteCount >= 8 else { return nil }
            let number = UInt64(network(UInt32.self, at: 4))
            let address = IPAddress(high: 0, low: number, scopeID: 0, family: .v4)
            return .ip(address, port: network(UInt16.self, at: 2))
        case AF_INET6:
            guard byteCount >= 28 else { return nil }
            let address = IPAddress(
                high: network(UInt64.self, at: 8), low: network(UInt64.self, at: 16),
                scopeID: native(UInt32.self, at: 24), family: .v6)
            return .ip(address.unmapped, port: network(UInt16.self, at: 2))
        case AF_UNIX: return unixEndpoint
        default: return nil
        }
    }

    private var unixEndpoint: Endpoint {
        guard byteCount > 2 else { return .unnamed }
        let name = (2..<byteCount).map { bytes[$0] }
        if name[0] == 0 { return .abstract(String(decoding: name.dropFirst(), as: UTF8.self)) }
        return .unix(String(decoding: name.prefix { $0 != 0 }, as: UTF8.self))
    }
}
