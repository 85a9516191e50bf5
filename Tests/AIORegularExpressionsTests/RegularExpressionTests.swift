import AIOBytes
import AIOFraming
import AIORegularExpressions
import Testing

@Suite struct RegularExpressionTests {
    /// Which of `frames` match.
    private func matched(
        _ pattern: String, _ options: RegularExpression.Options, _ frames: [Bytes]
    ) throws -> [Bytes] {
        let expression = try RegularExpression(pattern, options: options)
        return frames.filter { expression.matches($0) }
    }

    private func matched(_ pattern: String, _ frames: [Bytes]) throws -> [Bytes] {
        try matched(pattern, .init(), frames)
    }

    @Test func `the whole frame has to match unless the options say otherwise`() throws {
        let frames: [Bytes] = ["ab", "abc", "xab", "ab\n", "", "AB"]
        #expect(try matched("ab", frames) == ["ab"])
        #expect(try matched("ab", .init(.prefix), frames) == ["ab", "abc", "ab\n"])
        #expect(try matched("ab", .init(.anywhere), frames) == ["ab", "abc", "xab", "ab\n"])
    }

    @Test func `alternatives are anchored together`() throws {
        let frames: [Bytes] = ["a", "b", "ax", "xb"]
        #expect(try matched("a|b", frames) == ["a", "b"])
        #expect(try matched("a|b", .init(.prefix), frames) == ["a", "b", "ax"])
    }

    @Test func `the ends of the frame, and of its lines, are what the syntax says`() throws {
        let frames: [Bytes] = ["ab", "xab", "abx", "ab\n", "x\nab\ny"]
        #expect(try matched("^ab$", .init(.anywhere), frames) == ["ab"])
        #expect(try matched("(?m)^ab$", .init(.anywhere), frames) == ["ab", "ab\n", "x\nab\ny"])
    }

