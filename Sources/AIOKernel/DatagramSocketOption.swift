// What datagram sockets can be told beyond `SocketOption`, and what a kernel without datagram sockets answers.
// Set by the engine when a socket opens, and by the program when it joins a group.

internal import SystemPackage

/// Options of UDP sockets; see ip(7), ipv6(7) and socket(7). On a socket for both families each is set for
/// both.
package enum DatagramSocketOption: Hashable, Sendable {
    /// `SO_BROADCAST`: sending to broadcast addresses is allowed.
    case broadcast(Bool)
    /// `SO_RXQ_OVFL`: datagrams say how many the kernel has dropped for want of room.
    case countsDrops(Bool)
    /// `IP_MULTICAST_ALL`: off, only groups that this very socket has joined arrive; on, which is the kernel's
    /// default, every group that any socket of the machine has joined.
    case allGroups(Bool)
    /// Whether what is sent to a group also reaches sockets of this machine.
    case multicastLoopback(Bool)
    /// The TTL or hop limit of what is sent to groups: 0 to 255, 1 by default.
    case multicastHops(Int)
    /// The interface by which multicast leaves; 0 is the kernel's choice.
    case multicastInterface(UInt32)
    case membership(of: IPAddress, interface: UInt32, joins: Bool)
}

extension Kernel {
    package func makeDatagramSocket(for endpoint: Endpoint) throws(AIOError) -> Descriptor {
        throw AIOError(.unsupported, call: "socket", detail: "\(endpoint): no datagram sockets")
    }

    package func set(_ option: DatagramSocketOption, on socket: borrowing Descriptor) throws(AIOError) {
        throw AIOError(.unsupported, call: "setsockopt", detail: "\(option)")
    }

    package func interfaceIndex(named name: String) throws(AIOError) -> UInt32 {
        throw AIOError(.unsupported, call: "if_nametoindex", detail: name)
    }

    package func receiveDatagrams(
        from socket: borrowing Descriptor, into batch: InboundDatagrams, atMost byteCountMax: Int
    ) -> CallResult { CallResult(.noFunction) }

    package func sendDatagrams(_ batch: OutboundDatagrams, to socket: borrowing Descriptor) -> CallResult {
        CallResult(.noFunction)
    }
}
