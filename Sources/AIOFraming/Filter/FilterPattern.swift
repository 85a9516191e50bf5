// What a rule looks for in a frame. FilterProgram.swift makes of it what is compared with frames.

public import AIOBytes

/// Which frames a rule is for.
///
/// Patterns are bytes, as literals are: `.word("QUIT")`. With `ignoringCase`, the letters A–Z and a–z of ASCII are the same
/// in pattern and frame; all other bytes are themselves.
public struct FilterPattern: Sendable {
    enum Content: Sendable {
        case literals([Bytes], FilterExtent, ignoresCase: Bool)
        case custom(any FramePattern)
        /// A pattern that could not be made, and why. The filter that it would be part of is not made either.
        case unusable(String)
    }

    let content: Content

    /// Frames that are `literal` and nothing else. An empty literal is for empty frames.
    public static func exactly(_ literal: Bytes, ignoringCase: Bool = false) -> FilterPattern {
        anyOf([literal], as: .wholeFrame, ignoringCase: ignoringCase)
    }

    /// Frames that begin with `literal`.
    public static func prefix(_ literal: Bytes, ignoringCase: Bool = false) -> FilterPattern {
        anyOf([literal], as: .prefix, ignoringCase: ignoringCase)
    }

    /// Frames that begin with `literal` and then end or go on with a space: `.word("MAIL")` is for `MAIL` and for
    /// `MAIL FROM:<a@b>`, not for `MAILBOX`.
    public static func word(_ literal: Bytes, ignoringCase: Bool = false) -> FilterPattern {
        anyOf([literal], as: .word, ignoringCase: ignoringCase)
    }

    /// Frames for which one of `literals` would do. Thousands of them cost little more than a few: they are sorted.
    public static func anyOf(
        _ literals: [Bytes], as extent: FilterExtent = .wholeFrame, ignoringCase: Bool = false
    ) -> FilterPattern {
        FilterPattern(content: .literals(literals, extent, ignoresCase: ignoringCase))
    }

    /// Frames that `pattern` matches: a regular expression of AIORegularExpressions, or a pattern of your own.
    ///
    /// What making the pattern throws is thrown when the filter is made, with the rule's name:
    /// `.matching(try RegularExpression("[0-9]+"))`.
    public static func matching(_ pattern: @autoclosure () throws -> any FramePattern) -> FilterPattern {
        do {
            return FilterPattern(content: .custom(try pattern()))
        } catch {
            return FilterPattern(content: .unusable("\(error)"))
        }
    }
}

/// How much of a frame a literal has to be.
public enum FilterExtent: Sendable, Hashable {
    case wholeFrame
    /// Its beginning.
    case prefix
    /// Its beginning, if a space or the frame's end follows.
    case word
}

/// A pattern of your own.
///
/// It is asked on workers' threads, by several at once, while their other connections wait: it must neither block nor take
/// time out of proportion to the frame, whatever a peer puts into it. Its description, if it has one, names rules that have
/// no name.
public protocol FramePattern: Sendable {
    func matches(_ frame: RawSpan) -> Bool
}

extension FilterPattern: CustomStringConvertible {
    public var description: String {
        switch content {
        case .literals(let literals, let extent, let ignoresCase):
            let kind =
                switch extent {
                case .wholeFrame: "exactly"
                case .prefix: "prefix"
                case .word: "word"
                }
            let what = literals.count == 1 ? "\(literals[0])" : "any of \(literals.count)"
            return "\(kind) \(what)" + (ignoresCase ? " in any case" : "")
        case .custom(let pattern): return "\(pattern)"
        case .unusable: return "unusable"
        }
    }
}
