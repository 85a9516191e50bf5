// Heads: lines up to a blank one, as HTTP and mail have them.

// Theory of operation
//
// A line is blank if nothing but a CR is before its LF. So it is enough to know what of the line has been
// seen: nothing, a CR, or something else. In the last case LF is what is searched for.
//
// What is too long, and when it is cut short, is as in LineFramer: by a window of the maximum and a blank
// line.

package struct HeadFramer: Framer {
    private enum Line: Sendable {
        /// Nothing of the line has been seen.
        case begin
        /// A CR at its beginning, which is the blank line's if LF follows.
        case cr
        case inside
    }

    private let byteCountMax: Int
    private let windowByteCount: Int
    private let truncates: Bool

    /// Bytes of the head seen so far; not counted while its rest is discarded.
    private var seen = 0
    private var line = Line.begin
    package private(set) var isDiscarding = false

    private static let lf = UInt8(ascii: "\n")
    private static let cr = UInt8(ascii: "\r")

    init(byteCountMax: Int, truncates: Bool) {
        self.byteCountMax = byteCountMax
        windowByteCount = byteCountMax.addingSaturated(2)
        self.truncates = truncates
    }

    package mutating func advance(over bytes: RawSpan) -> FramerStep {
        if isDiscarding { return discard(from: bytes) }
        let searched = min(bytes.byteCount, windowByteCount - seen)
        if let (end, blankByteCount) = endOfHead(in: bytes, upTo: searched) {
            let excess = max(0, seen + end - blankByteCount - byteCountMax)
            seen = 0
            if excess > 0, !truncates { return .failed(.tooLong(byteCountMax: byteCountMax)) }
            return .complete(byteCount: end, trailer: blankByteCount + excess)
        }
        seen += searched
        guard seen == windowByteCount else { return .incomplete }
        guard truncates else { return .failed(.tooLong(byteCountMax: byteCountMax)) }
        seen = 0
        isDiscarding = true
        return .complete(byteCount: searched, trailer: windowByteCount - byteCountMax)
    }

    package mutating func streamEnded() -> UnfinishedFrame { .fail(.unfinished) }

    package var frameByteCountMax: Int { windowByteCount }

    // MARK: private parts

    private mutating func discard(from bytes: RawSpan) -> FramerStep {
        guard let (end, _) = endOfHead(in: bytes, upTo: bytes.byteCount) else {
            return .discard(byteCount: bytes.byteCount)
        }
        isDiscarding = false
        return .discard(byteCount: end)
    }

    /// The offset behind the blank line among the first `limit` bytes, and how long that line is. What has
    /// been seen of the line at the limit is remembered.
    private mutating func endOfHead(in bytes: RawSpan, upTo limit: Int) -> (end: Int, blankByteCount: Int)? {
        var offset = 0
        while offset < limit {
            let byte = bytes.byte(at: offset)
            switch line {
            case .begin where byte == Self.lf, .cr where byte == Self.lf:
                let blankByteCount = line == .cr ? 2 : 1
                line = .begin
                return (offset + 1, blankByteCount)
            case .begin where byte == Self.cr:
                line = .cr
                offset += 1
            case .begin, .cr, .inside:
                line = .inside
                guard let end = bytes.firstOffset(of: Self.lf, from: offset, upTo: limit) else { return nil }
                line = .begin
                offset = end + 1
            }
        }
        return nil
    }
}
