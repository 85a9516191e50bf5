import AIO
import Testing

@testable import SMTPSinkCore

/// What decoding a stream gives, fed in the given pieces: the text, and what is behind its end (nil: there
/// was none).
private func decode(_ pieces: [Bytes]) -> (text: String, rest: String?) {
    var decoder = DotDecoder()
    var text: [UInt8] = []
    var rest: [UInt8]?
    for piece in pieces {
        if rest != nil {
            rest! += piece
            continue
        }
        let step = decoder.advance(over: piece)
        for slice in step.text { text += slice }
        if step.isEnd {
            rest = Array(piece.dropFirst(step.byteCount))
        } else {
            #expect(step.byteCount == piece.count)
        }
    }
    return (String(decoding: text, as: UTF8.self), rest.map { String(decoding: $0, as: UTF8.self) })
}

private struct Case: Sendable {
    let stream: String
    let text: String
    let rest: String?
    init(_ stream: String, _ text: String, rest: String?) {
        self.stream = stream
        self.text = text
        self.rest = rest
    }
}

private let cases = [
    Case(".\r\n", "", rest: ""),
    Case("x\r\n.\r\nQUIT\r\n", "x\r\n", rest: "QUIT\r\n"),
    Case("..\r\n.\r\n", ".\r\n", rest: ""),
    Case("...\r\na.b\r\n..c\r\n.d\r\n.\r\n", "..\r\na.b\r\n.c\r\nd\r\n", rest: ""),
    Case("\r\n\r\n.\r\n.\r\n", "\r\n\r\n", rest: ".\r\n"),
    // What smuggles: none of it is an end.
    Case("x\n.\n", "x\n.\n", rest: nil),
    Case("x\n.\r\nQUIT\r\n.\r\n", "x\n.\r\nQUIT\r\n", rest: ""),
    Case("x\r.\r\n.\r\n", "x\r.\r\n", rest: ""),
    Case("x\r\n.\nQUIT\r\n.\r\n", "x\r\n\nQUIT\r\n", rest: ""),
    Case("x\r\n.\rQUIT\r\n.\r\n", "x\r\n\rQUIT\r\n", rest: ""),
    Case("x\r\n.\r\r\n.\r\n", "x\r\n\r\r\n", rest: ""),
    Case("\n.\n.\r\n", "\n.\n.\r\n", rest: nil),
    Case("\r\r\n.\r\n", "\r\r\n", rest: ""),
    Case("x\r\n.\0\r\n.\r\n", "x\r\n\0\r\n", rest: ""),
]

@Suite struct DotDecoderTests {
    @Test(arguments: cases.indices) func `text ends and loses its dots in the same places, at every split`(
        index: Int
    ) {
        let it = cases[index]
        let stream = Bytes(it.stream)
        for first in 0...stream.count {
            for second in first...stream.count {
                let pieces = [stream[0..<first], stream[first..<second], stream[second..<stream.count]]
                let (text, rest) = decode(pieces.filter { !$0.isEmpty })
                #expect(text == it.text, "cut at \(first) and \(second)")
                #expect(rest == it.rest, "cut at \(first) and \(second)")
            }
        }
        let (text, rest) = decode(stream.map { Bytes([$0]) })
        #expect(text == it.text && rest == it.rest, "in single bytes")
    }

    @Test func `text without dots is handed out in slices of what came`() {
        var decoder = DotDecoder()
        let piece: Bytes = "one\r\ntwo\r\n"
        #expect(decoder.advance(over: piece) == .init(text: [piece], byteCount: piece.count))
    }

    @Test func `whatever is stuffed comes out as it was, in pieces of any size`() {
        var generator = SystemRandomNumberGenerator()
        let alphabet: [UInt8] = Array(".\r\n.x\r\n".utf8)
        for _ in 0..<300 {
            let text = randomText(of: alphabet, using: &generator)
            let stream = Bytes(stuffed(text) + Array(".\r\n".utf8))
            var pieces: [Bytes] = []
            var left = stream
            while !left.isEmpty {
                let piece = left.prefix(Int.random(in: 1...4, using: &generator))
                pieces.append(piece)
                left = left.dropFirst(piece.count)
            }
            let decoded = decode(pieces)
            #expect(decoded.text == String(decoding: text, as: UTF8.self), "\(Array(stream))")
            #expect(decoded.rest == "")
        }
    }

    private func randomText(
        of alphabet: [UInt8], using generator: inout SystemRandomNumberGenerator
    ) -> [UInt8] {
        let count = Int.random(in: 0..<20, using: &generator)
        let text = (0..<count).map { _ in alphabet.randomElement(using: &generator)! }
        return text.isEmpty ? [] : text + Array("\r\n".utf8)
    }

    private func stuffed(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        for (index, byte) in text.enumerated() {
            let isLineStart = index == 0 || (index > 1 && text[index - 1] == 10 && text[index - 2] == 13)
            if isLineStart, byte == UInt8(ascii: ".") { result.append(byte) }
            result.append(byte)
        }
        return result
    }
}

@Suite struct BodyDecoderTests {
    @Test func `a chunk ends after its bytes, whatever they are`() {
        let stream: Bytes = "x\r\n.\r\nNOOP"
        for split in 1..<stream.count {
            var decoder = BodyDecoder.chunk(byteCount: 6)
            var text: [UInt8] = []
            let first = decoder.advance(over: stream[0..<split])
            for slice in first.text { text += slice }
            #expect(first.isEnd == (split >= 6) && first.byteCount == min(split, 6))
            if !first.isEnd {
                let second = decoder.advance(over: stream[split..<stream.count])
                for slice in second.text { text += slice }
                #expect(second.isEnd && second.byteCount == 6 - split)
            }
            #expect(text == Array("x\r\n.\r\n".utf8))
        }
        #expect(BodyDecoder.chunk(byteCount: 0).isEnd)
    }
}
