// Multicast groups of a UDP socket, ip(7) and ipv6(7). On the caller's thread: a few system calls.

public import AIOKernel
import AIOWorkers

extension DatagramSocket {
    /// Joins a multicast group, so that what is sent to it and this socket's port arrives here.
    /// (`IP_ADD_MEMBERSHIP`, `IPV6_JOIN_GROUP`.) Never suspends.
    ///
    /// The socket gets only groups that it joined itself. Bind it to all addresses (`*:port`, `0.0.0.0:port`)
    /// or to the group's own address, and with `DatagramOptions.reusesAddress` if others listen as well.
    /// - Parameter interface: the interface to join on, by name; nil leaves the choice to the routing table.
    /// - Throws: `.invalidArgument` for an address that is no group, `.notFound` for an unknown interface,
    ///   `.addressInUse` if it has joined already, `.limitReached` beyond `net.ipv4.igmp_max_memberships`,
    ///   `.other` with ENODEV if no interface has a route, `.closed`.
    public func joinMulticast(_ group: IPAddress, interface: String? = nil) throws(AIOError) {
        try setMembership(of: group, interface: interface, joins: true)
    }

    /// Leaves a group that was joined with the same interface.
    /// - Throws: `.addressNotAvailable` if it was not, and as `joinMulticast`.
    public func leaveMulticast(_ group: IPAddress, interface: String? = nil) throws(AIOError) {
        try setMembership(of: group, interface: interface, joins: false)
    }

    /// Whether what is sent to groups also reaches sockets of this machine; it does by default.
    public func setMulticastLoopback(_ isOn: Bool) throws(AIOError) {
        try core.set(.multicastLoopback(isOn))
    }

    /// How many routers what is sent to groups may pass (TTL, hop limit): 0 to 255, by default 1.
    public func setMulticastHops(_ hops: Int) throws(AIOError) {
        guard (0...255).contains(hops) else {
            throw AIOError(.invalidArgument, detail: "multicast hops are \(hops), but must be in 0...255")
        }
        try core.set(.multicastHops(hops))
    }

    /// The interface by which what is sent to groups leaves, by name; nil leaves it to the routing table.
    public func setMulticastInterface(_ interface: String?) throws(AIOError) {
        try core.set(.multicastInterface(core.interfaceIndex(interface)))
    }

    private func setMembership(of group: IPAddress, interface: String?, joins: Bool) throws(AIOError) {
        guard group.isMulticast else {
            throw AIOError(.invalidArgument, detail: "\(group) is not a multicast group")
        }
        let index = try core.interfaceIndex(interface)
        try core.set(.membership(of: group, interface: index, joins: joins))
    }
}
