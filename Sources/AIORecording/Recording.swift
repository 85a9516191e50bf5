// What went over one connection, as a value. ConnectionRecorder makes it, RecordingText.swift and RecordingParser.swift turn
// it into a file and back, and AIOTesting replays it.

public import AIOBytes
public import AIOKernel

/// One connection, as somebody saw it who stood between its two sides: who sent what, when, and how it ended.
///
/// What one side did in consequence of something the other did comes after that in `events`.
public struct Recording: Sendable, Hashable {
    /// The address of the side that made the connection, if it is known and has a name.
    public var client: Endpoint?
    /// The address of the side that was connected to, if it is known and has a name.
    public var server: Endpoint?
    /// In the order in which they were seen. Their times do not go back.
    public var events: [Event]
    /// How it ended; nil if that is not known, because the file ends before.
    public var ending: Ending?

    public init(
        client: Endpoint? = nil, server: Endpoint? = nil, events: [Event] = [], ending: Ending? = nil
    ) {
        self.client = client
        self.server = server
        self.events = events
        self.ending = ending
    }

    public enum Side: String, Sendable, Hashable, CaseIterable { case client, server }

    /// Something that one side did.
    public struct Event: Sendable, Hashable {
        /// Since the connection began.
        public var microseconds: UInt64
        public var side: Side
        public var action: Action

        public init(microseconds: UInt64, _ side: Side, _ action: Action) {
            self.microseconds = microseconds
            self.side = side
            self.action = action
        }

        /// Since the connection began.
        public var time: Duration { .microseconds(microseconds) }
    }

    public enum Action: Sendable, Hashable {
        /// It sent these. What was one event was one read, and not necessarily one write.
        case bytes(Bytes)
        /// It ended its writing, in order (a FIN). It may have closed its socket: that looks the same, until it answers
        /// what is sent to it by a reset.
        case end
        /// It reset the connection (a RST).
        case reset
    }

    public struct Ending: Sendable, Hashable {
        /// Since the connection began.
        public var microseconds: UInt64
        public var kind: Kind

        public init(microseconds: UInt64, _ kind: Kind) {
            self.microseconds = microseconds
            self.kind = kind
        }

        public enum Kind: Sendable, Hashable {
            /// The connection is over, and all of it is recorded: both sides have ended, or one has reset it.
            case closed
            /// Something broke it that neither side did, such as an idle timeout in between.
            case failed(String)
            /// The recording ends here, and the connection may have gone on. Why, in words.
            case cut(String)
        }
    }

    /// Whether all of the connection is there, to its end.
    public var isComplete: Bool { ending?.kind == .closed }

    /// All bytes that one side sent, in one piece.
    public func bytes(from side: Side) -> Bytes {
        Bytes(
            joining: events.compactMap { event in
                if event.side == side, case .bytes(let bytes) = event.action { bytes } else { nil }
            })
    }
}
