// What `aio.events` yields: things that have already happened.

public import AIOBytes
public import AIOKernel
public import AIOWorkers

/// Something that has already happened.
///
/// For one connection the order is: `accepted` or `connected`, then `received` and `drained` as they come,
/// then `peerHalfClosed` at most once, then `closed` exactly once and as the last. Cases may be added: keep a
/// `default` (or `@unknown default`) when switching over it.
#if hasAttribute(nonexhaustive)
    @nonexhaustive
#endif
public enum Event: Sendable {
    /// A listener accepted a connection.
    case accepted(Connection)
    /// A connection asked for with `connect` is made.
    case connected(Connection)
    /// Bytes arrived: at least one, in order, as the kernel had them. They share the memory they were
    /// received into.
    case received(Bytes, Connection)
    /// The peer has ended its side: no more bytes will come. Unless `ConnectionLimits.keepsHalfOpen` is set
    /// the connection is closed gracefully when the next event is asked for.
    case peerHalfClosed(Connection)
    /// The outbound queue, which was above its high-water mark, is below its low-water mark.
    case drained(Connection)
    /// The connection is no more.
    case closed(Connection, CloseReason)
    /// A listener broke and has stopped listening.
    case listenerFailed(Listener, AIOError)
    /// A timer of `schedule(after:tag:)` is due.
    case timer(EventTag)
    /// A value of `post(_:)` has come through.
    case posted(any Sendable)
    /// A signal that the program watches (`watch(signals:)`) was sent to the process.
    case signal(ProcessSignal)
}

/// The program's name for a timer. Give names as static members and match them in a `switch`:
///
/// ```swift
/// extension EventTag { static let flush: EventTag = 1 }
/// case .timer(.flush): …
/// ```
public struct EventTag: Hashable, Sendable, RawRepresentable, ExpressibleByIntegerLiteral {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public init(integerLiteral value: UInt64) { rawValue = value }
}
