// Seeded randomness of the tests of this target.

/// SplitMix64: the same seed gives the same run.
struct Generator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func letters(of alphabet: StaticString, count: Int) -> [UInt8] {
        let letters = Array("\(alphabet)".utf8)
        return (0..<count).map { _ in letters[Int(next() % UInt64(letters.count))] }
    }
}
