// The literals of all rules of a filter, and how a frame is found among those of one rule. Filled by FilterProgram when the
// filter is made, and only read afterwards.

import AIOBytes

// Theory of operation
//
// A rule's literals lie sorted by bytes, one after another in one array: no references are followed, so none is counted. A
// frame is looked for by halving. With literals that stand for whole frames that is the usual search. Literals that stand for
// prefixes are first made *prefix-free*: one that begins with another adds nothing and is left out. Then, if a literal p
// is a prefix of the frame, all literals before p are less than the frame and all after p are greater (one in between would
// begin with p), so the search finds p. Words are prefixes that end in a space, of a frame that has a space behind its end.
// Case is ignored by storing lower case and comparing with the frame's lower case.

/// Sorted literals in flat memory.
struct LiteralTable: Sendable {
    private var bytes: [UInt8] = []
    /// Where each literal starts; one more, at the end, is where the last one ends.
    private var starts = [0]

    private static let space = UInt8(ascii: " ")

    /// Adds the literals of one rule, and returns their places.
    mutating func add(_ literals: [Bytes], as extent: FilterExtent, ignoringCase: Bool) -> Range<Int> {
        let sorted = literals.map { literal in
            let bytes = ignoringCase ? literal.map(\.lowercasedInASCII) : Array(literal)
            return extent == .word ? bytes + [Self.space] : bytes
        }.sorted { $0.lexicographicallyPrecedes($1) }

        let first = starts.count - 1
        var last: [UInt8]?
        for literal in sorted {
            if let last, extent == .wholeFrame ? literal == last : literal.starts(with: last) { continue }
            bytes += literal
            starts.append(bytes.count)
            last = literal
        }
        return first..<starts.count - 1
    }

    /// Whether one of the literals at `places`, which were added with the same `extent` and `ignoringCase`, is what `frame`
    /// is or begins with.
    func matches(
        _ frame: RawSpan, at places: Range<Int>, as extent: FilterExtent, ignoringCase: Bool
    ) -> Bool {
        let frame = Span<UInt8>(_bytes: frame)
        var lower = places.lowerBound
        var upper = places.upperBound
        while lower < upper {
            let middle = (lower &+ upper) / 2
            switch relation(of: middle, to: frame, as: extent, ignoringCase: ignoringCase) {
            case .matches: return true
            case .before: lower = middle &+ 1
            case .after: upper = middle
            }
        }
        return false
    }

    private enum Relation {
        case before, matches, after
    }

    /// How the literal at `place` lies to the frame in the order of bytes.
    @inline(__always)
    private func relation(
        of place: Int, to frame: Span<UInt8>, as extent: FilterExtent, ignoringCase: Bool
    ) -> Relation {
        let bytes = bytes.span
        let start = starts[place]
        let literalCount = starts[place + 1] - start
        // The space behind the frame's end is a byte of it, where words are sought.
        let frameCount = extent == .word ? frame.count + 1 : frame.count
        for offset in 0..<min(literalCount, frameCount) {
            let expected = bytes[start + offset]
            var found = offset < frame.count ? frame[offset] : Self.space
            if ignoringCase { found = found.lowercasedInASCII }
            if expected != found { return expected < found ? .before : .after }
        }
        if literalCount > frameCount { return .after }
        return extent != .wholeFrame || literalCount == frameCount ? .matches : .before
    }
}

extension UInt8 {
    /// The small letter, if this is one of A–Z.
    @inline(__always)
    fileprivate var lowercasedInASCII: UInt8 {
        self &- UInt8(ascii: "A") < 26 ? self | 0x20 : self
    }
}
