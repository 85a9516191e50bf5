// Why a connection ended: what the last event of each connection carries.

public import AIOKernel

/// Why a connection closed. Each connection reports exactly one reason, in its last event.
///
/// Cases may be added: keep an `@unknown default` when switching over it from another package.
#if hasAttribute(nonexhaustive)
    @nonexhaustive
#endif
public enum CloseReason: Sendable, Hashable {
    /// This side closed it with `close()`, or ended its writing first and then the peer did too.
    case local
    /// The peer ended its side first.
    case peer
    /// This side cut it with `abort()`.
    case aborted
    /// The peer reset it: what was on its way, either way, may be lost.
    case reset
    /// Nothing was received or sent for the idle timeout.
    case idle
    /// The peer took nothing of what was written for `ConnectionLimits.writeProgressTimeout`.
    case stalled
    /// The peer did not read, and what waited for it reached the cap of the outbound queue.
    case slowConsumer
    /// A frame was begun and not finished within `ConnectionLimits.frameTimeout`.
    case frameTimedOut
    /// A filter closed it.
    case rejected
    /// Connecting failed, by the error of the last address that was tried, or by `.timedOut`.
    case connectFailed(AIOError)
    /// Reading or writing failed with something other than a reset; or, with `.timedOut`, a `close()` could
    /// not send all that was queued within `ConnectionLimits.lingerTimeout`.
    case failed(AIOError)
    /// The proactor was shut down.
    case shutDown
}

extension CloseReason {
    /// What a read or write of a connection that closed for this reason throws.
    func error(call: String) -> AIOError {
        switch self {
        case .local, .peer, .aborted, .rejected: AIOError(.closed, call: call)
        case .reset: AIOError(.connectionReset, call: call)
        case .idle: AIOError(.timedOut, call: call, detail: "the connection was idle")
        case .frameTimedOut: AIOError(.timedOut, call: call, detail: "a frame was not whole in time")
        case .stalled: AIOError(.timedOut, call: call, detail: "the peer took nothing of what was written")
        case .slowConsumer: AIOError(.limitReached, call: call, detail: "outboundByteCountMax")
        case .connectFailed(let error), .failed(let error): error
        case .shutDown: AIOError(.shutDown, call: call)
        }
    }
}
