// A filter as it is run: its rules checked, their literals sorted, everything in flat memory. Made by FrameFilter, which
// holds it; judges frames on all workers at once.

import AIOBytes

/// Checked rules in the form in which frames are compared with them. Immutable, so that all threads may use it.
final class FilterProgram: Sendable {
    /// What one rule looks for. No references: going through rules counts none.
    private enum Pattern: Sendable {
        case literals(Range<Int>, FilterExtent, ignoresCase: Bool)
        /// An index of `customPatterns`.
        case custom(Int)
    }

    let names: [String]
    let otherwise: FilterOutcome
    /// A pattern and an outcome for each rule.
    private let patterns: [Pattern]
    private let outcomes: [FilterOutcome]
    private let literals: LiteralTable
    private let customPatterns: [any FramePattern]

    init(
        _ rules: [FilterRule], otherwise: FilterOutcome, limits: FilterLimits
    ) throws(FilterError) {
        guard rules.count <= limits.rulesMax else {
            throw FilterError(.tooLarge, nil, "\(rules.count) rules; at most \(limits.rulesMax) are allowed")
        }
        let names = try Self.names(of: rules)
        var patterns: [Pattern] = []
        var literals = LiteralTable()
        var literalByteCount = 0
        var customPatterns: [any FramePattern] = []
        for (rule, name) in zip(rules, names) {
            try rule.outcome.check(limits, name)
            switch rule.pattern.content {
            case .literals(let alternatives, let extent, let ignoresCase):
                try Self.check(alternatives, as: extent, limits, name)
                literalByteCount = alternatives.reduce(literalByteCount) { $0 + $1.count }
                guard literalByteCount <= limits.byteCountMax else {
                    throw FilterError(
                        .tooLarge, name,
                        "the literals up to this rule have \(literalByteCount) bytes; "
                            + "at most \(limits.byteCountMax) are allowed")
                }
                let places = literals.add(alternatives, as: extent, ignoringCase: ignoresCase)
                patterns.append(.literals(places, extent, ignoresCase: ignoresCase))
            case .custom(let pattern):
                patterns.append(.custom(customPatterns.count))
                customPatterns.append(pattern)
            case .unusable(let reason):
                throw FilterError(.malformedPattern, name, reason)
            }
        }
        try otherwise.check(limits, nil)
        self.names = names
        self.otherwise = otherwise
        self.patterns = patterns
        outcomes = rules.map(\.outcome)
        self.literals = literals
        self.customPatterns = customPatterns
    }

    func judge(_ frame: RawSpan) -> FilterJudgement {
        for index in patterns.indices where matches(frame, patterns[index]) {
            return FilterJudgement(outcome: outcomes[index], rule: index)
        }
        return FilterJudgement(outcome: otherwise, rule: nil)
    }

    private func matches(_ frame: RawSpan, _ pattern: Pattern) -> Bool {
        switch pattern {
        case .literals(let places, let extent, let ignoresCase):
            literals.matches(frame, at: places, as: extent, ignoringCase: ignoresCase)
        case .custom(let index):
            customPatterns[index].matches(frame)
        }
    }

    // MARK: Checks

    /// The rules' names, made up where there are none: of a pattern as much as a log can do with.
    private static func names(of rules: [FilterRule]) throws(FilterError) -> [String] {
        var names: [String] = []
        var seen: Set<String> = []
        for (index, rule) in rules.enumerated() {
            let name = rule.name ?? "\(index + 1): \(rule.pattern.description.prefix(100))"
            guard seen.insert(name).inserted else {
                throw FilterError(.duplicateName, name, "a rule before it has the same name")
            }
            names.append(name)
        }
        return names
    }

    private static func check(
        _ literals: [Bytes], as extent: FilterExtent, _ limits: FilterLimits, _ name: String
    ) throws(FilterError) {
        guard !literals.isEmpty else {
            throw FilterError(.malformedPattern, name, "there are no alternatives, so nothing would match")
        }
        guard literals.count <= limits.alternativesMax else {
            throw FilterError(
                .tooLarge, name,
                "\(literals.count) alternatives; at most \(limits.alternativesMax) are allowed")
        }
        for literal in literals {
            guard literal.count <= limits.literalByteCountMax else {
                throw FilterError(
                    .tooLarge, name,
                    "a literal of \(literal.count) bytes; at most \(limits.literalByteCountMax) are allowed")
            }
            switch extent {
            case .wholeFrame: break
            case .prefix where literal.isEmpty:
                throw FilterError(.malformedPattern, name, "every frame begins with an empty prefix")
            case .word where literal.isEmpty:
                throw FilterError(.malformedPattern, name, "a word without bytes")
            case .word where literal.last == UInt8(ascii: " "):
                throw FilterError(
                    .malformedPattern, name,
                    "the word \(literal) ends in a space, and would have to be followed by another one")
            case .prefix, .word: break
            }
        }
    }
}

extension FilterOutcome {
    fileprivate func check(_ limits: FilterLimits, _ rule: String?) throws(FilterError) {
        guard let reply else { return }
        let whose = rule == nil ? "the reply of `otherwise`" : "the reply"
        guard !reply.isEmpty else {
            throw FilterError(.malformedReply, rule, "\(whose) is empty: say drop or close instead")
        }
        guard reply.count <= limits.replyByteCountMax else {
            throw FilterError(
                .tooLarge, rule,
                "\(whose) has \(reply.count) bytes; at most \(limits.replyByteCountMax) are allowed")
        }
    }
}

extension FilterError {
    fileprivate init(_ code: Code, _ rule: String?, _ detail: String) {
        self.init(code: code, rule: rule, detail: detail)
    }
}
