// The two ways in which a message comes: text up to a dot, and chunks whose length was said before. One shape
// for the handler.

import AIO

/// Takes a message's bytes out of a stream, as DATA or BDAT puts them there.
enum BodyDecoder {
    case text(DotDecoder)
    /// So many bytes are missing.
    case chunk(byteCount: Int)

    /// Nothing has to come: a chunk of no bytes.
    var isEnd: Bool {
        switch self {
        case .text: false
        case .chunk(let byteCount): byteCount == 0
        }
    }

    mutating func advance(over piece: Bytes) -> DotDecoder.Step {
        switch self {
        case .text(var decoder):
            let step = decoder.advance(over: piece)
            self = .text(decoder)
            return step
        case .chunk(let missing):
            let taken = piece.prefix(missing)
            self = .chunk(byteCount: missing - taken.count)
            return DotDecoder.Step(text: [taken], byteCount: taken.count, isEnd: isEnd)
        }
    }
}
