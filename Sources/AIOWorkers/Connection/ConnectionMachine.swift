// The rules of a connection's life, without the I/O: what has happened comes in as a stimulus, what is to be
// done goes out as an action. Driven by ConnectionCore on the worker; the test walks every state with every
// stimulus.

package import AIOKernel

/// The state of one stream connection, as a pure value.
///
/// ```
///   connecting ──connected──▶ open ──closeRequested──▶ flushing ──flushed──▶ lingering ──▶ closed
///        │                     │  reading: flowing | ended      (write side shut,       ▲
///        │                     │  writing: open | finishing | finished   input discarded)    │
///        └──── failure, abort, deadline, reset: from every state, straight to ──────────────┘
/// ```
///
/// Reading and writing end independently (half-close, RFC 9293 section 3.6): the peer's end stops only
/// reading, a `finish` here stops only writing, and when both have ended the connection is closed. A graceful
/// close first gives the kernel what is queued (`flushing`), then ends the write side and *reads on*,
/// throwing away what comes (`lingering`), until the peer ends too: a socket closed with unread input resets
/// the connection, and the reset overtakes replies that the peer has not read yet.
///
/// The machine knows neither clocks nor descriptors nor locks. Its driver holds the queue and tells it
/// whether it is empty; back-pressure (windows, marks) is the driver's too, since it never changes what the
/// next state is.
package struct ConnectionMachine: ~Copyable, Sendable {
    /// What the driver does next. One action a stimulus.
    package enum Action: Equatable, Sendable {
        case none
        /// Tell the program that the connection is made; start reading.
        case open
        /// Hand the bytes that arrived to the program.
        case deliver
        /// Throw the bytes that arrived away.
        case discard
        /// Tell the program that the peer has ended its side; stop reading.
        case deliverEnd
        /// Shut down the write side of the socket.
        case finishWriting
        /// Arm the linger deadline and go on writing what is queued; read and discard meanwhile.
        case flush
        /// Shut down the write side, arm the linger deadline, read and discard until the end.
        case linger
        /// Close the descriptor, with a reset instead of an orderly end if so said, and tell the program.
        case close(CloseReason, reset: Bool)
    }

    fileprivate enum Writing: Equatable, Sendable { case open, finishing, finished }

    fileprivate struct Open {
        var peerEnded = false
        var writing = Writing.open
    }

    fileprivate struct Closing {
        var peerEnded: Bool
        let reason: CloseReason
        /// Bytes that may still be thrown away before patience ends.
        var discardsLeft: Int
    }

    fileprivate enum State {
        /// `finishing`: the program ended its writing before the connection was made.
        case connecting(finishing: Bool)
        case open(Open)
        case flushing(Closing)
        case lingering(Closing)
        case closed
    }

    fileprivate var state: State
    private let discardsMax: Int

    /// A connection that is being made.
    package init(connectingWithDiscardsMax discardsMax: Int) {
        state = .connecting(finishing: false)
        self.discardsMax = discardsMax
    }

    /// A connection that was accepted.
    package init(acceptedWithDiscardsMax discardsMax: Int) {
        state = .open(Open())
        self.discardsMax = discardsMax
    }

    // MARK: From the kernel

    package mutating func connected() -> Action {
        switch state {
        case .connecting(let finishing):
            state = .open(Open(writing: finishing ? .finishing : .open))
            return .open
        case .open, .flushing, .lingering, .closed:
            return .none
        }
    }

    package mutating func connectFailed(_ error: AIOError) -> Action {
        switch state {
        case .connecting: return close(.connectFailed(error), reset: false)
        case .open, .flushing, .lingering, .closed: return .none
        }
    }

    package mutating func bytesArrived(_ byteCount: Int) -> Action {
        switch state {
        case .connecting, .closed:
            return .discard
        case .open(let open):
            return open.peerEnded ? .discard : .deliver
        case .flushing(var closing):
            if closing.spend(byteCount) { return close(.failed(Self.unsent), reset: true) }
            state = .flushing(closing)
            return .discard
        case .lingering(var closing):
            if closing.spend(byteCount) { return close(closing.reason, reset: true) }
            state = .lingering(closing)
            return .discard
        }
    }

    package mutating func peerEnded() -> Action {
        switch state {
        case .connecting, .closed:
            return .none
        case .open(var open):
            if open.peerEnded { return .none }
            // Ended here first, and now there: nothing is left to carry.
            if open.writing == .finished { return close(.local, reset: false) }
            open.peerEnded = true
            state = .open(open)
            return .deliverEnd
        case .flushing(var closing):
            closing.peerEnded = true
            state = .flushing(closing)
            return .none
        case .lingering(let closing):
            return close(closing.reason, reset: false)
        }
    }

    /// Reading or writing failed for good.
    package mutating func failed(_ error: AIOError) -> Action {
        let reason: CloseReason = error.code == .connectionReset ? .reset : .failed(error)
        switch state {
        case .connecting: return close(.connectFailed(error), reset: false)
        case .open: return close(reason, reset: false)
        // The peer cut a connection that was ending anyway. What was still queued is lost, and the reason
        // says so; once everything was in the kernel, the close that was asked for is what happened.
        case .flushing: return close(reason, reset: false)
        case .lingering(let closing): return close(closing.reason, reset: false)
        case .closed: return .none
        }
    }

    /// Everything that was queued is in the kernel.
    package mutating func flushed() -> Action {
        switch state {
        case .connecting, .lingering, .closed:
            return .none
        case .open(var open):
            guard open.writing == .finishing else { return .none }
            open.writing = .finished
            if open.peerEnded { return close(.peer, reset: false) }
            state = .open(open)
            return .finishWriting
        case .flushing(let closing):
            return endWriting(closing)
        }
    }

    // MARK: From the program

    /// The program has ended its writing: after what is queued, half-close.
    package mutating func finishRequested(queueIsEmpty: Bool) -> Action {
        switch state {
        case .connecting:
            state = .connecting(finishing: true)
            return .none
        case .flushing, .lingering, .closed:
            return .none
        case .open(var open):
            guard open.writing == .open else { return .none }
            open.writing = .finishing
            state = .open(open)
            return queueIsEmpty ? flushed() : .none
        }
    }

    /// A graceful close: `reason` is what the program will be told.
    package mutating func closeRequested(_ reason: CloseReason, queueIsEmpty: Bool) -> Action {
        switch state {
        case .connecting:
            return close(reason, reset: false)
        case .open(let open):
            let toldAs: CloseReason = open.peerEnded && reason == .local ? .peer : reason
            let closing = Closing(peerEnded: open.peerEnded, reason: toldAs, discardsLeft: discardsMax)
            if queueIsEmpty { return endWriting(closing) }
            state = .flushing(closing)
            return .flush
        case .flushing, .lingering, .closed:
            return .none
        }
    }

    /// Ends the connection at once, from whichever side the wish comes.
    package mutating func abortRequested(_ reason: CloseReason) -> Action {
        switch state {
        case .connecting: return close(reason, reset: false)
        case .open, .flushing: return close(reason, reset: true)
        case .lingering(let closing): return close(closing.reason, reset: true)
        case .closed: return .none
        }
    }

    // MARK: From time

    package mutating func connectDeadlinePassed() -> Action {
        switch state {
        case .connecting:
            return close(.connectFailed(AIOError(.timedOut, call: "connect")), reset: false)
        case .open, .flushing, .lingering, .closed:
            return .none
        }
    }

    package mutating func idleDeadlinePassed() -> Action {
        switch state {
        case .open: return close(.idle, reset: false)
        case .connecting, .flushing, .lingering, .closed: return .none
        }
    }

    /// A frame has begun and was not whole in time.
    package mutating func frameDeadlinePassed() -> Action {
        switch state {
        case .open: return close(.frameTimedOut, reset: false)
        case .connecting, .flushing, .lingering, .closed: return .none
        }
    }

    /// The peer has taken nothing of what waits for it for too long.
    package mutating func writeDeadlinePassed() -> Action {
        switch state {
        case .open: return close(.stalled, reset: true)
        // The linger deadline is the one that counts.
        case .connecting, .flushing, .lingering, .closed: return .none
        }
    }

    package mutating func lingerDeadlinePassed() -> Action {
        switch state {
        // Bytes that were accepted are lost, and the reason says so.
        case .flushing: return close(.failed(Self.unsent), reset: true)
        case .lingering(let closing): return close(closing.reason, reset: true)
        case .connecting, .open, .closed: return .none
        }
    }

    // MARK: What the driver asks

    package var isConnecting: Bool { if case .connecting = state { true } else { false } }
    package var isClosed: Bool { if case .closed = state { true } else { false } }
    package var isOpen: Bool { if case .open = state { true } else { false } }

    /// A graceful close is under way: the linger deadline applies.
    package var isEnding: Bool {
        switch state {
        case .flushing, .lingering: true
        case .connecting, .open, .closed: false
        }
    }

    /// Whether what arrives goes to the program; if not, windows do not apply, since nothing is held.
    package var deliversInput: Bool {
        if case .open(let open) = state { !open.peerEnded } else { false }
    }

    /// Whether reading makes sense at all.
    package var wantsInput: Bool {
        switch state {
        case .open(let open): !open.peerEnded
        case .flushing(let closing), .lingering(let closing): !closing.peerEnded
        case .connecting, .closed: false
        }
    }

    /// Whether bytes of the program may join the queue: also while connecting, to be sent once connected.
    package var takesOutput: Bool {
        switch state {
        case .connecting(let finishing): !finishing
        case .open(let open): open.writing == .open
        case .flushing, .lingering, .closed: false
        }
    }

    /// Whether the queue may be written to the socket now.
    package var canWrite: Bool {
        switch state {
        case .open(let open): open.writing != .finished
        case .flushing: true
        case .connecting, .lingering, .closed: false
        }
    }

    // MARK: Private

    /// Why a connection closes that could not send what was queued.
    package static let unsent = AIOError(
        .timedOut, call: "close", detail: "the peer did not take what was queued")

    private mutating func close(_ reason: CloseReason, reset: Bool) -> Action {
        state = .closed
        return .close(reason, reset: reset)
    }

    /// The queue is in the kernel and the connection is ending: shut the write side, then wait for the peer's
    /// end unless it came already.
    private mutating func endWriting(_ closing: Closing) -> Action {
        if closing.peerEnded { return close(closing.reason, reset: false) }
        state = .lingering(closing)
        return .linger
    }
}

extension ConnectionMachine.Closing {
    /// Takes `byteCount` from what may be discarded; true when that was too much.
    fileprivate mutating func spend(_ byteCount: Int) -> Bool {
        discardsLeft -= byteCount
        return discardsLeft < 0
    }
}
