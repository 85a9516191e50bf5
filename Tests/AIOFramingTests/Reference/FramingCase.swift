// Framings spelled out, so that tests and fuzz targets can make the framing, and the reference can read what it
// is. Also compiled into Tests/Fuzz.

import AIOBytes
import AIOFraming

enum FramingCase: Sendable {
    case lines(
        Framing.LineEnding, max: Int, OverlongFrame = .close, Framing.Unterminated = .deliver,
        keepsEndings: Bool = false)
    case delimited(Bytes, max: Int, OverlongFrame = .close, Framing.Unterminated = .fail)
    case lengthPrefixed(LengthField, max: Int, OverlongFrame = .close)
    case varint(max: Int, OverlongFrame = .close)
    case fixed(Int)
    case netstrings(max: Int, OverlongFrame = .close)
    case heads(max: Int, OverlongFrame = .close)

    struct LengthField: Sendable {
        var byteCount = 4
        var order = Framing.ByteOrder.bigEndian
        var headerByteCount = 0
        var counts = Framing.LengthCoverage.payload
        var keepsHeader = false
    }

    var framing: Framing {
        switch self {
        case .lines(let ending, let max, let overlong, let unterminated, let keepsEndings):
            .lines(
                ending: ending, byteCountMax: max, overlong: overlong, unterminated: unterminated,
                keepsEndings: keepsEndings)
        case .delimited(let delimiter, let max, let overlong, let unterminated):
            .delimited(by: delimiter, byteCountMax: max, overlong: overlong, unterminated: unterminated)
        case .lengthPrefixed(let field, let max, let overlong):
            .lengthPrefixed(
                byteCount: field.byteCount, order: field.order, headerByteCount: field.headerByteCount,
                counts: field.counts, keepsHeader: field.keepsHeader, byteCountMax: max, overlong: overlong)
        case .varint(let max, let overlong): .varint(byteCountMax: max, overlong: overlong)
        case .fixed(let byteCount): .fixed(byteCount: byteCount)
        case .netstrings(let max, let overlong): .netstrings(byteCountMax: max, overlong: overlong)
        case .heads(let max, let overlong): .heads(byteCountMax: max, overlong: overlong)
        }
    }
}
