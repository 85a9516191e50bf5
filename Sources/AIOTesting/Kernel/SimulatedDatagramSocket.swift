// A UDP socket in memory, udp(7): a send buffer that the network empties, a receive buffer that it fills. Called by
// SimulatedKernel+Datagrams.swift; what is between two sockets is in Network/DatagramWire.swift.

import AIOBytes
import AIOKernel
import SystemPackage

/// A UDP socket.
///
/// Linux (sock_writeable, sock_def_write_space) takes datagrams until the buffer is full, but says that the socket is
/// writable only while less than half of it is in use; and each datagram that leaves is an edge if no more than half is
/// then. Both in datagrams here, in bytes there.
///
/// A socket that holds its datagrams is one whose send buffer only a test empties, with `depart`, and which never
/// receives anything.
final class SimulatedDatagramSocket: SimulatedFile {
    struct Outgoing {
        let bytes: Bytes
        let target: Endpoint
        /// When the line has carried it off.
        let leaves: MonotonicTime
    }

    struct Incoming {
        let bytes: Bytes
        let sender: Endpoint
    }

    let bufferMax: Int
    let holdsDatagrams: Bool
    var local: Endpoint?
    /// Where it is connected.
    var peer: Endpoint?
    /// `SO_REUSEADDR` or `SO_REUSEPORT`.
    var sharesAddress = false
    private(set) var buffered: [Outgoing] = []
    /// What has left by `depart`, in order.
    private(set) var departed: [Bytes] = []
    /// Calls that found the buffer full.
    private(set) var refusalCount = 0

    /// `SO_RCVBUF`; bytes.
    var inboxByteCountMax: Int
    private(set) var inbox: [Incoming] = []
    private var inboxByteCount = 0
    /// Datagrams for which there was no room, and whether the program asked for their number (`SO_RXQ_OVFL`).
    private(set) var dropCount: UInt32 = 0
    var countsDrops = false
    /// `SO_ERROR`.
    var pendingError: Errno?

    init(bufferMax: Int, inboxByteCountMax: Int, holdsDatagrams: Bool) {
        self.bufferMax = bufferMax
        self.inboxByteCountMax = inboxByteCountMax
        self.holdsDatagrams = holdsDatagrams
    }

    override func poll() -> Readiness {
        var possible: Readiness = buffered.count * 2 < bufferMax ? .writable : []
        if !inbox.isEmpty { possible = possible.union(.readable) }
        if pendingError != nil { possible = possible.union(.error) }
        return possible
    }

    override func closed(by kernel: SimulatedKernel) { kernel.network.datagrams.close(self) }

    // MARK: Sending

    /// False if the buffer is full.
    func take(_ datagram: Outgoing) -> Bool {
        guard buffered.count < bufferMax else { return false }
        buffered.append(datagram)
        return true
    }

    func noteRefusal() { refusalCount += 1 }

    /// The first of those in the buffer leaves. False if there is none.
    @discardableResult
    func depart() -> Bool {
        guard let first = popBuffered() else { return false }
        departed.append(first.bytes)
        return true
    }

    /// The first of those in the buffer, which is in it no longer.
    func popBuffered() -> Outgoing? {
        guard !buffered.isEmpty else { return nil }
        let first = buffered.removeFirst()
        if buffered.count * 2 <= bufferMax { changed(.writable) }
        return first
    }

    // MARK: Receiving

    /// False if there is no room. One datagram always fits into an empty buffer, as Linux has it.
    func arrived(_ datagram: Incoming) -> Bool {
        guard inbox.isEmpty || inboxByteCount + datagram.bytes.count <= inboxByteCountMax else {
            dropCount &+= 1
            return false
        }
        inbox.append(datagram)
        inboxByteCount += datagram.bytes.count
        changed(.readable)
        return true
    }

    func popInbox() -> Incoming? {
        guard !inbox.isEmpty else { return nil }
        let first = inbox.removeFirst()
        inboxByteCount -= first.bytes.count
        return first
    }

    /// What came back of something that it sent.
    func fail(_ errno: Errno) {
        pendingError = errno
        changed(.error)
    }
}
