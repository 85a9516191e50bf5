// Netstrings: the length in decimal digits, a colon, the payload, a comma.
// https://cr.yp.to/proto/netstrings.txt

package struct NetstringFramer: Framer {
    private enum Part: Sendable {
        case length
        case payload
        case comma
        /// The payload has been handed out, cut short; its rest and the comma are to come.
        case rest
    }

    private var part = Part.length
    /// Digits of the length seen so far.
    private var digitsSeen = 0
    /// The length, as far as it has been read.
    private var length: UInt64 = 0
    private var payload: SizedPayload

    private static let zero = UInt8(ascii: "0")
    private static let colon = UInt8(ascii: ":")
    private static let comma = UInt8(ascii: ",")
    /// As many digits as 64 bits take up.
    private static let digitCountMax = 20

    init(byteCountMax: Int, truncates: Bool) {
        payload = SizedPayload(byteCountMax: byteCountMax, truncates: truncates)
    }

    package mutating func advance(over bytes: RawSpan) -> FramerStep {
        if part == .rest { return discard(from: bytes) }
        var offset = 0
        while part == .length {
            guard offset < bytes.byteCount else { return .incomplete }
            if let error = read(bytes.byte(at: offset)) { return .failed(error) }
            offset += 1
        }
        if part == .payload {
            let (taken, isComplete) = payload.take(from: bytes.byteCount - offset)
            offset += taken
            guard isComplete else { return .incomplete }
            if isCutShort { return complete(byteCount: offset, trailer: 0, next: .rest) }
            part = .comma
        }
        guard offset < bytes.byteCount else { return .incomplete }
        if let error = check(comma: bytes.byte(at: offset)) { return .failed(error) }
        return complete(byteCount: offset + 1, trailer: 1, next: .length)
    }

    package mutating func streamEnded() -> UnfinishedFrame { .fail(.unfinished) }

    package var frameByteCountMax: Int {
        let digitCount =
            payload.truncates ? Self.digitCountMax : String(max(0, payload.byteCountMax)).utf8.count
        return payload.byteCountMax.addingSaturated(digitCount + 2)
    }

    package var isDiscarding: Bool { part == .rest }

    // MARK: private parts

    private var isCutShort: Bool { payload.excess > 0 }

    private mutating func complete(byteCount: Int, trailer: Int, next: Part) -> FramerStep {
        let header = digitsSeen + 1
        part = next
        digitsSeen = 0
        length = 0
        return .complete(byteCount: byteCount, header: header, trailer: trailer)
    }

    private mutating func discard(from bytes: RawSpan) -> FramerStep {
        if payload.excess > 0 { return .discard(byteCount: payload.discard(from: bytes.byteCount)) }
        if let error = check(comma: bytes.byte(at: 0)) { return .failed(error) }
        part = .length
        return .discard(byteCount: 1)
    }

    private mutating func read(_ byte: UInt8) -> FramingError? {
        if byte == Self.colon, digitsSeen > 0 {
            part = .payload
            return payload.begin(byteCount: length)
        }
        guard byte >= Self.zero, byte <= Self.zero + 9 else {
            return .malformedLength("the peer sent a netstring whose length is not a number and a colon")
        }
        if digitsSeen > 0, length == 0 {
            return .malformedLength("the peer sent a netstring whose length has a leading zero")
        }
        let (tenfold, overflowsTenfold) = length.multipliedReportingOverflow(by: 10)
        let (sum, overflowsSum) = tenfold.addingReportingOverflow(UInt64(byte - Self.zero))
        if overflowsTenfold || overflowsSum {
            if !payload.truncates { return .tooLong(byteCountMax: payload.byteCountMax) }
            return .malformedLength("the peer sent a netstring whose length has more than 64 bits")
        }
        digitsSeen += 1
        length = sum
        // Without waiting for the colon, so that digits that come for ever are refused at once.
        if !payload.truncates, length > UInt64(clamping: payload.byteCountMax) {
            return .tooLong(byteCountMax: payload.byteCountMax)
        }
        return nil
    }

    private func check(comma byte: UInt8) -> FramingError? {
        byte == Self.comma ? nil : .malformedTrailer("the peer sent a netstring without a comma behind it")
    }
}
