// The order of a simulation's steps, drawn from its seed. The scheduler asks here whose step is next.

/// How it is decided whose turn it is.
public enum SchedulePolicy: Sendable, Hashable {
    /// Those who can go on take turns, and tasks run first in, first out: the plain run, to begin with and to read.
    case inTurn
    /// Drawn, but each at a pace of its own that is drawn too.
    ///
    /// Uniform choice alone keeps all at about the same pace, and a bug that needs one of them far behind
    /// is never met. So some runs have a handler that hardly moves, some a worker, some a network.
    case random
    /// By priorities that are drawn: the highest goes on for as long as it can, and at so many steps, drawn too, whoever
    /// is running falls below all others (PCT; Burckhardt and others, ASPLOS 2010). Finds what needs a few exact
    /// switches.
    case priorities(changes: Int)
    /// Seed 0 in turn; of the others, one in four by priorities with three changes, the rest random.
    case mixed

    func resolved(for seed: UInt64) -> SchedulePolicy {
        guard self == .mixed else { return self }
        if seed == 0 { return .inTurn }
        return seed % 4 == 3 ? .priorities(changes: 3) : .random
    }
}

/// The order of steps.
package struct SeededSchedule {
    private let policy: SchedulePolicy
    private var random: SeededRandom
    private let deviations: Deviations
    /// The pace of each runner, or its priority, in the order in which they came.
    private var weights: [Int] = []
    /// The steps at which priorities change, the next one last.
    private var changes: [Int] = []
    private var lowest = 0
    private var last = -1
    private var lastCount = 0
    private var steps = 0

    /// Steps among which the changes are drawn: about as many as a small test has.
    private static let stepsExpected = 1_000
    /// Nobody goes on for longer by priority alone: somebody may be waiting in a loop for a lower one.
    private static let stepsInARowMax = 200

    package init(
        random: SeededRandom, policy: SchedulePolicy = .random, deviations: Deviations = Deviations()
    ) {
        self.random = random
        self.deviations = deviations
        self.policy = policy
        if case .priorities(let count) = policy {
            for _ in 0..<count { changes.append(self.random.number(below: Self.stepsExpected)) }
            changes.sort(by: >)
        }
    }

    /// Draws the pace of one more runner; returns the index by which `pick` names it.
    mutating func register() -> Int {
        switch policy {
        case .priorities: weights.append(1 + random.number(below: 1_000_000))
        case .inTurn, .random, .mixed: weights.append([1, 1, 2, 4, 16][random.number(below: 5)])
        }
        return weights.count - 1
    }

    /// One of those who could go on, in ascending order; there must be at least one.
    mutating func pick(among candidates: [Int]) -> Int {
        steps += 1
        var picked =
            switch policy {
            case .inTurn: nextInTurn(candidates)
            case .priorities: highest(candidates)
            case .random, .mixed: drawn(candidates)
            }
        let plain = nextInTurn(candidates)
        if picked != plain, !deviations.takes() { picked = plain }
        lastCount = picked == last ? lastCount + 1 : 1
        last = picked
        return picked
    }

    private func nextInTurn(_ candidates: [Int]) -> Int {
        for candidate in candidates where candidate > last { return candidate }
        return candidates[0]
    }

    private mutating func highest(_ candidates: [Int]) -> Int {
        let isChange = changes.last.map { $0 <= steps } ?? false
        if isChange { changes.removeLast() }
        if last >= 0, isChange || lastCount >= Self.stepsInARowMax {
            lowest -= 1
            weights[last] = lowest
        }
        var best = candidates[0]
        for candidate in candidates where weights[candidate] > weights[best] { best = candidate }
        return best
    }

    private mutating func drawn(_ candidates: [Int]) -> Int {
        var total = 0
        for candidate in candidates { total += weights[candidate] }
        var drawn = random.number(below: total)
        for candidate in candidates {
            drawn -= weights[candidate]
            if drawn < 0 { return candidate }
        }
        preconditionFailure("a number below the sum of the weights belongs to one of them")
    }

    /// Whether another runner cuts in where a real thread could be preempted.
    mutating func preempts() -> Bool {
        switch policy {
        case .inTurn: false
        case .random, .priorities, .mixed: random.isOne(in: 8) && deviations.takes()
        }
    }
}
