// Who hears of a connection: the event stream, or tasks that read and write it. One object for all connections
// of a listener or of a `connect`, with what they have in common. Fixed when a connection is made.

package import AIOBytes
package import AIOKernel

/// Where the code runs that reads and writes a connection.
package enum HandlerPlace: Sendable, Hashable {
    /// On the connection's worker, between two polls.
    case worker
    /// On the worker's partner, a thread for handlers alone.
    case partner
    /// On Swift's global executor, or wherever the task happens to be.
    case global
}

/// A server that accepts connections: told of each on its worker's thread.
package protocol ConnectionObserver: AnyObject, Sendable {
    /// The connection was taken in, and is to be heard of later: `opened` or `closed` follows.
    func takenIn(_ connection: ConnectionCore, on worker: Worker)
    /// The connection was taken in, and the program is to hear of it.
    func opened(_ connection: ConnectionCore, on worker: Worker)
    /// The connection is no more. `wasOpened`: `opened` came before.
    func closed(_ connection: ConnectionCore, wasOpened: Bool, on worker: Worker)
    /// A listening socket broke.
    func listenerFailed(_ error: AIOError)
    /// Whether a connection from this peer may stay. If so, `opened` and `closed` follow.
    func admits(_ peer: Endpoint) -> Admission
}

/// What becomes of a connection that was accepted.
package enum Admission: Sendable {
    case accept
    /// The peer sees the end, a reset, or these bytes and then the end.
    case close
    case reset
    case reply(Bytes)
}

/// What connections of one origin have in common.
package final class ConnectionSink: Sendable {
    package let limits: ConnectionLimits
    /// The queue of the event stream; nil for connections that tasks read and write.
    package let events: CompletionQueue?
    package let place: HandlerPlace
    package let observer: (any ConnectionObserver)?
    /// nil: bytes are handed out as they come.
    package let framePolicy: FramePolicy?

    /// Connections of the event stream.
    package init(events: CompletionQueue, limits: ConnectionLimits, framePolicy: FramePolicy? = nil) {
        self.limits = limits
        self.framePolicy = framePolicy
        self.events = events
        place = .global
        observer = nil
    }

    /// Connections of tasks.
    package init(
        place: HandlerPlace, limits: ConnectionLimits, observer: (any ConnectionObserver)?,
        framePolicy: FramePolicy? = nil
    ) {
        self.limits = limits
        self.framePolicy = framePolicy
        events = nil
        self.place = place
        self.observer = observer
    }
}
