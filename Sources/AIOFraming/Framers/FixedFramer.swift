// Frames that are all of one size.

package struct FixedFramer: Framer {
    private let byteCount: Int
    /// Bytes of the frame seen so far.
    private var seen = 0

    init(byteCount: Int) { self.byteCount = max(1, byteCount) }

    package mutating func advance(over bytes: RawSpan) -> FramerStep {
        let missing = byteCount - seen
        guard bytes.byteCount >= missing else {
            seen += bytes.byteCount
            return .incomplete
        }
        seen = 0
        return .complete(byteCount: missing)
    }

    package mutating func streamEnded() -> UnfinishedFrame { .fail(.unfinished) }

    package var frameByteCountMax: Int { byteCount }
}
