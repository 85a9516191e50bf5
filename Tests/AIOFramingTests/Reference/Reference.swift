// What the framers ought to do, the obvious way: with the whole stream at hand, one frame at a time, by array
// operations and text. Slow, and written without a look at the framers, which see pieces. Also compiled into
// Tests/Fuzz.

import AIOBytes
import AIOFraming

/// What is at the beginning of a stream.
enum ReferenceFrame: Equatable {
    /// A frame that takes up so many bytes. If it was cut short that is what has come of it, and `end` says
    /// whether that is all.
    case frame([UInt8], rawByteCount: Int, End = .reached)
    /// Not yet a frame.
    case incomplete
    case failed(FramingError.Code)

    enum End: Equatable {
        case reached
        /// What follows belongs to it as well.
        case awaited
        /// The stream fails behind it.
        case failed(FramingError.Code)
    }
}

extension FramingCase {
    /// The frame that `stream` begins with; `hasEnded` if nothing follows the stream.
    func firstFrame(of stream: some Collection<UInt8>, hasEnded: Bool) -> ReferenceFrame {
        let stream = Array(stream)
        if stream.isEmpty { return .incomplete }
        let found: ReferenceFrame
        switch self {
        case .lines(let ending, let max, let overlong, let unterminated, let keepsEndings):
            let end = Self.endOfLine(in: stream, ending)
            let window = max + (ending == .lf ? 1 : 2)
            let line = terminated(stream, end, max, window, overlong, hasEnded ? unterminated : nil)
            guard keepsEndings, let end, end.payload <= max else { return line }
            return .frame(Array(stream.prefix(end.frame)), rawByteCount: end.frame)
        case .delimited(let delimiter, let max, let overlong, let unterminated):
            let end = Self.endOfDelimiter(in: stream, delimiter)
            return terminated(
                stream, end, max, max + delimiter.count, overlong, hasEnded ? unterminated : nil)
        case .heads(let max, let overlong):
            let end = Self.endOfHead(in: stream)
            return terminated(stream, end, max, max + 2, overlong, hasEnded ? .fail : nil)
        case .lengthPrefixed(let field, let max, let overlong):
            found = Self.lengthPrefixed(stream, field, max, overlong)
        case .varint(let max, let overlong): found = Self.varint(stream, max, overlong)
        case .netstrings(let max, let overlong): found = Self.netstring(stream, max, overlong)
        case .fixed(let byteCount):
            found =
                stream.count < byteCount
                ? .incomplete : .frame(Array(stream.prefix(byteCount)), rawByteCount: byteCount)
        }
        return found == .incomplete && hasEnded ? .failed(.unfinished) : found
    }

    // MARK: up to an end

    /// Where the payload ends, and where the frame does.
    private typealias End = (payload: Int, frame: Int)

    private static func endOfLine(in stream: [UInt8], _ ending: Framing.LineEnding) -> End? {
        for index in stream.indices where stream[index] == 10 {
            let followsCR = index > 0 && stream[index - 1] == 13
            switch ending {
            case .either: return (followsCR ? index - 1 : index, index + 1)
            case .lf: return (index, index + 1)
            case .crlf: if followsCR { return (index - 1, index + 1) }
            }
        }
        return nil
    }

    /// What a filter judges of a line that is handed out whole.
    func withoutEnding(_ line: [UInt8]) -> [UInt8] {
        guard case .lines(let ending, _, _, _, keepsEndings: true) = self,
            let end = Self.endOfLine(in: line, ending)
        else { return line }
        return Array(line.prefix(end.payload))
    }

    private static func endOfDelimiter(in stream: [UInt8], _ delimiter: Bytes) -> End? {
        for index in stream.indices where stream[index...].starts(with: delimiter) {
            return (index, index + delimiter.count)
        }
        return nil
    }

    private static func endOfHead(in stream: [UInt8]) -> End? {
        var lines = stream.split(separator: 10, omittingEmptySubsequences: false)
        lines.removeLast()
        guard let blank = lines.first(where: { $0.isEmpty || $0.elementsEqual([13]) }) else { return nil }
        return (blank.startIndex, blank.endIndex + 1)
    }

