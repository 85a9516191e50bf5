// The order of a simulation's steps, drawn from its seed. The scheduler asks here whose step is next.

/// The order of steps.
///
/// Uniform choice alone keeps all bodies at about the same pace, and a bug that needs one of them far behind
/// is never met. So each run draws, for each body, how often it is chosen against the others: some runs have
/// a consumer that hardly moves, some a worker, some a network.
package struct SeededSchedule {
    private var random: SeededRandom
    private var weights: [Int] = []

    package init(random: SeededRandom) { self.random = random }

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
