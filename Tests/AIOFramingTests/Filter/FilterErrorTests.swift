import AIOBytes
import AIOFraming
import Testing

@Suite struct FilterErrorTests {
    private func error(
        of rules: [FilterRule], otherwise: FilterOutcome = .pass,
        _ change: (inout FilterLimits) -> Void = { _ in }
    ) -> FilterError? {
        var limits = FilterLimits()
        change(&limits)
        do {
            _ = try FrameFilter(judging: .everyFrame, otherwise: otherwise, limits: limits, rules: rules)
            return nil
        } catch {
            return error
        }
    }

    @Test func `a pattern that would match nothing, or everything, is named and explained`() {
        let wrong: [(FilterPattern, String)] = [
            (.anyOf([]), "there are no alternatives, so nothing would match"),
            (.anyOf([], as: .word), "there are no alternatives, so nothing would match"),
            (.prefix(""), "every frame begins with an empty prefix"),
            (.anyOf(["a", ""], as: .prefix), "every frame begins with an empty prefix"),
            (.word(""), "a word without bytes"),
            (
                .word("HELO "),
                #"the word "HELO " ends in a space, and would have to be followed by another one"#
            ),
        ]
        for (pattern, detail) in wrong {
            let error = error(of: [.pass(.exactly("fine")), .drop(pattern, named: "wrong")])
            #expect(error?.code == .malformedPattern)
            #expect(error?.rule == "wrong")
            #expect(error?.detail == detail)
        }
    }

    @Test func `a pattern that could not be made fails the filter with its own words`() {
        struct Broken: Error, CustomStringConvertible {
            let description = "no such pattern"
        }
        struct Never: FramePattern {
            init() throws { throw Broken() }
            func matches(_ frame: RawSpan) -> Bool { false }
        }
        let error = error(of: [.drop(.matching(try Never()))])
        #expect(error?.code == .malformedPattern)
        #expect(error?.description == #"malformedPattern: rule "1: unusable": no such pattern"#)
    }

    @Test func `an empty reply is refused`() {
        #expect(error(of: [.reply("", to: .word("a"), named: "empty")])?.code == .malformedReply)
        #expect(error(of: [.replyAndClose("", to: .word("a"), named: "empty")])?.rule == "empty")
        let ours = error(of: [], otherwise: .reply(""))
        #expect(ours?.code == .malformedReply && ours?.rule == nil)
    }

    @Test func `two rules of one name are refused, and rules without a name are not`() {
        let error = error(of: [.pass(.word("a"), named: "same"), .pass(.word("b"), named: "same")])
        #expect(error?.code == .duplicateName && error?.rule == "same")
        #expect(self.error(of: [.pass(.word("a")), .pass(.word("a"))]) == nil)
    }

    @Test func `a name that is made up is no longer than a log can do with`() throws {
        struct Verbose: FramePattern, CustomStringConvertible {
            var description: String { String(repeating: "long ", count: 1_000) }
            func matches(_ frame: RawSpan) -> Bool { true }
        }
        let filter = try FrameFilter(judging: .everyFrame, rules: [.drop(.matching(Verbose()))])
        #expect(filter.ruleNames[0].hasPrefix("1: long long"))
        #expect(filter.ruleNames[0].count == 103)
    }

    @Test func `as much as the limits allow is allowed, and one more is not`() throws {
        func rules(_ count: Int) -> [FilterRule] { (0..<count).map { .drop(.exactly("\($0)")) } }
        #expect(error(of: rules(256)) == nil)
        #expect(error(of: rules(257))?.description == "tooLarge: 257 rules; at most 256 are allowed")

        func alternatives(_ count: Int) -> [FilterRule] { [.drop(.anyOf((0..<count).map { "\($0)" }))] }
        #expect(error(of: alternatives(65_536)) == nil)
        #expect(error(of: alternatives(65_537))?.code == .tooLarge)
        #expect(error(of: alternatives(3)) { $0.alternativesMax = 3 } == nil)
        #expect(
            error(of: alternatives(4)) { $0.alternativesMax = 3 }?.detail
                == "4 alternatives; at most 3 are allowed")

        func literal(_ byteCount: Int) -> [FilterRule] {
            [.drop(.exactly(Bytes(Array(repeating: 1, count: byteCount))))]
        }
        #expect(error(of: literal(8_192)) == nil)
        #expect(error(of: literal(8_193))?.code == .tooLarge)

        let two = [FilterRule.drop(.exactly("1234")), .drop(.exactly("5678"), named: "second")]
        #expect(error(of: two) { $0.byteCountMax = 8 } == nil)
        #expect(error(of: two) { $0.byteCountMax = 7 }?.rule == "second")
        #expect(
            error(of: two) { $0.byteCountMax = 7 }?.detail
                == "the literals up to this rule have 8 bytes; at most 7 are allowed")

        let reply = Bytes(Array(repeating: 1, count: 65_537))
        #expect(error(of: [.reply(reply.dropLast(), to: .word("a"))]) == nil)
        #expect(error(of: [.reply(reply, to: .word("a"))])?.code == .tooLarge)
        #expect(error(of: [.replyAndClose(reply, to: .word("a"))])?.code == .tooLarge)
        #expect(error(of: [], otherwise: .replyAndClose(reply))?.code == .tooLarge)
    }
}
