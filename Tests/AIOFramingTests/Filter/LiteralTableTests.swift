// Sets of literals against the plain way to look for them, at random.

import AIOBytes
import AIOFraming
import Testing

@Suite struct LiteralTableTests {
    /// SplitMix64: the same seed gives the same run.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }

        /// Up to `countMax` bytes of `alphabet`.
        mutating func bytes(of alphabet: [UInt8], countMax: Int) -> [UInt8] {
            (0..<Int.random(in: 0...countMax, using: &self)).map { _ in alphabet.randomElement(using: &self)!
            }
        }
    }

    private static func small(_ bytes: [UInt8]) -> [UInt8] {
        bytes.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 + 32 : $0 }
    }

    /// What a filter is to find, looked for in each literal.
    private static func isMatched(
        _ frame: [UInt8], _ literals: [[UInt8]], _ extent: FilterExtent, _ ignoringCase: Bool
    ) -> Bool {
        let frame = ignoringCase ? small(frame) : frame
        return literals.contains { literal in
            let literal = ignoringCase ? small(literal) : literal
            switch extent {
            case .wholeFrame: return frame == literal
            case .prefix: return frame.starts(with: literal)
            case .word: return frame == literal || frame.starts(with: literal + [0x20])
            }
        }
    }

    @Test(arguments: [FilterExtent.wholeFrame, .prefix, .word], [false, true])
    func `small sets over few letters find what the plain search finds`(
        extent: FilterExtent, ignoringCase: Bool
    ) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = Generator(state: seed)
        let alphabet: [UInt8] = [0x20, 0x1f, 0x21, 0x41, 0x61, 0x42, 0x62, 0x00, 0xff]
        var matches = 0
        for _ in 0..<500 {
            let literals = (0..<Int.random(in: 1...12, using: &random)).map { _ in
                random.bytes(of: alphabet, countMax: 5)
            }.filter { extent == .wholeFrame || (!$0.isEmpty && (extent == .prefix || $0.last != 0x20)) }
            if literals.isEmpty { continue }
            let filter = try FrameFilter(
                judging: .everyFrame,
                rules: [.drop(.anyOf(literals.map(Bytes.init), as: extent, ignoringCase: ignoringCase))])
            for _ in 0..<20 {
                let frame =
                    Bool.random(using: &random)
                    ? random.bytes(of: alphabet, countMax: 7)
                    : literals.randomElement(using: &random)! + random.bytes(of: alphabet, countMax: 2)
                let expected = Self.isMatched(frame, literals, extent, ignoringCase)
                if expected { matches += 1 }
                try #require(
                    (filter.judge(Bytes(frame)).rule == 0) == expected,
                    "seed \(seed): \(Bytes(frame)) in \(literals.map { Bytes($0) })")
            }
        }
        #expect(matches > 250)
    }

    @Test(arguments: [FilterExtent.wholeFrame, .prefix, .word])
    func `a set of thousands finds each of its literals, and nothing else`(extent: FilterExtent) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = Generator(state: seed)
        // Of fixed length, so that none begins with another.
        let names = Set((0..<5_000).map { _ in UInt64.random(in: 0 ... .max, using: &random) })
        func bytes(_ name: UInt64) -> Bytes { "v\(String(name, radix: 16))." }
        let filter = try FrameFilter(
            judging: .everyFrame, rules: [.drop(.anyOf(names.map(bytes), as: extent))])
        for name in names { #expect(filter.judge(bytes(name)).rule == 0, "seed \(seed)") }
        for _ in 0..<5_000 {
            let name = UInt64.random(in: 0 ... .max, using: &random)
            #expect((filter.judge(bytes(name)).rule == 0) == names.contains(name), "seed \(seed)")
        }
        for name in names.prefix(500) {
            #expect((filter.judge("\(bytes(name)) x").rule == 0) == (extent != .wholeFrame), "seed \(seed)")
            #expect((filter.judge("\(bytes(name))x").rule == 0) == (extent == .prefix), "seed \(seed)")
            #expect(filter.judge(bytes(name).dropLast()).rule == nil, "seed \(seed)")
        }
    }

    @Test func `the sets of several rules are kept apart`() throws {
        let filter = try FrameFilter(
            judging: .everyFrame,
            rules: [
                .pass(.anyOf(["b", "d", "f"])), .drop(.anyOf(["a", "b", "c"], as: .prefix)),
                .close(on: .anyOf(["D", "e"], as: .word, ignoringCase: true)),
            ])
        let rules = ["a", "b", "bb", "c", "d", "D", "E f", "f", "ff", "g"].map {
            filter.judge(Bytes($0)).rule
        }
        #expect(rules == [1, 0, 1, 1, 0, 2, 2, 0, nil, nil])
    }
}
