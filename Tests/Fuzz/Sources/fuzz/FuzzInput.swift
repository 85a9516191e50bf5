// An input of the fuzzer as a source of choices: what a target needs to know comes first, the stream is what
// is left.

import AIOBytes

struct FuzzInput {
    private var bytes: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

    var isEmpty: Bool { bytes.isEmpty }

    mutating func byte() -> UInt8 { bytes.popFirst() ?? 0 }

    mutating func number(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(byte()) % range.count
    }

    mutating func choice<T>(_ choices: [T]) -> T { choices[number(0...choices.count - 1)] }

    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { bytes = bytes.dropFirst(count) }
        return Array(bytes.prefix(count))
    }

    /// Where to split, as distances from the split before; few, or one at each byte.
    mutating func distances() -> [Int] {
        let count = number(0...9)
        return count == 9 ? Array(repeating: 1, count: bytes.count) : (0..<count).map { _ in number(0...63) }
    }

    /// All that is left, in pieces.
    mutating func pieces(_ distances: [Int], areAdjacent: Bool) -> [Bytes] {
        let whole = Bytes(Array(bytes))
        var pieces: [Bytes] = []
        var left = whole
        for distance in distances + [whole.count] where distance > 0 && !left.isEmpty {
            let piece = left.prefix(distance)
            pieces.append(areAdjacent ? Bytes(piece) : Bytes(Array(piece)))
            left = left.dropFirst(distance)
        }
        bytes = []
        return pieces
    }
}
