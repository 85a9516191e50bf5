// A stream socket in memory. Calls act on the near ends of the two links that join it to its peer (StreamLink.swift);
// only the network (SimulatedNetwork.swift) moves things to the far end.

import AIOKernel
import SystemPackage

/// A stream socket: fresh, bound, listening, connecting, or an end of a connection.
final class SimulatedStream: SimulatedFile {
    enum Phase { case fresh, listening, connecting, connected, dead }

    let sendMax: Int
    let receiveMax: Int
    @safe @exclusivity(unchecked) var phase = Phase.fresh
    var local: Endpoint?
    var peer: Endpoint?
    /// `SO_ERROR`.
    @safe @exclusivity(unchecked) var pendingError: Errno?
    @safe @exclusivity(unchecked) var incoming: StreamLink?
    @safe @exclusivity(unchecked) var outgoing: StreamLink?
    /// Shut down for writing.
    @safe @exclusivity(unchecked) var hasEnded = false
    /// A write, or a look, found the buffer full: space is worth an edge (`SOCK_NOSPACE`; without it there is
    /// none).
    @safe @exclusivity(unchecked) var wantsSpace = false
    var resetsOnClose = false
    /// `SO_REUSEPORT`.
    var sharesPort = false
    /// No descriptor any more; the network still delivers what was sent.
    @safe @exclusivity(unchecked) var isOrphan = false
    /// Of a listener: connections nobody has accepted.
    @safe @exclusivity(unchecked) var waiting: [SimulatedStream] = []
    var backlog = 0
    /// Of a listener: `TCP_DEFER_ACCEPT`.
    var deferAccept: Duration?

    /// A script says in which pieces it writes: none of its writes is cut short by chance.
    var writesWhole = false
    /// Of what it sends, if it is to be other than the network's.
    var arrival: Arrival?
    /// Set when it is bound or connects.
    weak var network: SimulatedNetwork?

    init(sendMax: Int, receiveMax: Int) {
        self.sendMax = sendMax
        self.receiveMax = receiveMax
    }

    /// Of a Unix socket, which has no resets: what was sent is with the peer at once, and stays there.
    var isUnix: Bool { peer.map { !$0.isIP } ?? false }
    /// Of a connected Unix socket: the peer's descriptor is closed.
    var hasLostPeer: Bool { isUnix && outgoing?.receiver.isOrphan ?? false }

    var freeSpace: Int { sendMax - (outgoing?.sent.count ?? 0) }
    /// Linux calls a socket writable when a third of its buffer is free (`sk_stream_is_writeable`).
    private var hasSpace: Bool { freeSpace * 3 >= sendMax }

    override func poll() -> Readiness {
        switch phase {
        case .fresh: return [.writable, .hangUp]
        case .listening: return waiting.isEmpty ? [] : .readable
        case .connecting: return []
        case .dead:
            let all: Readiness = [.readable, .writable, .hangUp, .peerHangUp]
            return pendingError == nil ? all : all.union(.error)
        case .connected: break
        }
        var possible: UInt32 = 0
        if let incoming {
            if !incoming.arrived.isEmpty { possible |= Readiness.readable.rawValue }
            if incoming.endArrived { possible |= Readiness.readable.rawValue | Readiness.peerHangUp.rawValue }
            if incoming.endArrived && hasEnded { possible |= Readiness.hangUp.rawValue }
        }
        if hasLostPeer { possible |= Readiness.hangUp.rawValue }
        if pendingError != nil { possible |= Readiness.error.rawValue }
        if hasEnded || hasSpace { possible |= Readiness.writable.rawValue } else { wantsSpace = true }
        return Readiness(rawValue: possible)
    }

    /// The network took bytes out of the send buffer.
    func spaceFreed() {
        guard wantsSpace, hasSpace else { return }
        wantsSpace = false
        changed(.writable)
    }

    /// The connection is over at once: reset by the peer, or refused. What has arrived can still be read.
    func fail(_ errno: Errno) {
        phase = .dead
        pendingError = errno
        outgoing?.discard()
        outgoing?.isDead = true
        incoming?.isDead = true
        changed()
    }

    /// close(2). Unread input, or `SO_LINGER` of zero, makes it a reset; else what was sent is delivered
    /// first, and then the end. Of a Unix socket it is delivered in any case; unread input, or that nobody had accepted it,
    /// makes an error behind it (unix_release_sock).
    override func closed(by kernel: SimulatedKernel) {
        isOrphan = true
        kernel.network.bindings.removeAll { $0.stream === self }
        switch phase {
        case .listening:
            // Linux resets connections that nobody will accept (inet_csk_listen_stop).
            for stream in waiting + kernel.network.deferredAccepts.take(of: self) {
                stream.resetsOnClose = true
                stream.closed(by: kernel)
            }
            waiting = []
        case .connecting:
            kernel.network.forgetHandshake(of: self)
        case .connected where isUnix:
            outgoing?.end(now: kernel.now, isError: resetsOnClose || incoming?.hasUnread ?? false)
            incoming?.discard()
            incoming?.isDead = true
            outgoing?.receiver.changed()
        case .connected:
            if resetsOnClose || !(incoming?.arrived.isEmpty ?? true) {
                outgoing?.reset(now: kernel.now)
            } else if !hasEnded {
                outgoing?.end(now: kernel.now)
            }
        case .fresh, .dead:
            break
        }
        if phase != .connected { phase = .dead }
    }
}
