// Whose turn it is, by each policy.

import Testing

@testable import AIOTesting

@Suite struct SeededScheduleTests {
    private func picks(_ policy: SchedulePolicy, seed: UInt64, runners: Int = 3, count: Int = 300) -> [Int] {
        var schedule = SeededSchedule(random: SeededRandom(seed: seed), policy: policy)
        for _ in 0..<runners { _ = schedule.register() }
        return (0..<count).map { _ in schedule.pick(among: Array(0..<runners)) }
    }

    @Test func `in turn is in turn, and skips who cannot go on`() {
        #expect(picks(.inTurn, seed: 7, count: 6) == [0, 1, 2, 0, 1, 2])
        var schedule = SeededSchedule(random: SeededRandom(seed: 1), policy: .inTurn)
        for _ in 0..<4 { _ = schedule.register() }
        #expect(
            [[0, 2], [0, 2], [1], [0, 3], [0, 3]].map { schedule.pick(among: $0) } == [0, 2, 1, 3, 0])
        #expect(!(0..<100).contains { _ in schedule.preempts() })
    }

    @Test func `random gives everybody a turn, some more than others`() {
        for seed in 1...20 as ClosedRange<UInt64> {
            let counts = picks(.random, seed: seed).reduce(into: [0, 0, 0]) { $0[$1] += 1 }
            #expect(counts.allSatisfy { $0 > 0 })
        }
        let uneven = (1...20).count { seed in
            let counts = picks(.random, seed: UInt64(seed)).reduce(into: [0, 0, 0]) { $0[$1] += 1 }
            return counts.max()! > 4 * counts.min()!
        }
        #expect(uneven > 5)
    }

    @Test func `by priority the same one goes on, but for the changes and the longest run`() {
        for seed in 1...20 as ClosedRange<UInt64> {
            let switches = zip(
                picks(.priorities(changes: 0), seed: seed, count: 1_000).dropFirst(),
                picks(
                    .priorities(changes: 0), seed: seed, count: 1_000)
            ).count { $0 != $1 }
            // After 200 steps of each.
            #expect(switches == 4)
            let changed = picks(.priorities(changes: 3), seed: seed, count: 190)
            #expect(zip(changed.dropFirst(), changed).count { $0 != $1 } <= 3)
        }
        let firsts = Set((1...20).map { picks(.priorities(changes: 0), seed: UInt64($0), count: 1)[0] })
        #expect(firsts == [0, 1, 2])
    }

    @Test func `mixed begins with the plain run`() {
        #expect(SchedulePolicy.mixed.resolved(for: 0) == .inTurn)
        #expect(SchedulePolicy.mixed.resolved(for: 1) == .random)
        #expect(SchedulePolicy.mixed.resolved(for: 3) == .priorities(changes: 3))
        #expect(SchedulePolicy.random.resolved(for: 0) == .random)
    }
}
