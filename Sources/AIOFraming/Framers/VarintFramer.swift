// Frames behind their length as a variable-length integer (LEB128): seven bits a byte, the lowest first, and
// the high bit says that more follow. https://protobuf.dev/programming-guides/encoding/#varints

package struct VarintFramer: Framer {
    /// Bytes of the length seen so far.
    private var lengthSeen = 0
    /// The length, as far as it has been read.
    private var length: UInt64 = 0
    /// The length's last byte has been seen, and its frame is not complete.
    private var isLengthKnown = false
    private var payload: SizedPayload

    /// As many bytes as 64 bits take up.
    private static let lengthByteCountMax = 10

    init(byteCountMax: Int, truncates: Bool) {
        payload = SizedPayload(byteCountMax: byteCountMax, truncates: truncates)
    }

    package mutating func advance(over bytes: RawSpan) -> FramerStep {
        if isDiscarding { return .discard(byteCount: payload.discard(from: bytes.byteCount)) }
        var offset = 0
        while !isLengthKnown {
            guard offset < bytes.byteCount else { return .incomplete }
            if let error = read(bytes.byte(at: offset)) { return .failed(error) }
            offset += 1
        }
        let (taken, isComplete) = payload.take(from: bytes.byteCount - offset)
        guard isComplete else { return .incomplete }
        let header = lengthSeen
        lengthSeen = 0
        length = 0
        isLengthKnown = false
        return .complete(byteCount: offset + taken, header: header)
    }

    package mutating func streamEnded() -> UnfinishedFrame { .fail(.unfinished) }

    package var frameByteCountMax: Int { payload.byteCountMax.addingSaturated(Self.lengthByteCountMax) }

    package var isDiscarding: Bool { !isLengthKnown && payload.excess > 0 }

    private mutating func read(_ byte: UInt8) -> FramingError? {
        let isLast = byte & 0x80 == 0
        // Nine bytes have 63 bits; of the tenth only the lowest bit is left.
        if lengthSeen == Self.lengthByteCountMax - 1, byte > 1 {
            return .malformedLength("the peer sent a variable-length integer of more than 64 bits")
        }
        length |= UInt64(byte & 0x7f) << UInt64(7 * lengthSeen)
        lengthSeen += 1
        guard isLast else { return nil }
        isLengthKnown = true
        return payload.begin(byteCount: length)
    }
}
