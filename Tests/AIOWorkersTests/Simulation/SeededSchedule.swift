// Where all chance in a simulation comes from: one seed. The host asks here whose step is next; kernel and
// scripts draw from generators split off the same seed.

/// Numbers that follow from a seed (SplitMix64, Steele, Lea and Flood 2014). Not the standard library's
/// generators: what a seed means must not change with the toolchain, or a printed seed replays something
/// else.
struct SeededRandom {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// A generator of its own, so that one user's draws do not shift another's.
    mutating func split() -> SeededRandom { SeededRandom(seed: next()) }

    /// 0 to `limit - 1`.
    mutating func number(below limit: Int) -> Int {
        precondition(limit > 0, "there is no number below \(limit)")
        return Int(next().multipliedFullWidth(by: UInt64(limit)).high)
    }

    mutating func number(in range: ClosedRange<Int>) -> Int {
        range.lowerBound + number(below: range.upperBound - range.lowerBound + 1)
    }

    /// True once in `n` times.
    mutating func isOne(in n: Int) -> Bool { number(below: n) == 0 }
}

/// The order of steps.
///
/// Uniform choice alone keeps all bodies at about the same pace, and a bug that needs one of them far behind
/// is never met. So each run draws, for each body, how often it is chosen against the others: some runs have
/// a consumer that hardly moves, some a worker, some a network.
struct SeededSchedule {
    private var random: SeededRandom
    private var weights: [Int] = []

    init(random: SeededRandom) { self.random = random }

    /// Draws the pace of one more body; returns the index by which `pick` names it.
    mutating func register() -> Int {
        weights.append([1, 1, 2, 4, 16][random.number(below: 5)])
        return weights.count - 1
    }

    /// One of the bodies that could go on; there must be at least one.
    mutating func pick(among candidates: [Int]) -> Int {
        var total = 0
        for candidate in candidates { total += weights[candidate] }
        var drawn = random.number(below: total)
        for candidate in candidates {
            drawn -= weights[candidate]
            if drawn < 0 { return candidate }
        }
        preconditionFailure("a number below the sum of the weights belongs to one of them")
    }

    /// Whether another body cuts in where a real thread could be preempted.
    mutating func preempts() -> Bool { random.isOne(in: 8) }
}
