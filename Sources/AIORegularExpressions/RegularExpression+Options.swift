// How a regular expression is meant, and how large it may be.

extension RegularExpression {
    /// Where in a frame the expression has to match. Within a pattern, `^` and `$` are the frame's two ends, whatever is
    /// chosen here; with `(?m)` in front of them also those of its lines.
    public enum Extent: Sendable, Hashable {
        /// All of the frame, as if the pattern stood between `^(?:` and `)$`. Note that `$` is the very end of the frame, also
        /// if that is a newline.
        case wholeFrame
        /// The frame's beginning.
        case prefix
        /// Any part of the frame.
        case anywhere
    }

    /// What the frame's bytes, and the characters of a pattern, are.
    public enum Encoding: Sendable, Hashable {
        /// Each byte is a character, 0 to 255; NUL and newlines, too. The pattern is ASCII and names other bytes by number,
        /// `\xe9`; otherwise it would be unclear whether `[é]` is one byte of two or both of them.
        case bytes
        /// Frames and pattern are UTF-8. Bytes that are not UTF-8 match nothing but `\C`, so `.*` does not match a frame that
        /// has such bytes. It is not a check of validity: some sequences that UTF-8 forbids match `.` all the same.
        case utf8
    }

    public struct Options: Sendable, Hashable {
        public var extent = Extent.wholeFrame
        public var encoding = Encoding.bytes
        /// Whether letters match in both cases, as with `(?i)`: those of Unicode, and with `.bytes` those of them that are
        /// Latin-1, so that `\xe9` matches the byte C9 as well.
        public var ignoresCase = false
        /// Whether `.` matches a newline, as with `(?s)`.
        public var dotMatchesNewlines = false
        /// What the expression may take up, compiled, with the caches that all threads share: 1 MiB. When the caches are full
        /// they are begun anew; if that happens too often in one frame, it is matched without them, which is slower and comes
        /// to the same result.
        public var memoryByteCountMax = 1 << 20
        /// Instructions of the compiled expression, of which a character is about one: 2,000. At the worst a byte of a frame
        /// costs as many steps of some nanoseconds each.
        public var programSizeMax = 2_000
        /// Length of the pattern: 8 KiB.
        public var patternByteCountMax = 8_192

        public init() {}

        public init(_ extent: Extent, encoding: Encoding = .bytes, ignoringCase: Bool = false) {
            self.extent = extent
            self.encoding = encoding
            ignoresCase = ignoringCase
        }
    }
}
