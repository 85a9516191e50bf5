// Heads: lines up to a blank one, as HTTP and mail have them.
//
// A line is blank if nothing but a CR is before its LF. So it is enough to know what of the line has been
// seen: nothing, a CR, or something else. In the last case LF is what is searched for.

package struct HeadFramer: Framer {
    private enum Line: Sendable {
        /// Nothing of the line has been seen.
        case begin
        /// A CR at its beginning, which is the blank line's if LF follows.
        case cr
        case inside
    }

    private var window: FrameWindow
    private var line = Line.begin

    private static let lf = UInt8(ascii: "\n")
    private static let cr = UInt8(ascii: "\r")

    init(byteCountMax: Int, truncates: Bool) {
        window = FrameWindow(byteCountMax: byteCountMax, endByteCountMax: 2, truncates: truncates)
    }

    package mutating func advance(over bytes: RawSpan) -> FramerStep {
        let searched = window.searchable(of: bytes.byteCount)
        let end = blankLine(in: bytes, upTo: searched)
        return window.searched(searched, found: end)
    }

    package mutating func streamEnded() -> UnfinishedFrame { window.streamEnded(.fail) }

    package var frameByteCountMax: Int { window.windowByteCount }

    package var isDiscarding: Bool { window.isDiscarding }

    /// What has been seen of the line at the limit is remembered.
    private mutating func blankLine(in bytes: RawSpan, upTo limit: Int) -> FrameEnd? {
        var offset = 0
        while offset < limit {
            let byte = bytes.byte(at: offset)
            switch line {
            case .begin where byte == Self.lf, .cr where byte == Self.lf:
                let byteCount = line == .cr ? 2 : 1
                line = .begin
                return FrameEnd(offset: offset + 1, byteCount: byteCount)
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
