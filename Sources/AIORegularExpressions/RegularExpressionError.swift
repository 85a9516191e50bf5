// Why a regular expression was not made.

/// A pattern that is not a regular expression, or that is too large.
public struct RegularExpressionError: Error, Sendable, Hashable {
    public let code: Code
    public let pattern: String
    /// What is wrong: RE2's own words, or the limit with its number.
    public let detail: String
    /// The part of the pattern that it is about, where RE2 names one. It does not say where that begins.
    public let fragment: String?

    init(_ code: Code, _ pattern: String, _ detail: String, fragment: String? = nil) {
        self.code = code
        self.pattern = pattern
        self.detail = detail
        self.fragment = fragment
    }

    /// The kinds of error. A struct and not an enum, so that codes can be added without breaking programs.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        private init(_ description: String) { self.description = description }

        /// RE2 does not understand it.
        public static let malformed = Code("malformed")
        /// It, its program, or what matching needs is larger than the options allow; or it repeats too often.
        public static let tooLarge = Code("tooLarge")
        /// Bytes are matched, and the pattern has characters that are more than a byte.
        public static let notASCII = Code("notASCII")
    }
}

extension RegularExpressionError: CustomStringConvertible {
    public var description: String {
        // A pattern may be as long as it likes to be; an error goes to a log.
        let shown = pattern.count <= 80 ? pattern : "\(pattern.prefix(80))…"
        return "\(code): \(detail), in the regular expression \(shown)"
    }
}
