// The worker's inbound budget: how windows shrink as it fills, when sparse slabs are worth emptying, and that
// one timer looks again and not several.

import Testing

@testable import AIOWorkers

@Suite struct InboundMemoryTests {
    static let budgets = [4_096, 5_003, 65_536, 64 << 20, .max]
    static let windows = [1, 2, 100, 65_536, 1 << 30]

    @Test(arguments: budgets)
    func aWindowIsWholeUntilThreeQuartersAreHeld(budget: Int) {
        for window in Self.windows {
            for held in [0, 1, budget / 2, budget - budget / 4] {
                #expect(memory(budget, held).window(window) == window, "\(held) held")
            }
        }
    }

    @Test(arguments: budgets)
    func aWindowIsNothingOnceTheBudgetIsHeld(budget: Int) {
        for window in Self.windows {
            #expect(memory(budget, budget).window(window) == 0)
            if budget < .max { #expect(memory(budget, budget + 1).window(window) == 0) }
            if budget < .max { #expect(memory(budget, .max).window(window) == 0) }
        }
    }

    @Test(arguments: budgets)
    func whoHoldsNothingCanBeReadUntilTheBudgetIsGone(budget: Int) {
        for window in Self.windows { #expect(memory(budget, budget - 1).window(window) >= 1) }
    }

    @Test func inTheLastQuarterAWindowShrinksInProportion() {
        let budget = 1_000_000
        let windows = [(750_000, 10_000), (800_000, 8_000), (875_000, 5_000), (975_000, 1_000), (999_999, 1)]
        for (held, window) in windows {
            #expect(memory(budget, held).window(10_000) == window, "\(held) held")
        }
    }

    @Test(arguments: budgets)
    func aWindowNeverGrowsAsMoreIsHeldNorBeyondItself(budget: Int) {
        for window in Self.windows {
            var last = window
            for step in 0...1_000 {
                let held = step == 1_000 ? budget : budget / 1_000 * step
                let now = memory(budget, held).window(window)
                #expect(now <= last && now >= 0, "\(held) of \(budget) held: \(now) after \(last)")
                last = now
            }
            #expect(last == 0)
        }
    }

    @Test func aWindowIsItselfAgainWhenMemoryIsFree() {
        var memory = memory(1_000, 1_000)
        #expect(memory.window(100) == 0)
        memory.update(heldByteCount: 500)
        #expect(memory.window(100) == 100)
    }

    @Test func slabsAreEmptiedWhenTheyHoldFourTimesWhatIsInThemAndFourSlabsMore() {
        let memory = memory(1 << 20, 0)
        let slab = 4_096
        #expect(!memory.shouldCompact(0, holding: 0, slab: slab))
        // A few slabs are not worth it, however little is in them.
        #expect(!memory.shouldCompact(4 * slab, holding: 0, slab: slab))
        #expect(memory.shouldCompact(5 * slab, holding: 1, slab: slab))
        #expect(!memory.shouldCompact(100 * slab, holding: 24 * slab, slab: slab))
        #expect(memory.shouldCompact(100 * slab, holding: 24 * slab - 1, slab: slab))
        #expect(!memory.shouldCompact(100 * slab, holding: 100 * slab, slab: slab))
    }

    @Test func eachSlabBegunIsLookedAtOnce() {
        var memory = memory(1_000, 0)
        #expect(memory.isDueForALook(slabsTaken: 0) == false)
        #expect(memory.isDueForALook(slabsTaken: 1) == true)
        #expect(memory.isDueForALook(slabsTaken: 1) == false)
        #expect(memory.isDueForALook(slabsTaken: 4) == true)
        #expect(memory.isDueForALook(slabsTaken: 4) == false)
    }

    @Test func theTimerIsArmedOnceUntilItFires() {
        var memory = memory(1_000, 0)
        for _ in 0..<3 {
            #expect(memory.armTimer() == true)
            #expect(memory.armTimer() == false)
            #expect(memory.armTimer() == false)
            memory.timerFired()
        }
    }

    private func memory(_ budget: Int, _ held: Int) -> InboundMemory {
        var memory = InboundMemory(byteCountMax: budget)
        memory.update(heldByteCount: held)
        return memory
    }
}
