// The text behind DATA: finds its end, and takes away the dots that were put before dots (RFC 5321, section
// 4.5.2).

import AIO

// Theory of operation
//
// Where the decoder stands is one of five places, and it moves by one byte:
//
//   .lineStart   an LF behind a CR was the last byte, or nothing has come: a dot here is transparency's
//                or the end's
//   .dot         such a dot has come, and has not been handed out
//   .dotCR       and a CR behind it, not handed out either
//   .cr          a CR within a line, handed out
//   .inLine      anything else
//
// Only CR LF ends a line. So the dot of "\n.\n" or "\n.\r\n" does not stand at a line's start, is text like
// any other, and what follows it is no command. The two bytes that may be held back are known from the place,
// so none is kept: a CR that turns out to be text is made anew.

/// Cuts text that ends with a line of one dot out of a stream, in whatever pieces it comes.
struct DotDecoder {
    private enum Place { case lineStart, dot, dotCR, cr, inLine }

    private var place = Place.lineStart
    private static let cr: Bytes = "\r"

    /// What a piece of the stream contains of the text.
    struct Step: Equatable {
        /// In order; slices of the piece, but for a CR that had been held back.
        var text: [Bytes] = []
        /// How many bytes of the piece belong to the text and its end; all of them if it goes on.
        var byteCount = 0
        var isEnd = false
    }

    mutating func advance(over piece: Bytes) -> Step {
        var step = Step()
        /// Where the bytes begin that are to be handed out next.
        var start = piece.startIndex
        for index in piece.indices {
            let byte = piece[index]
            switch place {
            case .lineStart where byte == UInt8(ascii: "."):
                hand(out: start..<index, of: piece, to: &step)
                start = index + 1
                place = .dot
            case .lineStart, .inLine: place = byte == UInt8(ascii: "\r") ? .cr : .inLine
            case .cr:
                switch byte {
                case UInt8(ascii: "\n"): place = .lineStart
                case UInt8(ascii: "\r"): place = .cr
                default: place = .inLine
                }
            case .dot where byte == UInt8(ascii: "\r"):
                start = index + 1
                place = .dotCR
            case .dot: place = .inLine
            case .dotCR where byte == UInt8(ascii: "\n"):
                step.byteCount = index + 1 - piece.startIndex
                step.isEnd = true
                return step
            case .dotCR:
                step.text.append(Self.cr)
                place = byte == UInt8(ascii: "\r") ? .cr : .inLine
            }
        }
        hand(out: start..<piece.endIndex, of: piece, to: &step)
        step.byteCount = piece.count
        return step
    }

    private func hand(out range: Range<Int>, of piece: Bytes, to step: inout Step) {
        if !range.isEmpty { step.text.append(piece[range]) }
    }
}
