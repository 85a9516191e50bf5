// What a datagram socket is opened with. Checked and applied by Engine+Datagrams.swift.

package import AIOKernel

/// Limits and settings of one datagram socket.
public struct DatagramOptions: Sendable, Hashable {
    /// Datagrams received and not yet taken by the program; those beyond are dropped and counted.
    public var inboxDatagramsMax = 1_024
    /// Their payload in bytes; at least `payloadByteCountMax`. The worker's `inboundByteCountMax` limits what
    /// all its sockets and connections hold together: as that is used up, this limit shrinks.
    public var inboxByteCountMax = 1 << 20
    /// Which datagrams are dropped then.
    public var whenInboxIsFull = DatagramOverflow.dropNewest
    /// Datagrams queued for sending, and their payload in bytes (at least 65,527). At either limit `send`
    /// suspends and `trySend` refuses.
    public var outboundDatagramsMax = 1_024
    public var outboundByteCountMax = 1 << 20
    /// Bytes received of one datagram, 65,527 at most, which is as long as a datagram can be. What is longer is
    /// cut, and says so.
    public var payloadByteCountMax = 65_527
    /// The kernel's buffers (`SO_RCVBUF`, `SO_SNDBUF`, socket(7)), in bytes; nil leaves the system's default.
    /// The receive buffer bridges the time until the worker comes round; a burst that it cannot hold is lost.
    public var receiveBufferByteCount: Int?
    public var sendBufferByteCount: Int?
    /// Lets other sockets that say so too bind the same address (`SO_REUSEADDR`): for several receivers of
    /// one multicast group. Each then gets what is sent to the group; what is sent to the address goes to one.
    public var reusesAddress = false
    /// Allows sending to broadcast addresses (`SO_BROADCAST`).
    public var allowsBroadcast = false
    /// Whether what this socket sends to a group also reaches sockets of this machine; nil leaves it on.
    public var multicastLoopback: Bool?
    /// How many routers what is sent to a group may pass (TTL, hop limit), 0 to 255; nil leaves it at 1, which
    /// stays in the local network.
    public var multicastHops: Int?
    /// The interface by which multicast leaves, by name; nil leaves the choice to the routing table.
    public var multicastInterface: String?

    public init() {}
}

/// Which datagrams are lost when the program lags behind.
///
/// Either way they are read from the kernel, so that what comes next has room there and is not older than it
/// must be.
public enum DatagramOverflow: Sendable, Hashable {
    /// Those that arrive: what is in the inbox stays, as in the kernel's own queue. They are not even copied,
    /// so a flood costs least.
    case dropNewest
    /// Those that have waited longest: for data whose value fades, such as measurements or sound, and for
    /// requests that their senders have given up on.
    case dropOldest
}

extension DatagramOptions {
    /// Throws `.invalidArgument` with the name of the first setting that makes no sense.
    package func validate() throws(AIOError) {
        try check("payloadByteCountMax", payloadByteCountMax, 1...65_527)
        try check("inboxDatagramsMax", inboxDatagramsMax, 1...Int.max)
        try check("inboxByteCountMax", inboxByteCountMax, payloadByteCountMax...Int.max)
        try check("outboundDatagramsMax", outboundDatagramsMax, 1...Int.max)
        try check("outboundByteCountMax", outboundByteCountMax, 65_527...Int.max)
        if let multicastHops { try check("multicastHops", multicastHops, 0...255) }
        if let receiveBufferByteCount {
            try check("receiveBufferByteCount", receiveBufferByteCount, 1...Int(Int32.max))
        }
        if let sendBufferByteCount {
            try check("sendBufferByteCount", sendBufferByteCount, 1...Int(Int32.max))
        }
    }

    private func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws(AIOError) {
        guard range.contains(value) else {
            let detail = "\(name) is \(value), but must be in \(range.lowerBound)...\(range.upperBound)"
            throw AIOError(.invalidArgument, detail: detail)
        }
    }
}
