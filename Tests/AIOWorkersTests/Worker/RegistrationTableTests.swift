// How readiness finds its registration again, and how it does not find one that is gone.

import Testing

@testable import AIOWorkers

@Suite struct RegistrationTableTests {
    @Test func aTokenFindsWhatItWasGivenForAndNothingElse() {
        var table = RegistrationTable()
        let registrations = (0..<100).map { _ in Registration() }
        let tokens = registrations.map { table.insert($0) }
        #expect(table.count == 100)
        #expect(Set(tokens).count == 100)
        for (token, registration) in zip(tokens, registrations) {
            let found = table[token]
            #expect(found === registration)
        }
    }

    @Test func anEmptyTableFindsNothing() {
        let table = RegistrationTable()
        for token in [0, 1, 1 << 32, 0xffff_ffff, .max] as [UInt64] {
            let found = table[token]
            #expect(found == nil)
        }
        #expect(table.count == 0)
        let all = table.all()
        #expect(all.isEmpty)
    }

    @Test func aTokenIsStaleOnceItsRegistrationIsRemovedAlsoWhenTheSlotIsInUseAgain() {
        var table = RegistrationTable()
        let first = Registration()
        let old = table.insert(first)
        table.remove(old)
        #expect(table[old] == nil)
        let second = Registration()
        let new = table.insert(second)
        // The same slot, another generation.
        #expect(new & 0xffff_ffff == old & 0xffff_ffff)
        #expect(new != old)
        #expect(table[old] == nil)
        #expect(table[new] === second)
        // Nor does a stale token remove what is there now.
        table.remove(old)
        #expect(table[new] === second)
        #expect(table.count == 1)
    }

    @Test func removingTwiceFreesOneSlot() {
        var table = RegistrationTable()
        let token = table.insert(Registration())
        table.remove(token)
        table.remove(token)
        #expect(table.count == 0)
        let next = table.insert(Registration())
        let afterNext = table.insert(Registration())
        #expect(next & 0xffff_ffff != afterNext & 0xffff_ffff)
        #expect(table.count == 2)
    }

    @Test func theTokenThatASlotWillHaveNextFindsNothingYet() {
        var table = RegistrationTable()
        let token = table.insert(Registration())
        #expect(table[token + 1 << 32] == nil)
        table.remove(token)
        #expect(table[token + 1 << 32] == nil)
        #expect(table[token & 0xffff_ffff] == nil)
    }

    @Test func aTokenIsNeverZeroAndItsGenerationNeither() {
        var table = RegistrationTable()
        for _ in 0..<1_000 {
            let token = table.insert(Registration())
            #expect(token >> 32 != 0)
            table.remove(token)
        }
        #expect(table[0] == nil)
    }

    @Test func aRemovedRegistrationIsReleased() {
        var table = RegistrationTable()
        func inserted() -> (UInt64, () -> Bool) {
            let registration = Registration()
            return (table.insert(registration), { [weak registration] in registration != nil })
        }
        let (token, lives) = inserted()
        #expect(lives())
        table.remove(token)
        #expect(!lives())
    }

    @Test(arguments: SplitMix64.seeds)
    func itAgreesWithADictionary(seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        var table = RegistrationTable()
        var model: [UInt64: Registration] = [:]
        var given: [UInt64] = []
        var everGiven: Set<UInt64> = []
        var peak = 0
        for step in 0..<5_000 {
            if random.next(below: 5) < 2 {
                let registration = Registration()
                let token = table.insert(registration)
                try #require(everGiven.insert(token).inserted, "seed \(seed), step \(step): \(token) again")
                model[token] = registration
                given.append(token)
                peak = max(peak, model.count)
            } else if let token = given.suffix(40).randomElement(using: &random) {
                table.remove(token)
                model[token] = nil
            }
            try #require(table.count == model.count, "seed \(seed), step \(step)")
            for token in given.suffix(20) {
                let found = table[token]
                try #require(found === model[token], "seed \(seed), step \(step)")
            }
        }
        let all = table.all()
        let expected = Set(model.values.map(ObjectIdentifier.init))
        #expect(Set(all.map(ObjectIdentifier.init)) == expected, "seed \(seed)")
        #expect(all.count == model.count, "seed \(seed)")
        // Slots are used again before new ones are made.
        #expect(given.allSatisfy { $0 & 0xffff_ffff < UInt64(peak) }, "seed \(seed)")
    }
}
