// `FrameBuffer` against its model: every change of framing at every byte, and everything at random.

import AIOBytes
import AIOFraming
import Testing

@Suite struct FrameBufferModelTests {
    /// One of each kind, so small that each is cut often; nil is raw.
    private static let framings: [FramingCase?] = [
        nil, .lines(.either, max: 6), .lines(.either, max: 3, .truncate, keepsEndings: true),
        .lines(.crlf, max: 2, .truncate),
        .delimited("ab", max: 4, .truncate, .deliver),
        .lengthPrefixed(.init(byteCount: 1), max: 5, .truncate),
        .lengthPrefixed(.init(byteCount: 2, headerByteCount: 1, keepsHeader: true), max: 9, .close),
        .varint(max: 4), .fixed(3), .netstrings(max: 5, .truncate), .heads(max: 6, .truncate),
    ]

    @Test(arguments: framings.indices)
    func `At every byte of a stream any framing can follow any other, and nothing is lost or doubled`(
        index: Int
    ) {
        let first = Self.framings[index]
        let streams: [Bytes] = [
            "ab\r\nabcdefgh\r\n\u{2}xy\0\n\n3:abc,b", "\u{7}abcdefg\u{1}a\n0:,9:abcdefghi,\n\r\nab\u{1}",
        ]
        for stream in streams.map(Array.init) {
            for second in Self.framings {
                for place in 0...stream.count {
                    for takenMax in [0, 1, Int.max] {
                        var both = FrameBufferAndModel(first)
                        both.append(Array(stream[..<place]))
                        var taken = 0
                        while taken < takenMax, both.popFirst() { taken += 1 }
                        both.reframe(second)
                        if taken % 2 == 0 { both.reframe(first) }
                        if taken % 2 == 0 { both.reframe(second) }
                        both.append(Array(stream[place...]), gap: place % 2)
                        while both.popFirst() {}
                        both.streamEnded()
                        while both.popFirst() {}
                        if let difference = both.difference {
                            Issue.record("\(difference)")
                            return
                        }
                    }
                }
            }
        }
    }

    @Test(arguments: 0..<8)
    func `Anything at all in any order comes to what the model has`(part: UInt64) {
        for seed in part * 200..<(part + 1) * 200 {
            if let difference = randomRun(seed: seed) {
                Issue.record("seed \(seed): \(difference)")
                return
            }
        }
    }

    /// Does a hundred random things, and returns the first difference from the model.
    private func randomRun(seed: UInt64) -> String? {
        var random = SeededGenerator(seed: seed)
        let words: [Bytes] = [
            "a", "b", "ab", "abcdefgh", "\r\n", "\n", "\n\n", "0", "3:abc,", "9:", ",", "\0", "\u{1}",
            "\u{2}", [0xff],
        ]
        var both = FrameBufferAndModel(
            Self.framings.randomElement(using: &random)!,
            judge: Bool.random(using: &random) ? Self.verdict : nil)
        for _ in 0..<100 where both.difference == nil {
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<9:
                var bytes: [UInt8] = []
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    bytes += words.randomElement(using: &random)!
                }
                both.append(bytes, gap: Int.random(in: 0...1, using: &random))
            case 9..<14: _ = both.popFirst()
            case 14..<16: while both.popFirst() {}
            case 16..<18: both.reframe(Self.framings.randomElement(using: &random)!)
            default: both.compact()
            }
        }
        both.streamEnded()
        while both.popFirst() {}
        both.reframe(Self.framings.randomElement(using: &random)!)
        while both.popFirst() {}
        return both.difference
    }

    /// Some of everything, by what is in the frame.
    @Sendable private static func verdict(_ payload: [UInt8], isFirst: Bool) -> FrameVerdict {
        let sum = payload.reduce(isFirst ? 5 : 0) { ($0 * 31 + Int($1)) % 1_009 }
        switch sum % 40 {
        case 0..<8: return .drop
        case 8..<16: return .answer("\(payload.count) bytes", thenClose: false)
        case 16: return .answer("that is enough", thenClose: true)
        case 17: return .close
        default: return .pass
        }
    }
}
