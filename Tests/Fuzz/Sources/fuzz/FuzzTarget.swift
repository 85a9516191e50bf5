// What is fuzzed: each framer, which has to cut as the reference does however the stream is split; and the
// buffer, which has to do what its model does whatever it is told. The stream's length is what libFuzzer
// makes it.

import AIOBytes
import AIOFraming

enum FuzzTarget: String, CaseIterable {
    case lines, delimited, lengthPrefixed = "length-prefixed", varint, fixed, netstrings, heads
    case buffer = "frame-buffer"

    /// What is wrong with what comes of `input`, in words; nil if nothing is.
    func difference(_ input: FuzzInput) -> String? {
        var input = input
        guard self != .buffer else { return Self.bufferDifference(&input) }
        let framing = framing(&input)
        let choices = input.byte()
        let (hasEnded, areAdjacent) = (choices & 1 == 0, choices & 2 == 0)
        let distances = input.distances()
        let pieces = input.pieces(distances, areAdjacent: areAdjacent)
        return Self.difference(framing, pieces, hasEnded: hasEnded)
    }

    // MARK: framers

    private func framing(_ input: inout FuzzInput) -> FramingCase {
        switch self {
        case .lines:
            return .lines(
                input.choice([.either, .crlf, .lf]), max: input.maximum(), input.overlong(),
                input.unterminated(), keepsEndings: input.choice([false, true]))
        case .delimited:
            let delimiter = input.bytes(input.number(1...8))
            return .delimited(
                delimiter.isEmpty ? "," : Bytes(delimiter), max: input.maximum(), input.overlong(),
                input.unterminated())
        case .lengthPrefixed:
            let field = FramingCase.LengthField(
                byteCount: input.number(1...8), order: input.choice([.bigEndian, .littleEndian]),
                headerByteCount: input.number(0...5),
                counts: input.choice([.payload, .fieldAndPayload, .wholeFrame]),
                keepsHeader: input.choice([false, true]))
            return .lengthPrefixed(field, max: input.maximum(), input.overlong())
        case .varint: return .varint(max: input.maximum(), input.overlong())
        case .fixed: return .fixed(input.number(1...40))
        case .netstrings: return .netstrings(max: input.maximum(), input.overlong())
        case .heads, .buffer: return .heads(max: input.maximum(), input.overlong())
        }
    }

    private static func difference(_ framing: FramingCase, _ pieces: [Bytes], hasEnded: Bool) -> String? {
        let whole = Bytes(joining: pieces)
        let expected = framing.referenceOutcome(of: Array(whole), hasEnded: hasEnded)
        for pieces in [[whole], pieces] {
            let atEnd = framing.outcome(of: pieces, hasEnded: hasEnded)
            if atEnd != expected { return "\(framing), \(pieces): got \(atEnd), expected \(expected)" }
            let atOnce = framing.outcome(of: pieces, hasEnded: hasEnded, takesAtOnce: true)
                .regardlessOfDiscarded
            if atOnce != expected.regardlessOfDiscarded {
                return "\(framing), \(pieces), taken at once: got \(atOnce), expected \(expected)"
            }
            if atOnce.held + atOnce.gone != whole.count {
                return "\(framing), \(pieces): \(atOnce) does not add up to \(whole.count)"
            }
        }
        return nil
    }

    // MARK: the buffer

    private static func bufferDifference(_ input: inout FuzzInput) -> String? {
        let framings: [FuzzTarget] = [
            .lines, .delimited, .lengthPrefixed, .varint, .fixed, .netstrings, .heads,
        ]
        func framing(_ input: inout FuzzInput) -> FramingCase? {
            let kind = input.number(0...framings.count)
            return kind == framings.count ? nil : framings[kind].framing(&input)
        }
        let judges = input.byte() & 1 == 0
        var both = FrameBufferAndModel(framing(&input), judge: judges ? verdict : nil)
        while !input.isEmpty, both.difference == nil {
            switch input.number(0...15) {
            case 0..<7: both.append(input.bytes(input.number(1...20)), gap: input.number(0...1))
            case 7..<10: _ = both.popFirst()
            case 10: while both.popFirst() {}
            case 11..<14: both.reframe(framing(&input))
            case 14: both.compact()
            default:
                if input.byte() == 0xff {
                    both.streamEnded()
                    while both.popFirst() {}
                    both.reframe(framing(&input))
                    while both.popFirst() {}
                    return both.difference
                }
            }
        }
        return both.difference
    }

    /// Some of everything, by what is in the frame.
    @Sendable private static func verdict(_ payload: [UInt8], isFirst: Bool) -> FrameVerdict {
        switch (payload.first ?? 0, isFirst) {
        case (UInt8(ascii: "d"), _): .drop
        case (UInt8(ascii: "a"), _), (_, true): .answer("\(payload.count) bytes", thenClose: false)
        case (UInt8(ascii: "e"), _): .answer("that is enough", thenClose: true)
        case (UInt8(ascii: "c"), _): .close
        default: .pass
        }
    }
}

extension FuzzInput {
    /// Mostly so small that it is exceeded; sometimes so large that sums with it could overflow.
    fileprivate mutating func maximum() -> Int {
        let byte = Int(byte())
        return byte < 250 ? byte % 50 : Int.max - 100_000
    }

    fileprivate mutating func overlong() -> OverlongFrame { choice([.close, .truncate, .reply("too long")]) }

    fileprivate mutating func unterminated() -> Framing.Unterminated { choice([.deliver, .fail]) }
}
