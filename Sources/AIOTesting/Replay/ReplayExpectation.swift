// What is chosen about a replay, and what comes of it.

public import AIOBytes

/// What the handler under test has to send when a recording is replayed into it.
public enum ReplayExpectation: Sendable {
    /// What the server sent in the recording, to the byte; and it ends as that did.
    ///
    /// In which pieces it comes does not matter, nor does it matter if it comes earlier than in the recording. Of a recording
    /// that was cut, or was not written to its end, what comes beyond it is not looked at; what is sent just before a reset may
    /// be lost, as it may be by TCP.
    case exactly
    /// Anything: only the client's side is played, and the report says what came.
    case anything
    /// Bytes for which this is true, given all that the server sent in the recording and all that came: for replies with
    /// dates in them. It ends as the server did.
    case matching(@Sendable (_ expected: Bytes, _ got: Bytes) -> Bool)
}

/// When the client's side of a recording is played.
public enum ReplayTiming: Sendable, Hashable {
    /// As soon as what the client had heard of the server has come.
    case atOnce
    /// That too, but no earlier than in the recording, counted from the beginning of the connection, in virtual time.
    case asRecorded
}

/// What the handler did in a replay.
public struct ReplayReport: Sendable, Hashable {
    /// All that it sent.
    public var received: Bytes
    public var ending: Ending
    /// From the beginning of the connection to the end of the replay, in virtual time.
    public var duration: Duration

    public enum Ending: Sendable, Hashable {
        /// It had not ended its side, or the client's reset was first.
        case open
        case end
        case reset
    }
}
