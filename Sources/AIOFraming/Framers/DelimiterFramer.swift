// Frames that a delimiter ends: one byte, or several, any.

import AIOBytes

// Theory of operation
//
// The search is Knuth, Morris and Pratt's: `matched` is how much of the delimiter the bytes seen last are the
// beginning of, across pieces, and after a mismatch the table says how much of it still is. So no byte is
// looked at again, the time is linear whatever the delimiter, and "aab" is found in "aaab". While nothing is
// matched the delimiter's first byte is searched for eight bytes at a time, which is all that a delimiter of
// one byte needs.
//
// What is too long, and when it is cut short, is as in LineFramer: by a window of the maximum and a
// delimiter.

package struct DelimiterFramer: Framer {
    private let pattern: Pattern
    private let byteCountMax: Int
    private let windowByteCount: Int
    private let truncates: Bool
    private let unterminated: Framing.Unterminated

    /// Bytes of the frame seen so far; not counted while its rest is discarded.
    private var seen = 0
    /// How much of the delimiter the bytes seen last are.
    private var matched = 0
    package private(set) var isDiscarding = false

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
        self.byteCountMax = byteCountMax
        windowByteCount = byteCountMax.addingSaturated(delimiter.count)
        self.truncates = truncates
        self.unterminated = unterminated
    }

    package mutating func advance(over bytes: RawSpan) -> FramerStep {
        if isDiscarding { return discard(from: bytes) }
        let searched = min(bytes.byteCount, windowByteCount - seen)
        if let end = endOfDelimiter(in: bytes, upTo: searched) {
            seen = 0
            return .complete(byteCount: end, trailer: pattern.bytes.count)
        }
        seen += searched
        guard seen == windowByteCount else { return .incomplete }
        guard truncates else { return .failed(.tooLong(byteCountMax: byteCountMax)) }
        seen = 0
        isDiscarding = true
        return .complete(byteCount: searched, trailer: windowByteCount - byteCountMax)
    }

    package mutating func streamEnded() -> UnfinishedFrame {
        // No delimiter came, so all of it is payload, the beginning of a delimiter too.
        if unterminated == .fail { return .fail(.unfinished) }
        let excess = max(0, seen - byteCountMax)
        if excess == 0 || truncates { return .deliver(trailer: excess) }
        return .fail(.tooLong(byteCountMax: byteCountMax))
    }

    package var frameByteCountMax: Int { windowByteCount }

    // MARK: private parts

    private mutating func discard(from bytes: RawSpan) -> FramerStep {
        guard let end = endOfDelimiter(in: bytes, upTo: bytes.byteCount) else {
            return .discard(byteCount: bytes.byteCount)
        }
        isDiscarding = false
        return .discard(byteCount: end)
    }

    /// The offset behind the delimiter's end among the first `limit` bytes. What is matched of it at the
    /// limit is remembered.
    private mutating func endOfDelimiter(in bytes: RawSpan, upTo limit: Int) -> Int? {
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
                return offset
            }
        }
        self.matched = matched
        return nil
    }
}
