// How a connection's byte stream is to be cut into frames, as a value: what options carry, and what a handler
// switches to in mid-stream. `FrameBuffer` makes the framer of it. docs/framing.md has a table of defaults.

public import AIOBytes

/// How a byte stream is cut into frames.
///
/// Every framing has a maximum. It counts a frame's payload: what is handed out, without delimiters and
/// lengths. Values that make no sense (a delimiter without bytes, a negative maximum) are an
/// `.invalidArgument` where the framing is used; nothing traps here, since such values may come from a
/// configuration file.
public struct Framing: Sendable {
    package enum Rule: Sendable {
        /// A built-in framer that has seen nothing yet.
        case builtIn(ActiveFramer)
        case custom(@Sendable () -> any Framer)
    }

    /// Shared: each connection keeps its framing.
    private final class Storage: Sendable {
        let rule: Rule
        let overlongReply: Bytes?
        let problem: String?

        init(_ rule: Rule, _ overlong: OverlongFrame, _ problem: String?) {
            self.rule = rule
            if case .reply(let reply) = overlong { overlongReply = reply } else { overlongReply = nil }
            self.problem = problem
        }
    }

    private let storage: Storage

    init(_ rule: Rule, overlong: OverlongFrame = .close, problem: String? = nil) {
        storage = Storage(rule, overlong, problem)
    }

    package var rule: Rule { storage.rule }
    /// What the peer is told before the connection is closed over a frame that is too long.
    package var overlongReply: Bytes? { storage.overlongReply }
    /// What makes no sense about this framing, and names the parameter; nil if it can be used.
    package var problem: String? { storage.problem }

    /// A framer that has seen nothing yet.
    package func makeFramer() -> ActiveFramer {
        switch rule {
        case .builtIn(let framer): framer
        case .custom(let make): .custom(make())
        }
    }

    /// The most bytes that a frame may take up, header and trailer included: so much the connection's window
    /// has to let in.
    package var frameByteCountMax: Int { makeFramer().frameByteCountMax }

    /// Whether frames are lines.
    package var isLines: Bool {
        if case .builtIn(.lines) = rule { true } else { false }
    }

    /// Whether the pieces that arrive are handed out as they come.
    package var isRaw: Bool {
        if case .builtIn(.raw) = rule { true } else { false }
    }
}

/// What happens at a frame whose payload is longer than the maximum.
public enum OverlongFrame: Sendable, Hashable {
    /// The stream fails with `.tooLong` and the connection is closed. Frames before it are handed out.
    case close

    /// The same, but the peer is sent this first, behind the answers to the frames before.
    case reply(Bytes)

    /// The first `byteCountMax` bytes of the payload are handed out as the frame; the rest, up to the frame's
    /// end, is thrown away.
    case truncate
}

extension Framing {
    /// No frames: bytes are handed out in the pieces that they arrive in.
    public static let raw = Framing(.builtIn(.raw(RawFramer())))

    /// What ends a line.
    public enum LineEnding: Sendable, Hashable {
        /// LF, or CR LF. A CR that no LF follows is part of the line.
        case either
        /// CR LF alone. A CR or LF by itself is part of the line.
        case crlf
        /// LF alone. A CR is part of the line.
        case lf
    }

    /// What becomes of bytes at the end of the stream that no delimiter follows.
    public enum Unterminated: Sendable, Hashable {
        /// They are a frame.
        case deliver
        /// The stream fails with `.unfinished`.
        case fail
    }

    /// Lines, without their endings. Empty lines are frames.
    ///
    /// - Parameter keepsEndings: whether lines are handed out with their endings: to be passed on as they are, or to know
    ///   whether the last one had an ending. `byteCountMax` and filters are about the line without it. One that is cut
    ///   short has none.
    public static func lines(
        ending: LineEnding = .either, byteCountMax: Int = 8_192, overlong: OverlongFrame = .close,
        unterminated: Unterminated = .deliver, keepsEndings: Bool = false
    ) -> Framing {
        let framer = LineFramer(
            ending: ending, byteCountMax: byteCountMax, truncates: overlong == .truncate,
            unterminated: unterminated, keepsEndings: keepsEndings)
        return Framing(
            .builtIn(.lines(framer)), overlong: overlong, problem: problem(ofByteCountMax: byteCountMax))
    }

    /// Frames that `delimiter`, of one byte or more, ends, without it. Empty frames are frames.
    public static func delimited(
        by delimiter: Bytes, byteCountMax: Int = 65_536, overlong: OverlongFrame = .close,
        unterminated: Unterminated = .fail
    ) -> Framing {
        let framer = DelimiterFramer(
            delimiter, byteCountMax: byteCountMax, truncates: overlong == .truncate,
            unterminated: unterminated)
        let problem = delimiter.isEmpty ? "delimiter: has no bytes" : problem(ofByteCountMax: byteCountMax)
        return Framing(.builtIn(.delimited(framer)), overlong: overlong, problem: problem)
    }