    @Test func `case is ignored if it is to be`() throws {
        let frames: [Bytes] = ["helo", "HELO", "HELo", [0xe9], [0xc9]]
        #expect(try matched("helo", frames) == ["helo"])
        #expect(
            try matched("helo", .init(.wholeFrame, ignoringCase: true), frames) == ["helo", "HELO", "HELo"])
        #expect(try matched("(?i)helo", frames) == ["helo", "HELO", "HELo"])
        #expect(try matched(#"\xe9"#, frames) == [[0xe9]])
        #expect(try matched(#"\xe9"#, .init(.wholeFrame, ignoringCase: true), frames) == [[0xe9], [0xc9]])
    }

    @Test func `a dot is any byte but a newline, unless it is to be one, too`() throws {
        let frames = (UInt8.min...UInt8.max).map { Bytes([$0]) }
        #expect(try matched(".", frames) == frames.filter { $0 != "\n" })
        var options = RegularExpression.Options()
        options.dotMatchesNewlines = true
        #expect(try matched(".", options, frames) == frames)
        #expect(try matched("(?s).", frames) == frames)
    }

    @Test func `bytes are named by number, and NUL is one of them`() throws {
        for value in UInt8.min...UInt8.max {
            let hex = String(value, radix: 16)
            let pattern = #"\x00\x{\#(hex)}+[^\x{\#(hex)}]"#
            #expect(
                try matched(
                    pattern,
                    [
                        [0, value, value, ~value], [0, value, value], [1, value, ~value], [0, ~value, value],
                    ])
                    == [[0, value, value, ~value]])
        }
        #expect(try matched("a\0b", ["a\0b", "a"]) == ["a\0b"])
        #expect(try matched(".*b", ["\0\0b", "\0b\0"]) == ["\0\0b"])
    }

    @Test func `characters are UTF-8 if they are to be`() throws {
        let frames: [Bytes] = ["é", "e", [0xe9], [0xc3], "日", "É"]
        #expect(try matched(".", .init(.wholeFrame, encoding: .utf8), frames) == ["é", "e", "日", "É"])
        #expect(try matched("[é日]", .init(.wholeFrame, encoding: .utf8), frames) == ["é", "日"])
        #expect(
            try matched(#"\pL"#, .init(.wholeFrame, encoding: .utf8), frames) == ["é", "e", "日", "É"])
        #expect(
            try matched("é", .init(.wholeFrame, encoding: .utf8, ignoringCase: true), frames) == ["é", "É"])
        #expect(try matched(#"\C"#, .init(.wholeFrame, encoding: .utf8), frames) == ["e", [0xe9], [0xc3]])
        #expect(
            try matched(".*", .init(.wholeFrame, encoding: .utf8), ["aé", [0x61, 0xe9, 0x61]]) == ["aé"])
    }

    @Test func `empty frames match what matches nothing`() throws {
        for extent in [RegularExpression.Extent.wholeFrame, .prefix, .anywhere] {
            #expect(try matched("", .init(extent), ["", "a"]) == (extent == .wholeFrame ? [""] : ["", "a"]))
            #expect(try matched("a*", .init(extent), [""]) == [""])
            #expect(try matched("a+", .init(extent), [""]) == [])
            #expect(try matched("^$", .init(extent), ["", "\n"]) == [""])
            #expect(try matched(#"\b"#, .init(extent), [""]) == [])
        }
    }

    @Test func `a slice of a larger frame is matched by its own bytes`() throws {
        let expression = try RegularExpression(#"^\bMAIL\b$"#, options: .init(.anywhere))
        let stream = Bytes(Array("xxMAILyy".utf8))
        #expect(expression.matches(stream[2..<6]))
        #expect(!expression.matches(stream[2..<7]))
    }

    @Test func `an expression is a pattern of filters, and its failure the filter's`() throws {
        let filter = try FrameFilter(
            judging: .everyFrame, otherwise: .close,
            rules: [
                .pass(
                    .regularExpression(#"MAIL FROM:<[^<>]*>"#, options: .init(.prefix, ignoringCase: true))),
                .drop(.matching(try RegularExpression("[0-9]+")), named: "numbers"),
            ])
        #expect(filter.ruleNames == ["1: matching MAIL FROM:<[^<>]*>", "numbers"])
        #expect(filter.judge("mail from:<a@b> SIZE=3").rule == 0)
        #expect(filter.judge("123").rule == 1)
        #expect(filter.judge("12x").outcome == .close)
        do {
            _ = try FrameFilter(
                judging: .everyFrame, rules: [.pass(.regularExpression("(a"), named: "broken")])
            Issue.record("a filter with a malformed expression")
        } catch {
            #expect(error.code == .malformedPattern)
            #expect(error.rule == "broken")
            #expect(error.detail == "malformed: missing ): (a, in the regular expression (a")
        }
    }

    @Test func `many threads share an expression, and its cache`() async throws {
        // More states than the memory holds, so that the cache is begun anew while others use it.
        var options = RegularExpression.Options(.anywhere)
        options.memoryByteCountMax = 32_768
        let expression = try RegularExpression("a[ab]{11}c", options: options)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    var random = Generator(seed: UInt64(task))
                    for _ in 0..<100 {
                        let frame = random.letters(of: "abc", count: 500)
                        #expect(
                            expression.matches(Bytes(frame)) == Self.hasLetterTwelveBeforeC(frame),
                            "task \(task): \(Bytes(frame))")
                    }
                }
            }
        }
    }

    /// What `a[ab]{11}c` looks for, looked for in another way.
    private static func hasLetterTwelveBeforeC(_ frame: [UInt8]) -> Bool {
        frame.indices.contains { end in
            end >= 12 && frame[end] == UInt8(ascii: "c") && frame[end - 12] == UInt8(ascii: "a")
                && !frame[end - 12..<end].contains(UInt8(ascii: "c"))
        }
    }
}
