// What the tests of this target share: seeded randomness, streams in pieces, and the comparison of a framer with the
// reference in every way that a stream can arrive.

import AIOBytes
import AIOFraming
import Testing

/// SplitMix64: the same seed gives the same run. Failing tests print the seed.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// How pieces lie in memory.
enum Placement: CaseIterable {
    /// One behind another in one slab.
    case adjacent
    /// Each in storage of its own.
    case apart
}

/// `stream`, split at `places`, which ascend.
func pieces(of stream: [UInt8], splitAt places: [Int], _ placement: Placement) -> [Bytes] {
    let whole = Bytes(stream)
    let bounds = [0] + places + [stream.count]
    return zip(bounds, bounds.dropFirst()).compactMap { lower, upper in
        guard lower < upper else { return nil }
        let piece = whole[lower..<upper]
        return placement == .adjacent ? Bytes(piece) : Bytes(Array(piece))
    }
}

/// Each split of `count` bytes into two parts, and into three if they are few, and into single bytes.
func splits(of count: Int) -> [[Int]] {
    var splits: [[Int]] = [[], Array(0..<count)]
    for first in 0..<count {
        splits.append([first])
        guard count <= 12 else { continue }
        for second in first..<count { splits.append([first, second]) }
    }
    return splits
}

extension FramingCase {
    /// Expects of `stream` what the reference makes of it, however it is split, placed and taken, with the stream's
    /// end behind it and without.
    func expectAsReference(_ bytes: Bytes, sourceLocation: SourceLocation = #_sourceLocation) {
        let stream = Array(bytes)
        for hasEnded in [false, true] {
            let expected = referenceOutcome(of: stream, hasEnded: hasEnded)
            for places in splits(of: stream.count) {
                for placement in Placement.allCases {
                    let pieces = pieces(of: stream, splitAt: places, placement)
                    let difference = difference(from: expected, pieces, hasEnded: hasEnded)
                    if let difference {
                        Issue.record(
                            """
                            \(self): \(bytes) split at \(places), \(placement), \
                            \(hasEnded ? "ended" : "not ended"): \(difference)
                            """, sourceLocation: sourceLocation)
                        return
                    }
                }
            }
        }
    }

    /// How `pieces` come to something else than `expected`, whenever frames are taken; nil if they do not.
    func difference(from expected: Outcome, _ pieces: [Bytes], hasEnded: Bool) -> String? {
        let atEnd = outcome(of: pieces, hasEnded: hasEnded)
        if atEnd != expected { return "got \(atEnd), expected \(expected)" }
        let atOnce = outcome(of: pieces, hasEnded: hasEnded, takesAtOnce: true)
        if atOnce.regardlessOfDiscarded != expected.regardlessOfDiscarded {
            return "taken at once, got \(atOnce), expected \(expected)"
        }
        return nil
    }

    /// Expects these frames, and that failure, of `stream`, however it is split: for what should be seen spelled out
    /// rather than taken from the reference.
    func expect(
        _ payloads: [Bytes], failure: FramingError.Code? = nil, held: Int = 0, of stream: Bytes,
        hasEnded: Bool = false, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let reference = referenceOutcome(of: Array(stream), hasEnded: hasEnded)
        #expect(reference.frames.map { Bytes($0.payload) } == payloads, sourceLocation: sourceLocation)
        #expect(reference.failure == failure, sourceLocation: sourceLocation)
        #expect(reference.heldByteCount == held, sourceLocation: sourceLocation)
        expectAsReference(stream, sourceLocation: sourceLocation)
    }

    /// Expects of random streams in random pieces what the reference makes of them. Streams are drawn from
    /// `alphabet`, so that what matters to the framer is frequent.
    func expectAsReference(
        randomOf alphabet: [Bytes], seeds: ClosedRange<UInt64> = 1...2_000,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for seed in seeds {
            var random = SeededGenerator(seed: seed)
            var stream: [UInt8] = []
            for _ in 0..<Int.random(in: 0...60, using: &random) {
                stream += alphabet.randomElement(using: &random)!
            }
            let places = (0..<Int.random(in: 0...8, using: &random))
                .map { _ in Int.random(in: 0...stream.count, using: &random) }.sorted()
            let placement = Placement.allCases.randomElement(using: &random)!
            let hasEnded = Bool.random(using: &random)
            let difference = difference(
                from: referenceOutcome(of: stream, hasEnded: hasEnded),
                pieces(of: stream, splitAt: places, placement), hasEnded: hasEnded)
            if let difference {
                Issue.record("\(self), seed \(seed): \(difference)", sourceLocation: sourceLocation)
                return
            }
        }
    }
}

extension OverlongFrame {
    static let each: [OverlongFrame] = [.close, .reply("500 too long"), .truncate]
}