    /// The order of the bytes of a number.
    public enum ByteOrder: Sendable, Hashable {
        /// The most significant first: network byte order.
        case bigEndian
        case littleEndian
    }

    /// What a length counts.
    public enum LengthCoverage: Sendable, Hashable {
        /// What follows it.
        case payload
        /// Itself, and what follows it.
        case fieldAndPayload
        /// All of the frame, including bytes before the length.
        case wholeFrame
    }

    /// Frames that say their length in a number of fixed size.
    ///
    /// - Parameters:
    ///   - byteCount: bytes of the length: 1 to 8.
    ///   - order: the order of these bytes.
    ///   - headerByteCount: bytes before the length.
    ///   - counts: what the length counts.
    ///   - keepsHeader: whether frames are handed out with the bytes before the length, and the length.
    ///   - byteCountMax: the most bytes that may follow the length.
    ///   - overlong: what happens at a length of more than that.
    public static func lengthPrefixed(
        byteCount: Int = 4, order: ByteOrder = .bigEndian, headerByteCount: Int = 0,
        counts: LengthCoverage = .payload, keepsHeader: Bool = false, byteCountMax: Int = 1 << 20,
        overlong: OverlongFrame = .close
    ) -> Framing {
        let framer = LengthPrefixFramer(
            fieldByteCount: byteCount, order: order, headerByteCount: headerByteCount, counts: counts,
            keepsHeader: keepsHeader, byteCountMax: byteCountMax, truncates: overlong == .truncate)
        let problem: String? =
            if !(1...8).contains(byteCount) {
                "byteCount: a length has 1 to 8 bytes, not \(byteCount)"
            } else if !(0...Self.headerByteCountMax).contains(headerByteCount) {
                "headerByteCount: \(headerByteCount) is not in 0...\(Self.headerByteCountMax)"
            } else {
                problem(ofByteCountMax: byteCountMax)
            }
        return Framing(.builtIn(.lengthPrefixed(framer)), overlong: overlong, problem: problem)
    }

    /// The most bytes before a length.
    public static var headerByteCountMax: Int { 65_536 }

    /// Frames behind their length as a variable-length integer of at most 10 bytes, as protobuf delimits
    /// messages (LEB128). Longer encodings of a number than necessary are accepted, as protobuf's readers do.
    public static func varint(byteCountMax: Int = 1 << 20, overlong: OverlongFrame = .close) -> Framing {
        let framer = VarintFramer(byteCountMax: byteCountMax, truncates: overlong == .truncate)
        return Framing(
            .builtIn(.varint(framer)), overlong: overlong, problem: problem(ofByteCountMax: byteCountMax))
    }

    /// Frames of `byteCount` bytes each, 1 or more.
    public static func fixed(byteCount: Int) -> Framing {
        Framing(
            .builtIn(.fixed(FixedFramer(byteCount: byteCount))),
            problem: byteCount < 1 ? "byteCount: a frame has at least 1 byte, not \(byteCount)" : nil)
    }

    /// Netstrings: `5:hello,`. A length with a leading zero is malformed.
    public static func netstrings(byteCountMax: Int = 65_536, overlong: OverlongFrame = .close) -> Framing {
        let framer = NetstringFramer(byteCountMax: byteCountMax, truncates: overlong == .truncate)
        return Framing(
            .builtIn(.netstrings(framer)), overlong: overlong, problem: problem(ofByteCountMax: byteCountMax))
    }

    /// Heads, as of HTTP requests and mails: lines up to a blank one.
    ///
    /// The payload is the lines, each with its ending, the last one too, without the blank line. Lines end
    /// with LF or CR LF, mixed as they come; a line is blank if nothing is before its ending. A head without
    /// lines is empty.
    public static func heads(byteCountMax: Int = 65_536, overlong: OverlongFrame = .close) -> Framing {
        let framer = HeadFramer(byteCountMax: byteCountMax, truncates: overlong == .truncate)
        return Framing(
            .builtIn(.heads(framer)), overlong: overlong, problem: problem(ofByteCountMax: byteCountMax))
    }

    /// Frames as a framer of your own cuts them. `make` is called for each connection, and each time that a
    /// connection switches to this framing.
    public static func custom(_ make: @escaping @Sendable () -> any Framer) -> Framing {
        Framing(.custom(make))
    }

    private static func problem(ofByteCountMax byteCountMax: Int) -> String? {
        byteCountMax < 0 ? "byteCountMax: \(byteCountMax) is negative" : nil
    }
}
