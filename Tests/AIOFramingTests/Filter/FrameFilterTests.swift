import AIOBytes
import AIOFraming
import Testing

@Suite struct FrameFilterTests {
    @Test(arguments: [
        FilterOutcome.pass, .reply("250 ok\r\n"), .replyAndClose("221 bye\r\n"), .drop, .close,
    ])
    func `a rule says what becomes of the frames that it matches`(outcome: FilterOutcome) throws {
        let filter = try FrameFilter(judging: .everyFrame, rules: [FilterRule(.exactly("yes"), outcome)])
        #expect(filter.judge("yes") == FilterJudgement(outcome: outcome, rule: 0))
        #expect(filter.judge("no") == FilterJudgement(outcome: .pass, rule: nil))
    }

    @Test(arguments: [
        FilterOutcome.pass, .reply("500 what\r\n"), .replyAndClose("500 bye\r\n"), .drop, .close,
    ])
    func `a frame that no rule matches is judged by otherwise`(outcome: FilterOutcome) throws {
        let filter = try FrameFilter(judging: .everyFrame, otherwise: outcome, rules: [.pass(.word("HELO"))])
        #expect(filter.judge("HELO") == FilterJudgement(outcome: .pass, rule: 0))
        #expect(filter.judge("EHLO") == FilterJudgement(outcome: outcome, rule: nil))
        #expect(filter.otherwise == outcome)
    }

    @Test func `a filter without rules judges all frames by otherwise`() throws {
        let filter = try FrameFilter(judging: .everyFrame, otherwise: .drop, rules: [])
        #expect(filter.judge("") == FilterJudgement(outcome: .drop, rule: nil))
        #expect(filter.judge("any") == FilterJudgement(outcome: .drop, rule: nil))
    }

    @Test func `the first rule that matches decides`() throws {
        let filter = try FrameFilter(
            judging: .everyFrame, otherwise: .close,
            rules: [
                .drop(.exactly("GET /health")),
                .reply("no", to: .prefix("GET /private")),
                .pass(.prefix("GET /")),
                .close(on: .prefix("GET")),
            ])
        #expect(filter.judge("GET /health").rule == 0)
        #expect(filter.judge("GET /private/x").rule == 1)
        #expect(filter.judge("GET /health/x").rule == 2)
        #expect(filter.judge("GETTING").rule == 3)
        #expect(filter.judge("GE").rule == nil)
    }

    @Test func `each way to write a rule has its outcome`() throws {
        let rules: [FilterRule] = [
            .pass(.exactly("a")), .reply("b!", to: .exactly("b")), .replyAndClose("c!", to: .exactly("c")),
            .drop(.exactly("d")), .close(on: .exactly("e")),
        ]
        let filter = try FrameFilter(judging: .everyFrame, rules: rules)
        let outcomes = "abcde".utf8.map { filter.judge(Bytes([$0])).outcome }
        #expect(outcomes == [.pass, .reply("b!"), .replyAndClose("c!"), .drop, .close])
    }

    @Test func `the scope says which frames are for the filter`() throws {
        let first = try FrameFilter(judging: .firstFrame, rules: [])
        #expect(first.judges(isFirst: true) && !first.judges(isFirst: false))
        let all = try FrameFilter(judging: .everyFrame, rules: [])
        #expect(all.judges(isFirst: true) && all.judges(isFirst: false))
    }

    @Test func `a reply is the very bytes that the filter was made with`() throws {
        let reply = Bytes(Array("250 2.0.0 ok\r\n".utf8))
        let filter = try FrameFilter(judging: .everyFrame, rules: [.reply(reply, to: .word("NOOP"))])
        let copy = filter
        #expect(Self.address(copy.judge("NOOP").outcome.reply) == Self.address(reply))
        #expect(Self.address(filter.judge("NOOP x").outcome.reply) == Self.address(reply))
    }

    /// Where the bytes are.
    private static func address(_ bytes: Bytes?) -> UInt? {
        // SAFETY: the address is looked at, and nothing is read.
        bytes.map { unsafe $0.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) } }
    }

    @Test func `patterns of the program's own are asked, in their turn, and see the frame`() throws {
        struct IsLongerThan: FramePattern {
            let byteCount: Int
            func matches(_ frame: RawSpan) -> Bool { frame.byteCount > byteCount }
        }
        let filter = try FrameFilter(
            judging: .everyFrame,
            rules: [
                .pass(.exactly("long, and allowed")), .drop(.matching(IsLongerThan(byteCount: 8))),
                .close(on: .matching(IsLongerThan(byteCount: 4))),
            ])
        #expect(filter.judge("long, and allowed").rule == 0)
        #expect(filter.judge("123456789").rule == 1)
        #expect(filter.judge("12345678").rule == 2)
        #expect(filter.judge("1234").rule == nil)
    }

    @Test func `a slice of a larger frame is judged by its own bytes`() throws {
        let filter = try FrameFilter(judging: .everyFrame, rules: [.pass(.exactly("MAIL"))])
        let stream = Bytes(Array("xxMAILyy".utf8))
        #expect(filter.judge(stream[2..<6]).rule == 0)
        #expect(filter.judge(stream[2..<7]).rule == nil)
        #expect(filter.judge(stream[2..<5]).rule == nil)
    }
}
