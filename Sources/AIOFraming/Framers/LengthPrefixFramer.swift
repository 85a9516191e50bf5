// Frames that say their length in a number of fixed size, with bytes before it if a protocol has any there: a
// type, a version.

package struct LengthPrefixFramer: Framer {
    private let fieldOffset: Int
    private let headerByteCount: Int
    private let order: Framing.ByteOrder
    /// Bytes of the header that a length counts, too.
    private let countedByteCount: UInt64
    private let keepsHeader: Bool

    /// Bytes of the header seen so far.
    private var headerSeen = 0
    /// The length, as far as it has been read.
    private var length: UInt64 = 0
    private var payload: SizedPayload

    init(
        fieldByteCount: Int, order: Framing.ByteOrder, headerByteCount: Int,
        counts: Framing.LengthCoverage, keepsHeader: Bool, byteCountMax: Int, truncates: Bool
    ) {
        // Out of these bounds the framing is refused before the framer is used.
        let fieldByteCount = min(max(fieldByteCount, 1), 8)
        fieldOffset = min(max(headerByteCount, 0), Framing.headerByteCountMax)
        self.headerByteCount = fieldOffset + fieldByteCount
        self.order = order
        self.keepsHeader = keepsHeader
        countedByteCount =
            switch counts {
            case .payload: 0
            case .fieldAndPayload: UInt64(fieldByteCount)
            case .wholeFrame: UInt64(self.headerByteCount)
            }
        payload = SizedPayload(byteCountMax: byteCountMax, truncates: truncates)
    }

    package mutating func advance(over bytes: RawSpan) -> FramerStep {
        if isDiscarding { return .discard(byteCount: payload.discard(from: bytes.byteCount)) }
        var offset = 0
        if headerSeen < headerByteCount {
            offset = readHeader(from: bytes)
            guard headerSeen == headerByteCount else { return .incomplete }
            guard length >= countedByteCount else {
                return .failed(
                    .malformedLength(
                        "the peer sent a length of \(length), which has to count \(countedByteCount) bytes itself"
                    ))
            }
            if let error = payload.begin(byteCount: length - countedByteCount) { return .failed(error) }
        }
        let (taken, isComplete) = payload.take(from: bytes.byteCount - offset)
        guard isComplete else { return .incomplete }
        headerSeen = 0
        length = 0
        return .complete(byteCount: offset + taken, header: keepsHeader ? 0 : headerByteCount)
    }

    package mutating func streamEnded() -> UnfinishedFrame { .fail(.unfinished) }

    package var frameByteCountMax: Int { payload.byteCountMax.addingSaturated(headerByteCount) }

    /// Behind a frame only: what is in excess is known before the frame is complete.
    package var isDiscarding: Bool { headerSeen == 0 && payload.excess > 0 }

    /// Reads of the header what is there, and returns how many bytes that is.
    private mutating func readHeader(from bytes: RawSpan) -> Int {
        var offset = min(max(0, fieldOffset - headerSeen), bytes.byteCount)
        headerSeen += offset
        while headerSeen < headerByteCount, offset < bytes.byteCount {
            let byte = UInt64(bytes.byte(at: offset))
            switch order {
            case .bigEndian: length = length << 8 | byte
            case .littleEndian: length |= byte << UInt64(8 * (headerSeen - fieldOffset))
            }
            headerSeen += 1
            offset += 1
        }
        return offset
    }
}
