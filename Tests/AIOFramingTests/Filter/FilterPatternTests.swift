import AIOBytes
import AIOFraming
import Testing

@Suite struct FilterPatternTests {
    /// Which of `frames` a filter with this pattern alone matches.
    private func matched(_ pattern: FilterPattern, _ frames: [Bytes]) throws -> [Bytes] {
        let filter = try FrameFilter(judging: .everyFrame, rules: [.drop(pattern)])
        return frames.filter { filter.judge($0).rule == 0 }
    }

    @Test func `exactly is for the whole frame`() throws {
        #expect(
            try matched(.exactly("QUIT"), ["QUIT", "QUI", "QUIT ", "QUITS", "quit", " QUIT", ""]) == ["QUIT"])
    }

    @Test func `exactly nothing is for empty frames`() throws {
        #expect(try matched(.exactly(""), ["", " ", "\0"]) == [""])
    }

    @Test func `a prefix is for frames that begin with it`() throws {
        #expect(
            try matched(.prefix("GET /"), ["GET /", "GET /index", "GET", "get /", "xGET /", ""])
                == ["GET /", "GET /index"])
    }

    @Test func `a word is followed by a space or the end`() throws {
        #expect(
            try matched(
                .word("MAIL"),
                [
                    "MAIL", "MAIL ", "MAIL FROM:<a@b>", "MAILBOX", "MAIL\t", "MAIL\0", "MAI", " MAIL", "mail",
                    "",
                ])
                == ["MAIL", "MAIL ", "MAIL FROM:<a@b>"])
    }

    @Test func `a word may have spaces in it`() throws {
        #expect(
            try matched(.word("MAIL FROM"), ["MAIL FROM", "MAIL FROM x", "MAIL", "MAIL ", "MAIL FROMAGE"])
                == ["MAIL FROM", "MAIL FROM x"])
    }

    @Test func `letters of ASCII, and nothing else, match in any case if they are to`() throws {
        #expect(
            try matched(.exactly("hElO", ignoringCase: true), ["HELO", "helo", "HeLo", "HEL0"]) == [
                "HELO", "helo", "HeLo",
            ])
        #expect(try matched(.prefix("a-", ignoringCase: true), ["A-", "a-x", "A\r"]) == ["A-", "a-x"])
        #expect(try matched(.word("x", ignoringCase: true), ["X y", "x", "XY"]) == ["X y", "x"])
        // Each pair differs in the bit that makes a letter small.
        let edges: [Bytes] = ["@", "`", "[", "{", "A", "a", "Z", "z", [0xc9], [0xe9]]
        for edge in edges {
            let both =
                edge == "A" || edge == "a" ? ["A", "a"] : edge == "Z" || edge == "z" ? ["Z", "z"] : [edge]
            #expect(try matched(.exactly(edge, ignoringCase: true), edges) == both)
        }
    }

    @Test func `bytes of all values are compared, NUL and what is not UTF-8, too`() throws {
        for value in UInt8.min...UInt8.max {
            let frames = (UInt8.min...UInt8.max).map { Bytes([0, $0, 0xff]) }
            #expect(try matched(.exactly([0, value, 0xff]), frames) == [Bytes([0, value, 0xff])])
        }
    }

    @Test func `alternatives match if one of them does`() throws {
        let frames: [Bytes] = ["HELO", "EHLO x", "HELOx", "helo", "EHL", "NOOP", ""]
        #expect(try matched(.anyOf(["HELO", "EHLO"]), frames) == ["HELO"])
        #expect(try matched(.anyOf(["HELO", "EHLO"], as: .prefix), frames) == ["HELO", "EHLO x", "HELOx"])
        #expect(
            try matched(.anyOf(["HELO", "EHLO"], as: .word, ignoringCase: true), frames)
                == ["HELO", "EHLO x", "helo"])
    }

    @Test func `alternatives that begin with each other, or are there twice, hide nothing`() throws {
        let frames: [Bytes] = ["a", "ab", "abc", "abd", "ad", "a c", "b"]
        #expect(
            try matched(.anyOf(["abc", "ab", "ab", "a"], as: .prefix), frames) == [
                "a", "ab", "abc", "abd", "ad", "a c",
            ])
        #expect(try matched(.anyOf(["abc", "ab", "ab"]), frames) == ["ab", "abc"])
        // "a\u{1f}" sorts between "a" and "a c".
        #expect(try matched(.anyOf(["a\u{1f}", "a", "ab"], as: .word), frames) == ["a", "ab", "a c"])
    }

    @Test func `patterns describe themselves`() {
        #expect("\(FilterPattern.exactly("a\n"))" == #"exactly "a\n""#)
        #expect("\(FilterPattern.word("HELO", ignoringCase: true))" == #"word "HELO" in any case"#)
        #expect("\(FilterPattern.anyOf(["a", "b"], as: .prefix))" == "prefix any of 2")
    }
}
