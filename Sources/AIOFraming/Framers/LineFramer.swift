// Lines: cuts at LF, with the CR before it as the ending says.
//
// Every ending ends with LF, so LF is what is searched for; the byte before it, which may have come in an
// earlier piece, decides the rest.

package struct LineFramer: Framer {
    private let ending: Framing.LineEnding
    private let unterminated: Framing.Unterminated
    private var window: FrameWindow
    /// The byte before those to come was a CR of this line.
    private var isBehindCR = false

    private static let lf = UInt8(ascii: "\n")
    private static let cr = UInt8(ascii: "\r")

    init(
        ending: Framing.LineEnding, byteCountMax: Int, truncates: Bool, unterminated: Framing.Unterminated,
        keepsEndings: Bool
    ) {
        self.ending = ending
        self.unterminated = unterminated
        window = FrameWindow(
            byteCountMax: byteCountMax, endByteCountMax: ending == .lf ? 1 : 2, truncates: truncates,
            keepsEnds: keepsEndings)
    }

    package mutating func advance(over bytes: RawSpan) -> FramerStep {
        let searched = window.searchable(of: bytes.byteCount)
        let end = endOfLine(in: bytes, upTo: searched)
        isBehindCR = end == nil && bytes.byte(at: searched - 1) == Self.cr
        return window.searched(searched, found: end)
    }

    package mutating func streamEnded() -> UnfinishedFrame { window.streamEnded(unterminated) }

    package var frameByteCountMax: Int { window.windowByteCount }

    package var isDiscarding: Bool { window.isDiscarding }

    @inline(__always)
    private func endOfLine(in bytes: RawSpan, upTo limit: Int) -> FrameEnd? {
        var start = 0
        while let offset = bytes.firstOffset(of: Self.lf, from: start, upTo: limit) {
            let followsCR = offset > 0 ? bytes.byte(at: offset - 1) == Self.cr : isBehindCR
            switch ending {
            case .lf: return FrameEnd(offset: offset + 1, byteCount: 1)
            case .either: return FrameEnd(offset: offset + 1, byteCount: followsCR ? 2 : 1)
            case .crlf: if followsCR { return FrameEnd(offset: offset + 1, byteCount: 2) }
            }
            start = offset + 1
        }
        return nil
    }
}
