// Why a filter was not made, and how large one may be.

/// A filter that would not do what it says, or that is too large.
public struct FilterError: Error, Sendable, Hashable {
    public let code: Code
    /// The name of the rule that it is about; nil if it is about the filter as a whole.
    public let rule: String?
    /// What is wrong, in words for a person, with the numbers.
    public let detail: String

    /// The kinds of error. A struct and not an enum, so that codes can be added without breaking programs.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        private init(_ description: String) { self.description = description }

        /// A pattern that matches nothing or everything, or that could not be made.
        public static let malformedPattern = Code("malformedPattern")
        /// A reply without bytes.
        public static let malformedReply = Code("malformedReply")
        /// Two rules have one name, and could not be told apart in the counts.
        public static let duplicateName = Code("duplicateName")
        /// More rules, alternatives or bytes than the limits allow.
        public static let tooLarge = Code("tooLarge")
    }
}

extension FilterError: CustomStringConvertible {
    public var description: String {
        "\(code): \(rule.map { "rule \"\($0)\": " } ?? "")\(detail)"
    }
}

/// How large a filter may be. Filters are often made from configuration, so that each of these is an error and not a trap.
public struct FilterLimits: Sendable, Hashable {
    /// Each rule costs every frame that reaches it a comparison: 256.
    public var rulesMax = 256
    /// Of one rule: 65,536.
    public var alternativesMax = 65_536
    /// Of one literal: 8 KiB.
    public var literalByteCountMax = 8_192
    /// Of all literals together: 4 MiB.
    public var byteCountMax = 4 << 20
    /// Of one reply: 64 KiB.
    public var replyByteCountMax = 65_536

    public init() {}
}
