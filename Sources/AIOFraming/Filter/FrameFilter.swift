// What decides about a frame before the program sees it: whole frames come in from the framer, on the worker; what is to
// become of each goes out. FilterProgram.swift is what it does inside, FilterRule.swift what it is made of.

public import AIOBytes

/// Rules by which a connection's worker judges frames, so that the program is woken only for those worth it.
///
/// ```swift
/// let greeting = try FrameFilter(
///     judging: .firstFrame, otherwise: .replyAndClose("500 5.5.1 expected HELO or EHLO\r\n"),
///     rules: [.pass(.anyOf(["HELO", "EHLO"], as: .word, ignoringCase: true))])
/// ```
///
/// The first rule whose pattern matches decides; `otherwise` decides if none does. A filter is made once, is shared by all
/// connections and workers, and never changes: copying it copies a reference. Replies are shared, too.
public struct FrameFilter: Sendable {
    /// Which frames of a connection are judged. The others pass and are not counted.
    public let judging: FilterScope
    /// What becomes of a frame that no rule matches.
    public var otherwise: FilterOutcome { program.otherwise }
    /// The rules' names, in their order, as counts and errors have them.
    public var ruleNames: [String] { program.names }

    private let program: FilterProgram

    /// A filter of `rules`, in their order.
    ///
    /// Throws if a rule can never do what it says, has another's name, or is larger than `limits` allow: the error names
    /// the rule.
    public init(
        judging: FilterScope, otherwise: FilterOutcome = .pass, limits: FilterLimits = FilterLimits(),
        rules: [FilterRule]
    ) throws(FilterError) {
        self.judging = judging
        program = try FilterProgram(rules, otherwise: otherwise, limits: limits)
    }

    /// What is to become of `frame`, and which rule says so. Any thread.
    ///
    /// Allocates nothing and copies none of the bytes. Takes time in proportion to the number of rules, to the logarithm of
    /// the number of a rule's alternatives, and to the length of what is compared; patterns of your own take what they take.
    public func judge(_ frame: RawSpan) -> FilterJudgement {
        program.judge(frame)
    }

    /// What is to become of `frame`, and which rule says so: for tests of a filter.
    public func judge(_ frame: Bytes) -> FilterJudgement {
        frame.withRawSpan { program.judge($0) }
    }

    /// The place of the rule that gave a judgement, and behind the last rule the place of `otherwise`: what is counted.
    package func number(of judgement: FilterJudgement) -> UInt16 {
        UInt16(judgement.rule ?? program.names.count)
    }

    /// Whether the filter is for a frame at this place at all.
    package func judges(isFirst: Bool) -> Bool {
        isFirst || judging == .everyFrame
    }
}

/// Which frames of a connection a filter judges.
public enum FilterScope: Sendable, Hashable {
    /// The first alone, whatever becomes of it: a greeting, a request line.
    case firstFrame
    case everyFrame
}

/// What is to become of a frame.
public enum FilterOutcome: Sendable, Hashable {
    /// The program gets it.
    case pass
    /// The peer gets this reply in its turn, and the program does not see the frame.
    case reply(Bytes)
    /// The same, and then the connection is closed.
    case replyAndClose(Bytes)
    /// Nobody gets the frame.
    case drop
    /// The connection is closed, without a reply.
    case close

    /// What the peer is sent.
    public var reply: Bytes? {
        switch self {
        case .reply(let bytes), .replyAndClose(let bytes): bytes
        case .pass, .drop, .close: nil
        }
    }
}

/// A filter's answer.
public struct FilterJudgement: Sendable, Hashable {
    public let outcome: FilterOutcome
    /// The index of the rule that matched; nil if none did, and `otherwise` decided.
    public let rule: Int?

    public init(outcome: FilterOutcome, rule: Int?) {
        self.outcome = outcome
        self.rule = rule
    }
}
