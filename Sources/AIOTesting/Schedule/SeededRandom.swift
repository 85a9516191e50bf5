// Where all chance in a simulation comes from: one seed. The host asks here whose step is next; kernel and
// scripts draw from generators split off the same seed.

/// Numbers that follow from a seed (SplitMix64, Steele, Lea and Flood 2014). Not the standard library's
/// generators: what a seed means must not change with the toolchain, or a printed seed replays something
/// else.
package struct SeededRandom {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// A generator of its own, so that one user's draws do not shift another's.
    package mutating func split() -> SeededRandom { SeededRandom(seed: next()) }

    /// 0 to `limit - 1`.
    package mutating func number(below limit: Int) -> Int {
        precondition(limit > 0, "there is no number below \(limit)")
        return Int(next().multipliedFullWidth(by: UInt64(limit)).high)
    }

    package mutating func number(in range: ClosedRange<Int>) -> Int {
        range.lowerBound + number(below: range.upperBound - range.lowerBound + 1)
    }

    /// True once in `n` times.
    package mutating func isOne(in n: Int) -> Bool { number(below: n) == 0 }
}
