// What can be asked of a transport, and how much of it: the options of `checkTransport`.

import AIO
import AIOKernel

/// What a transport is able to do, and how it is checked.
public struct TransportCheckOptions: Sendable {
    /// The promises to check; those that need an ability which the transport has not are left out.
    public var promises = Set(TransportPromise.allCases)

    // MARK: Abilities

    /// `finish` ends one direction and leaves the other. If not, the end is looked for after `close`.
    public var hasHalfClose = true
    /// Several tasks may write at the same time.
    public var hasConcurrentWrites = true
    /// `close` sends what was written even if bytes of the peer are there that were never read, or still
    /// come. A plain TCP socket does not: it answers them with a reset, which overtakes what it has sent.
    public var closeOutlivesUnreadBytes = true
    /// The peer of an end that is aborted sees a failure, of kind `.reset`. If not, it may as well see an
    /// orderly end: Unix sockets have no resets.
    public var abortIsReset = true
    /// Bytes that both ends and what is between them may hold, one way, with nobody reading; the last write
    /// is not counted. nil if there is no limit, and then nothing that waits to be written is checked.
    public var bufferedByteCountMax: Int? = 16 << 20

    // MARK: Amounts

    /// Bytes that are sent, each way, where it is about many. Should be more than what is buffered, unless
    /// that takes too long.
    public var byteCount = 300_000
    /// When something that should end is given up as hanging. Virtual time under a simulation.
    public var timeLimit: Duration = .seconds(30)
    /// What is taken for a sign that an operation waits: so long nothing has moved. If it is too short, less
    /// is found; nothing is found that is not there. nil for what suits the clock: 100 ms of a virtual one,
    /// 20 ms of a real one.
    public var pause: Duration?

    // MARK: Errors

    /// Which kind of failure an error stands for; nil if it is none that an operation should throw here. As
    /// it comes, it knows `AIOError` and `CancellationError`.
    public var failure: @Sendable (any Error) -> TransportFailure? = TransportFailure.init

    public init() {}
}

/// The kinds of failure that operations of a transport end with.
public enum TransportFailure: Sendable, Hashable {
    /// The task was cancelled.
    case cancelled
    /// This end was finished, closed or aborted.
    case closed
    /// The stream is broken: the peer aborted, or is gone.
    case reset
    /// The time for it is over.
    case timedOut
    /// It must not be called now: a read beside another.
    case misuse

    /// The kind of an `AIOError` or a `CancellationError`; nil for others.
    public init?(_ error: any Error) {
        if error is CancellationError {
            self = .cancelled
            return
        }
        switch (error as? AIOError)?.code {
        case .cancelled: self = .cancelled
        case .closed: self = .closed
        case .connectionReset: self = .reset
        case .timedOut: self = .timedOut
        case .misuse: self = .misuse
        default: return nil
        }
    }
}

extension TransportCheckOptions {
    /// Whether the transport is able to keep it at all.
    func applies(_ promise: TransportPromise) -> Bool {
        switch promise {
        case .halvesEndSeparately, .finishedTakesNoWrites: hasHalfClose
        case .piecesStayWhole: hasConcurrentWrites
        case .writesAreHeldBack, .directionsAreIndependent, .cancelledWriteSendsNothing:
            bufferedByteCountMax != nil
        default: true
        }
    }
}
