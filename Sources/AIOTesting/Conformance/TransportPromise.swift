// What every stream transport has to keep: the list that `checkTransport` goes through.

/// Something that a stream transport promises. Its description is the promise in words.
public enum TransportPromise: String, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    // What is written is what is read.
    case everyByteInOrder = "every byte arrives once and in order, both ways at the same time"
    case emptyWritesDoNothing = "a write of no bytes does nothing"
    /// Left out without `TransportCheckOptions.hasConcurrentWrites`.
    case piecesStayWhole = "what several tasks write at the same time arrives in whole pieces"
    case oneReaderAtATime = "a second read beside one that waits is refused, and the first is unharmed"

    // Ends.
    case endComesLast = "the end comes after everything that was written, and stays"
    /// Left out without `TransportCheckOptions.hasHalfClose`, as is the next.
    case halvesEndSeparately = "after the end of one direction the other goes on"
    case finishedTakesNoWrites = "what is written after a finish is refused, and not sent"
    case closeSendsWhatWasWritten = "what was written before a close arrives, though its peer reads it late"
    case closeWakesOperations = "a close ends the reads and writes that wait, and its peer sees the end"
    case closedDeliversNothing = "after a close nothing is delivered any more"
    case abortWakesOperations = "an abort ends what waits at both ends"

    // Cancelling.
    case cancelledReadTakesNothing = "a cancelled read has taken nothing"
    case timedReadTakesNothing = "a read whose time is over has taken nothing"
    case cancelledWriteSendsNothing = "of a cancelled write nothing is sent"
    case cancelledFlushLosesNothing = "a cancelled flush stops no bytes"

    // Back-pressure.
    case writesAreHeldBack = "a writer whose peer does not read is held back, and goes on when it reads"
    case directionsAreIndependent = "one direction that is held back does not stop the other"

    public var description: String { rawValue }
}

/// A promise that a transport did not keep: the error of the issue that `checkTransport` records.
public struct BrokenTransportPromise: Error, Sendable, CustomStringConvertible {
    public let promise: TransportPromise
    /// The promise, what happened instead, and the seed.
    public let description: String
}
