// Lines: cuts at LF, with the CR before it as the ending says.

// Theory of operation
//
// Every ending ends with LF, so LF is what is searched for; the byte before it, which may have come in an
// earlier piece, decides the rest.
//
// A line that is not too long ends within its *window*, the first `byteCountMax` bytes and as many as an
// ending can have. So the search goes no further than the window: when it is full without an end in it, the
// line is too long, and that is so at the same byte in whatever pieces the stream comes. An ending of LF
// alone may leave a payload of one byte more than the maximum in the window; that line is too long as well,
// but its end has been seen.
//
// Cut short, a line is handed out when its window is full; then its rest is discarded up to its end.

package struct LineFramer: Framer {
    private let byteCountMax: Int
    private let windowByteCount: Int
    private let ending: Framing.LineEnding
    private let truncates: Bool
    private let unterminated: Framing.Unterminated

    /// Bytes of the line seen so far, endings included; not counted while its rest is discarded.
    private var seen = 0
    /// The byte before those to come was a CR of this line.
    private var isBehindCR = false
    package private(set) var isDiscarding = false

    private static let lf = UInt8(ascii: "\n")
    private static let cr = UInt8(ascii: "\r")

    init(
        ending: Framing.LineEnding, byteCountMax: Int, truncates: Bool, unterminated: Framing.Unterminated
    ) {
        self.ending = ending
        self.byteCountMax = byteCountMax
        windowByteCount = byteCountMax.addingSaturated(ending == .lf ? 1 : 2)
        self.truncates = truncates
        self.unterminated = unterminated
    }

    package mutating func advance(over bytes: RawSpan) -> FramerStep {
        if isDiscarding { return discard(from: bytes) }
        let searched = min(bytes.byteCount, windowByteCount - seen)
        if let (end, endingByteCount) = endOfLine(in: bytes, upTo: searched) {
            let payloadByteCount = seen + end - endingByteCount
            begin()
            if payloadByteCount <= byteCountMax {
                return .complete(byteCount: end, trailer: endingByteCount)
            }
            guard truncates else { return .failed(.tooLong(byteCountMax: byteCountMax)) }
            return .complete(
                byteCount: end, trailer: payloadByteCount - byteCountMax + endingByteCount)
        }
        seen += searched
        isBehindCR = bytes.byte(at: searched - 1) == Self.cr
        guard seen == windowByteCount else { return .incomplete }
        guard truncates else { return .failed(.tooLong(byteCountMax: byteCountMax)) }
        seen = 0
        isDiscarding = true
        return .complete(byteCount: searched, trailer: windowByteCount - byteCountMax)
    }

    package mutating func streamEnded() -> UnfinishedFrame {
        // No ending came, so all of it is payload, a CR at its end too; there may be one byte too much.
        if unterminated == .fail { return .fail(.unfinished) }
        let excess = max(0, seen - byteCountMax)
        if excess == 0 || truncates { return .deliver(trailer: excess) }
        return .fail(.tooLong(byteCountMax: byteCountMax))
    }

    package var frameByteCountMax: Int { windowByteCount }

    // MARK: private parts

    private mutating func discard(from bytes: RawSpan) -> FramerStep {
        guard let (end, _) = endOfLine(in: bytes, upTo: bytes.byteCount) else {
            isBehindCR = bytes.byte(at: bytes.byteCount - 1) == Self.cr
            return .discard(byteCount: bytes.byteCount)
        }
        begin()
        return .discard(byteCount: end)
    }

    private mutating func begin() {
        seen = 0
        isBehindCR = false
        isDiscarding = false
    }

    /// The offset behind the line's end among the first `limit` bytes, and how long the ending is.
    @inline(__always)
    private func endOfLine(in bytes: RawSpan, upTo limit: Int) -> (end: Int, endingByteCount: Int)? {
        var start = 0
        while let offset = bytes.firstOffset(of: Self.lf, from: start, upTo: limit) {
            let followsCR = offset > 0 ? bytes.byte(at: offset - 1) == Self.cr : isBehindCR
            switch ending {
            case .lf: return (offset + 1, 1)
            case .either: return (offset + 1, followsCR ? 2 : 1)
            case .crlf: if followsCR { return (offset + 1, 2) }
            }
            start = offset + 1
        }
        return nil
    }
}
