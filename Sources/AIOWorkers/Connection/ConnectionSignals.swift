// What a worker has to tell the program about one connection, gathered until the program takes it: the
// payload of a connection's one node in the completion list.

/// Facts about a connection that wait to be taken, besides its bytes. Which order they are told in is fixed:
/// opened, bytes, drained, peer's end, closed.
package struct ConnectionSignals: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Accepted or connected.
    package static let opened = ConnectionSignals(rawValue: 1)
    /// The outbound queue fell below the low-water mark after having been above the high-water mark.
    package static let drained = ConnectionSignals(rawValue: 2)
    /// The peer ended its side.
    package static let peerEnded = ConnectionSignals(rawValue: 4)
    /// The connection is no more.
    package static let closed = ConnectionSignals(rawValue: 8)
}

/// What the program wants of the worker for one connection, gathered until the worker takes it.
package struct ConnectionRequests: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Take the connection in: it was accepted elsewhere, or is to be dialled.
    package static let adopt = ConnectionRequests(rawValue: 1)
    /// The addresses to dial are known, or why there are none.
    package static let dial = ConnectionRequests(rawValue: 2)
    package static let finish = ConnectionRequests(rawValue: 4)
    package static let close = ConnectionRequests(rawValue: 8)
    package static let abort = ConnectionRequests(rawValue: 16)
    /// The window opened: read on.
    package static let resumeReading = ConnectionRequests(rawValue: 32)
    /// A frame has begun that is to be whole in time.
    package static let watchFrame = ConnectionRequests(rawValue: 64)
}

/// What became of a `send`.
public enum SendOutcome: Sendable, Hashable {
    /// Queued, with this many bytes queued in all; the worker writes it on its next pass.
    case queued(pending: Int)
    /// Queued, and the queue is above its high-water mark: better wait for `.drained` before sending more.
    case aboveMark(pending: Int)
    /// Nothing of it was queued, and why.
    case refused(SendRefusal)
}

public enum SendRefusal: Sendable, Hashable {
    /// The connection is closed, closing, or its write side was ended.
    case closed
    /// `outboundByteCountMax` bytes wait already.
    case queueFull
}
