// UDP sockets: made and told, and the two calls of the hot path, each for many datagrams. Called by
// Engine+Datagrams.swift and DatagramCore.

internal import CAIOLinux
internal import Glibc
internal import SystemPackage

extension LinuxKernel {
    /// As `makeStreamSocket`: `any` gets an IPv6 socket that takes IPv4 too, or an IPv4 socket on a machine
    /// without IPv6; an IPv6 address gets a socket for IPv6 only.
    package func makeDatagramSocket(for endpoint: Endpoint) throws(AIOError) -> Descriptor {
        let family = try SocketAddress.family(of: endpoint)
        guard endpoint.isIP else {
            throw AIOError(.unsupported, call: "socket", detail: "\(endpoint) is no address of UDP")
        }
        let answer = caio_datagram_socket(family)
        if endpoint.isAny, CallResult(rawValue: answer).errno == .addressFamilyNotSupported {
            return try descriptor(
                caio_datagram_socket(AF_INET), call: "socket", detail: endpoint.description)
        }
        let socket = try descriptor(answer, call: "socket", detail: endpoint.description)
        if family == AF_INET6 { try set(.ipv6Only(!endpoint.isAny), on: socket) }
        return socket
    }

    package func receiveDatagrams(
        from socket: borrowing Descriptor, into batch: InboundDatagrams, atMost byteCountMax: Int
    ) -> CallResult {
        let number = socket.number
        while true {
            let result = batch.fill(from: number, atMost: byteCountMax)
            if !result.wasInterrupted { return result }
        }
    }

    package func sendDatagrams(_ batch: OutboundDatagrams, to socket: borrowing Descriptor) -> CallResult {
        batch.send(to: socket.number)
    }

    package func interfaceIndex(named name: String) throws(AIOError) -> UInt32 {
        let isName = (1..<Int(IF_NAMESIZE)).contains(name.utf8.count) && !name.utf8.contains(0)
        // SAFETY: the name is a NUL-terminated copy made for the call.
        let index = isName ? unsafe if_nametoindex(name) : 0
        guard index != 0 else {
            throw AIOError(
                .notFound, call: "if_nametoindex",
                detail: "this machine has no interface named \(String(reflecting: name))")
        }
        return index
    }

    // MARK: Options

    package func set(_ option: DatagramSocketOption, on socket: borrowing Descriptor) throws(AIOError) {
        let number = socket.number
        switch option {
        case .broadcast(let isOn): try set(number, SOL_SOCKET, SO_BROADCAST, isOn ? 1 : 0, option)
        case .countsDrops(let isOn): try set(number, SOL_SOCKET, SO_RXQ_OVFL, isOn ? 1 : 0, option)
        case .allGroups(let isOn):
            try setBoth(number, v4: Self.ipv4AllGroups, v6: Self.ipv6AllGroups, isOn ? 1 : 0, option)
        case .multicastLoopback(let isOn):
            try setBoth(number, v4: IP_MULTICAST_LOOP, v6: IPV6_MULTICAST_LOOP, isOn ? 1 : 0, option)
        case .multicastHops(let hops):
            let hops = CInt(clamping: hops)
            try setBoth(number, v4: IP_MULTICAST_TTL, v6: IPV6_MULTICAST_HOPS, hops, option)
        case .multicastInterface(let index):
            let families = Families(of: number)
            if families.hasV4 {
                try check(
                    caio_multicast_interface_v4(number, index), call: "setsockopt", detail: "\(option)")
            }
            let value = CInt(bitPattern: index)
            if families.hasV6 { try set(number, Self.v6, IPV6_MULTICAST_IF, value, option) }
        case .membership(let group, let interface, let joins):
            try setMembership(number, of: group.unmapped, interface: interface, joins: joins, option)
        }
    }

    private func setMembership(
        _ number: Int32, of group: IPAddress, interface: UInt32, joins: Bool, _ option: DatagramSocketOption
    ) throws(AIOError) {
        let bytes = group.bytes
        // SAFETY: the call reads the bytes it is given the count of.
        let answer = unsafe caio_multicast_membership(
            number, bytes, UInt32(bytes.count), interface == 0 ? group.scopeID : interface, joins ? 1 : 0)
        try check(answer, call: "setsockopt", detail: "\(joins ? "join" : "leave") \(group)")
    }

    private func setBoth(
        _ number: Int32, v4: CInt, v6: CInt, _ value: CInt, _ option: DatagramSocketOption
    ) throws(AIOError) {
        let families = Families(of: number)
        if families.hasV4 { try set(number, CInt(IPPROTO_IP), v4, value, option) }
        if families.hasV6 { try set(number, Self.v6, v6, value, option) }
    }

    private func set(
        _ number: Int32, _ level: CInt, _ name: CInt, _ value: CInt, _ option: DatagramSocketOption
    ) throws(AIOError) {
        try check(
            caio_set_option(number, level, name, value), call: "setsockopt", detail: "\(option)")
    }

    private static let v6 = CInt(IPPROTO_IPV6)
    // IP_MULTICAST_ALL and IPV6_MULTICAST_ALL, ip(7); the latter is Linux 4.20's and not in every netinet/in.h.
    private static let ipv4AllGroups: CInt = 49
    private static let ipv6AllGroups: CInt = 29
}

/// Which families a socket speaks: an IPv6 socket that is not for IPv6 only speaks both.
private struct Families {
    let hasV4: Bool
    let hasV6: Bool

    init(of number: Int32) {
        hasV6 = caio_option(number, SOL_SOCKET, SO_DOMAIN) == Int(AF_INET6)
        hasV4 = !hasV6 || caio_option(number, CInt(IPPROTO_IPV6), IPV6_V6ONLY) == 0
    }
}

extension Endpoint {
    fileprivate var isAny: Bool {
        if case .any = storage { true } else { false }
    }
}
