// The sleep protocol: its states one by one, and then a consumer that really sleeps, on a wake-up that
// counts, with producers that only wake it when they are told to. A lost wake-up leaves the consumer asleep,
// and the test says so.

import AIOKernel
import AIOWorkers
import Synchronization
import Testing

@Suite struct ParkingTests {
    // MARK: States

    @Test func aConsumerThatRunsIsNotWoken() {
        let parking = Parking()
        #expect(parking.claimWake() == false)
        #expect(parking.retract() == false)
        #expect(parking.claimWake() == false)
    }

    @Test func oneSleepIsClaimedByOnePusher() {
        let parking = Parking()
        for _ in 0..<3 {
            parking.announce()
            #expect(parking.claimWake() == true)
            #expect(parking.claimWake() == false)
            parking.resumed()
            #expect(parking.claimWake() == false)
        }
    }

    @Test func anAnnouncementCanBeRetractedUntilItIsClaimed() {
        let parking = Parking()
        parking.announce()
        #expect(parking.retract() == true)
        #expect(parking.claimWake() == false)
        #expect(parking.retract() == false)
        parking.announce()
        #expect(parking.claimWake() == true)
        #expect(parking.retract() == false)
        parking.resumed()
        #expect(parking.retract() == false)
    }

    @Test func aConsumerThatWasWokenByOtherMeansRunsAgain() {
        let parking = Parking()
        parking.announce()
        parking.resumed()
        #expect(parking.claimWake() == false)
        #expect(parking.retract() == false)
    }

    // MARK: A consumer that sleeps

    @Test(arguments: SplitMix64.seeds)
    func aConsumerThatSleepsWheneverItFindsNothingMissesNothing(seed: UInt64) throws {
        let producerCount = 4
        let pushesEach = 25_000
        let shared = Sleeper()
        let total = producerCount * pushesEach
        let consumed = try shared.consume(until: total, from: producerCount) { producer in
            var random = SplitMix64(state: seed &+ UInt64(producer))
            for number in 0..<pushesEach {
                shared.push(ValueNode(number))
                // Now and then the list runs empty, at a moment that depends on the seed.
                if random.next(below: 4) == 0 { letOthersRun() }
            }
        }
        #expect(consumed == total, "seed \(seed)")
        shared.expectOneWakeUpASleep("seed \(seed)")
    }

    /// The producer waits until its node has been taken: the consumer goes to sleep for each.
    @Test func aProducerAndAConsumerThatWaitForEachOtherGoOn() throws {
        let rounds = 50_000
        let shared = Sleeper()
        let consumed = try shared.consume(until: rounds, from: 1) { _ in
            for number in 0..<rounds {
                shared.push(ValueNode(number))
                while shared.consumed.load(ordering: .acquiring) == number {
                    if shared.gaveUp.load(ordering: .relaxed) { return }
                    letOthersRun()
                }
            }
        }
        #expect(consumed == rounds)
        shared.expectOneWakeUpASleep("one producer")
    }
}

/// A list, its parking, and a consumer that sleeps between.
private final class Sleeper: Sendable {
    let consumed = Atomic<Int>(0)
    /// The consumer was not woken.
    let gaveUp = Atomic<Bool>(false)
    private let list = TakeAllList<CompletionLink>()
    private let parking = Parking()
    private let wakeUp = WakeUp()
    private let sleeps = Atomic<Int>(0)
    private let claims = Atomic<Int>(0)

    func push(_ node: ListNode) {
        guard list.push(node), parking.claimWake() else { return }
        claims.wrappingAdd(1, ordering: .relaxed)
        wakeUp.post()
    }

    /// Takes on this thread what `producerCount` threads push; returns how many nodes it got.
    func consume(
        until total: Int, from producerCount: Int, _ produce: @escaping @Sendable (Int) -> Void
    ) throws -> Int {
        try onThreads(producerCount, produce, meanwhile: { take(until: total) })
        return consumed.load(ordering: .relaxed)
    }

    private func take(until total: Int) {
        while true {
            var taken = list.takeAll()
            while taken.popFirst() != nil { consumed.wrappingAdd(1, ordering: .releasing) }
            if consumed.load(ordering: .relaxed) >= total { return }
            parking.announce()
            if !list.isEmpty(), parking.retract() { continue }
            sleeps.wrappingAdd(1, ordering: .relaxed)
            if !wakeUp.wait() {
                gaveUp.store(true, ordering: .relaxed)
                let count = consumed.load(ordering: .relaxed)
                Issue.record("nobody woke the consumer after \(count) of \(total)")
                return
            }
            parking.resumed()
        }
    }

    func expectOneWakeUpASleep(_ comment: Comment) {
        let sleeps = sleeps.load(ordering: .relaxed)
        #expect(claims.load(ordering: .relaxed) == sleeps, comment)
        #expect(sleeps > 0, comment)
        #expect(wakeUp.pendingCount == 0, comment)
    }
}
