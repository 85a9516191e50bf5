// Frames that a delimiter ends: one byte, or several, any.

import AIOBytes

// Theory of operation
//
// The search is Knuth, Morris and Pratt's: `matched` is how much of the delimiter the bytes seen last are the
// beginning of, across pieces, and after a mismatch the table says how much of it still is. So no byte is
// looked at again, the time is linear whatever the delimiter, and "aab" is found in "aaab". While nothing is
// matched the delimiter's first byte is searched for eight bytes at a time, which is all that a delimiter of
// one byte needs.

package struct DelimiterFramer: Framer {
    private let pattern: Pattern
    private let unterminated: Framing.Unterminated
    private var window: FrameWindow
    /// How much of the delimiter the bytes seen last are.
    private var matched = 0

    /// A delimiter, prepared for searching. Shared by all connections that have the framing.
    private final class Pattern: Sendable {
        let bytes: [UInt8]
        /// For each length of a beginning of the delimiter, from 1 on: the longest shorter beginning that it
        /// ends with.
        let fallbacks: [Int]

        init(_ delimiter: Bytes) {
            let bytes = Array(delimiter)
            var fallbacks = Array(repeating: 0, count: bytes.count)
            var matched = 0
            for index in bytes.indices.dropFirst() {
                while matched > 0, bytes[index] != bytes[matched] { matched = fallbacks[matched - 1] }
                if bytes[index] == bytes[matched] { matched += 1 }
                fallbacks[index] = matched
            }
            self.bytes = bytes
            self.fallbacks = fallbacks
        }
    }

    /// A delimiter without bytes is never found.
    init(
        _ delimiter: Bytes, byteCountMax: Int, truncates: Bool, unterminated: Framing.Unterminated
    ) {
        pattern = Pattern(delimiter)
        self.unterminated = unterminated
        window = FrameWindow(
            byteCountMax: byteCountMax, endByteCountMax: delimiter.count, truncates: truncates)
    }

    package mutating func advance(over bytes: RawSpan) -> FramerStep {
        let searched = window.searchable(of: bytes.byteCount)
        let end = endOfDelimiter(in: bytes, upTo: searched)
        return window.searched(searched, found: end)
    }

    package mutating func streamEnded() -> UnfinishedFrame { window.streamEnded(unterminated) }

    package var frameByteCountMax: Int { window.windowByteCount }

    package var isDiscarding: Bool { window.isDiscarding }

    /// What is matched of the delimiter at the limit is remembered.
    private mutating func endOfDelimiter(in bytes: RawSpan, upTo limit: Int) -> FrameEnd? {
        let pattern = pattern
        guard let first = pattern.bytes.first else { return nil }
        var matched = matched
        var offset = 0
        while offset < limit {
            if matched == 0 {
                guard let found = bytes.firstOffset(of: first, from: offset, upTo: limit) else { break }
                offset = found
            }
            let byte = bytes.byte(at: offset)
            while matched > 0, byte != pattern.bytes[matched] { matched = pattern.fallbacks[matched - 1] }
            if byte == pattern.bytes[matched] { matched += 1 }
            offset += 1
            if matched == pattern.bytes.count {
                self.matched = 0
                return FrameEnd(offset: offset, byteCount: matched)
            }
        }
        self.matched = matched
        return nil
    }
}