    private func terminated(
        _ stream: [UInt8], _ end: End?, _ max: Int, _ window: Int, _ overlong: OverlongFrame,
        _ unterminated: Framing.Unterminated?
    ) -> ReferenceFrame {
        if let end {
            if end.payload > max, overlong != .truncate { return .failed(.tooLong) }
            return .frame(Array(stream.prefix(min(end.payload, max))), rawByteCount: end.frame)
        }
        if stream.count >= window {
            guard overlong == .truncate else { return .failed(.tooLong) }
            return .frame(Array(stream.prefix(max)), rawByteCount: stream.count, .awaited)
        }
        switch unterminated {
        case nil: return .incomplete
        case .fail: return .failed(.unfinished)
        case .deliver:
            if stream.count > max, overlong != .truncate { return .failed(.tooLong) }
            return .frame(Array(stream.prefix(max)), rawByteCount: stream.count)
        }
    }

    // MARK: behind a length

    private static func lengthPrefixed(
        _ stream: [UInt8], _ field: LengthField, _ max: Int, _ overlong: OverlongFrame
    ) -> ReferenceFrame {
        let header = field.headerByteCount + field.byteCount
        guard stream.count >= header else { return .incomplete }
        var digits = Array(stream[field.headerByteCount..<header])
        if field.order == .littleEndian { digits.reverse() }
        let number = UInt64(digits.map(Self.hexadecimal).joined(), radix: 16)!
        let counted: UInt64
        switch field.counts {
        case .payload: counted = 0
        case .fieldAndPayload: counted = UInt64(field.byteCount)
        case .wholeFrame: counted = UInt64(header)
        }
        if number < counted { return .failed(.malformedLength) }
        return sized(
            stream, number - counted, header: header, keeping: field.keepsHeader ? header : 0, max, overlong)
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }

    private static func varint(_ stream: [UInt8], _ max: Int, _ overlong: OverlongFrame) -> ReferenceFrame {
        guard let last = stream.firstIndex(where: { $0 < 128 }), last < 10 else {
            return stream.count < 10 ? .incomplete : .failed(.malformedLength)
        }
        var bits = ""
        for byte in stream[...last] {
            let seven = String(byte & 127, radix: 2)
            bits = String(repeating: "0", count: 7 - seven.count) + seven + bits
        }
        guard let number = UInt64(bits, radix: 2) else { return .failed(.malformedLength) }
        return sized(stream, number, header: last + 1, keeping: 0, max, overlong)
    }

    private static func netstring(_ stream: [UInt8], _ max: Int, _ overlong: OverlongFrame) -> ReferenceFrame
    {
        let digits = stream.prefix { (48...57).contains($0) }
        let text = String(decoding: digits, as: UTF8.self)
        if text.count > 1, text.hasPrefix("0") { return .failed(.malformedLength) }
        let limit = overlong == .truncate ? String(UInt64.max) : String(max)
        let exceeds = text.count > limit.count || text.count == limit.count && text > limit
        if exceeds { return .failed(overlong == .truncate ? .malformedLength : .tooLong) }
        guard digits.count < stream.count else { return .incomplete }
        guard stream[digits.count] == 58, let number = UInt64(text) else { return .failed(.malformedLength) }

        let found = sized(stream, number, header: digits.count + 1, keeping: 0, max, overlong)
        guard case .frame(let payload, let rawByteCount, let end) = found, end == .reached else {
            return found
        }
        let isCutShort = number > UInt64(max)
        if stream.count == rawByteCount {
            return isCutShort ? .frame(payload, rawByteCount: rawByteCount, .awaited) : .incomplete
        }
        if stream[rawByteCount] == 44 { return .frame(payload, rawByteCount: rawByteCount + 1) }
        guard isCutShort else { return .failed(.malformedTrailer) }
        return .frame(payload, rawByteCount: rawByteCount, .failed(.malformedTrailer))
    }

    /// A frame whose payload has `number` bytes and begins behind `header`.
    private static func sized(
        _ stream: [UInt8], _ number: UInt64, header: Int, keeping kept: Int, _ max: Int,
        _ overlong: OverlongFrame
    ) -> ReferenceFrame {
        let isTooLong = number > UInt64(max)
        if isTooLong, overlong != .truncate { return .failed(.tooLong) }
        let wanted = isTooLong ? max : Int(number)
        let there = stream.count - header
        guard there >= wanted else { return .incomplete }
        let payload = Array(stream[(header - kept)..<(header + wanted)])
        if number > UInt64(there) { return .frame(payload, rawByteCount: stream.count, .awaited) }
        return .frame(payload, rawByteCount: header + Int(number))
    }
}
