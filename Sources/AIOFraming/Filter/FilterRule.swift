// One line of a filter: which frames, and what becomes of them.

public import AIOBytes

/// A pattern, and what becomes of the frames that it matches.
///
/// A rule's name is what its count goes by. Without one it is called after its place and pattern: `2: word "NOOP"`.
public struct FilterRule: Sendable {
    public var name: String?
    public var pattern: FilterPattern
    public var outcome: FilterOutcome

    public init(_ pattern: FilterPattern, _ outcome: FilterOutcome, named name: String? = nil) {
        self.name = name
        self.pattern = pattern
        self.outcome = outcome
    }
}

extension FilterRule {
    /// Frames for the program.
    public static func pass(_ pattern: FilterPattern, named name: String? = nil) -> FilterRule {
        FilterRule(pattern, .pass, named: name)
    }

    /// Frames that the peer gets `bytes` for, in its turn, and that the program does not see.
    public static func reply(
        _ bytes: Bytes, to pattern: FilterPattern, named name: String? = nil
    ) -> FilterRule {
        FilterRule(pattern, .reply(bytes), named: name)
    }

    /// Frames that the peer gets `bytes` for, in its turn, as the last thing.
    public static func replyAndClose(
        _ bytes: Bytes, to pattern: FilterPattern, named name: String? = nil
    ) -> FilterRule {
        FilterRule(pattern, .replyAndClose(bytes), named: name)
    }

    /// Frames for nobody.
    public static func drop(_ pattern: FilterPattern, named name: String? = nil) -> FilterRule {
        FilterRule(pattern, .drop, named: name)
    }

    /// Frames that end the connection.
    public static func close(on pattern: FilterPattern, named name: String? = nil) -> FilterRule {
        FilterRule(pattern, .close, named: name)
    }
}
