// The limits of a frame whose end has to be found: for lines, delimiters and heads, which differ in what they
// look for alone.

// Theory of operation
//
// A frame that is not too long ends within its *window*: the first `byteCountMax` bytes, and as many as an
// end can have. So the search goes no further. When the window is full without an end in it the frame is too
// long, and that is so at the same byte in whatever pieces the stream comes. A short end, LF alone, may leave
// a payload in the window that is a byte too long; then the frame is too long as well, but its end has been
// seen.
//
// Cut short, a frame is handed out when its window is full; then its rest is discarded up to its end.

/// Where a frame ends in the bytes that were searched.
struct FrameEnd {
    /// Behind the end.
    var offset: Int
    /// How long the end is. It may have begun in an earlier piece.
    var byteCount: Int
}

struct FrameWindow: Sendable {
    private let byteCountMax: Int
    /// The most bytes that a frame may take up.
    let windowByteCount: Int
    private let truncates: Bool
    /// Frames are handed out with their ends, unless they are cut short.
    private let keepsEnds: Bool

    /// Bytes of the frame seen so far; not counted while its rest is discarded.
    private var seen = 0
    private(set) var isDiscarding = false

    /// - Parameter endByteCountMax: how long an end can be.
    init(byteCountMax: Int, endByteCountMax: Int, truncates: Bool, keepsEnds: Bool = false) {
        self.byteCountMax = byteCountMax
        windowByteCount = byteCountMax.addingSaturated(endByteCountMax)
        self.truncates = truncates
        self.keepsEnds = keepsEnds
    }

    /// How many of the bytes that follow are to be searched for an end: at least one.
    @inline(__always)
    func searchable(of byteCount: Int) -> Int {
        isDiscarding ? byteCount : min(byteCount, windowByteCount - seen)
    }

    /// An end was found among `byteCount` bytes, or there is none.
    @inline(__always)
    mutating func searched(_ byteCount: Int, found end: FrameEnd?) -> FramerStep {
        if isDiscarding {
            isDiscarding = end == nil
            return .discard(byteCount: end?.offset ?? byteCount)
        }
        if let end {
            let excess = max(0, seen + end.offset - end.byteCount - byteCountMax)
            seen = 0
            if excess > 0, !truncates { return .failed(.tooLong(byteCountMax: byteCountMax)) }
            return .complete(
                byteCount: end.offset, trailer: end.byteCount + excess,
                keptTrailer: keepsEnds && excess == 0 ? end.byteCount : 0)
        }
        seen += byteCount
        guard seen == windowByteCount else { return .incomplete }
        guard truncates else { return .failed(.tooLong(byteCountMax: byteCountMax)) }
        seen = 0
        isDiscarding = true
        return .complete(byteCount: byteCount, trailer: windowByteCount - byteCountMax)
    }

    /// No end comes any more. So all that was seen is payload, the beginning of an end too, and there may be
    /// too much of it.
    func streamEnded(_ unterminated: Framing.Unterminated) -> UnfinishedFrame {
        if unterminated == .fail { return .fail(.unfinished) }
        let excess = max(0, seen - byteCountMax)
        if excess == 0 || truncates { return .deliver(trailer: excess) }
        return .fail(.tooLong(byteCountMax: byteCountMax))
    }
}
