// The engine under simulation: hundreds of schedules, each replayed by its seed; and broken programs, to see
// that the simulation finds what it is there to find.

import AIOKernel
@testable import AIOTesting
import AIOWorkers
import Testing

@Suite("Simulation") struct SimulationTests {
    // MARK: Determinism

    @Test("the same seed gives the same trace", arguments: [1, 2, 3, 77, 4_711] as [UInt64])
    func sameSeedSameTrace(seed: UInt64) {
        let scenario = EchoScenario(workerCount: 2, hasRudeClients: true)
        let first = scenario.run(seed: seed)
        let second = scenario.run(seed: seed)
        #expect(first.world.trace.lines.count > 100)
        #expect(first.world.trace.lines == second.world.trace.lines, "seed \(seed)")
    }

    @Test("different seeds give different traces")
    func differentSeedsDifferentTraces() {
        let digests = (1...50).map { EchoScenario().run(seed: $0).world.trace.digest }
        #expect(Set(digests).count == digests.count)
    }

    // MARK: What must hold under every schedule

    @Test("every byte comes back in order, every connection is closed once, and nothing is left open")
    func echoes() {
        var readPauses = 0, shortWrites = 0, drains = 0, acceptPauses = 0
        for seed in 1...300 as ClosedRange<UInt64> {
            let outcome = EchoScenario().run(seed: seed)
            guard outcome.isGood else {
                Issue.record("\(outcome.message)")
                return
            }
            readPauses += outcome.readPauses
            shortWrites += outcome.shortWrites
            drains += outcome.drains
            acceptPauses += outcome.acceptPauses
        }
        // The runs went where it hurts: windows were full, sockets too, queues above their marks, limits
        // reached.
        #expect(readPauses > 1_000)
        #expect(shortWrites > 1_000)
        #expect(drains > 200)
        #expect(acceptPauses > 100)
    }

    @Test(
        "echo holds over two workers, over Unix sockets, with a nearly full table, and with rude peers, too",
        arguments: [
            EchoScenario(workerCount: 2),
            EchoScenario(usesUnixSockets: true),
            EchoScenario(descriptorsMax: 16),
            EchoScenario(clientCount: 5, hasRudeClients: true),
        ])
    func echoesElsewhere(scenario: EchoScenario) {
        for seed in 1...50 as ClosedRange<UInt64> {
            let outcome = scenario.run(seed: seed)
            guard outcome.isGood else {
                Issue.record("\(scenario): \(outcome.message)")
                return
            }
        }
    }

    @Test("an engine that is ended at any moment closes each connection once and leaves nothing open")
    func endsAtAnyMoment() {
        for seed in 1...120 as ClosedRange<UInt64> {
            let outcome = EchoScenario(workerCount: 2, hasRudeClients: true, endsEarly: true).run(seed: seed)
            guard outcome.isGood else {
                Issue.record("\(outcome.message)")
                return
            }
        }
    }

    @Test("a silent peer is closed for idleness, in no time at all")
    func idleTimeoutIsVirtual() {
        let outcome = EchoScenario(manner: .lingers, idleTimeout: .seconds(30)).run(seed: 1)
        #expect(outcome.isGood, "\(outcome.message)")
        #expect(outcome.reasons == [.idle, .idle, .idle])
        let start = MonotonicTime(nanoseconds: 1_000_000_000_000)
        #expect(outcome.world.kernel.now >= start.advanced(by: .seconds(30)))
    }

    // MARK: Planted errors are found

    /// The first seed, of the first few hundred, on which a broken scenario stalls.
    private func firstStall(of scenario: EchoScenario) -> EchoOutcome? {
        for seed in 1...300 as ClosedRange<UInt64> {
            let outcome = scenario.run(seed: seed)
            if outcome.failure?.kind == .stalled {
                print("planted: \(Test.current?.name ?? ""): seed \(seed)")
                return outcome
            }
        }
        return nil
    }

    @Test("a consumer that sleeps without a second look is found, and the right one passes on that seed")
    func missingSecondLookIsFound() throws {
        let stall = try #require(firstStall(of: EchoScenario(fault: .skipsSecondLook)))
        #expect(stall.message.contains("consumer waits for epoll set"))
        #expect(EchoScenario().run(seed: stall.world.seed).isGood, "seed \(stall.world.seed)")
    }

    @Test("a wake-up signal that gets lost is found, and the run passes when it arrives", arguments: 1...6)
    func lostSignalIsFound(number: Int) throws {
        let stall = try #require(firstStall(of: EchoScenario(lostSignal: number)))
        #expect(EchoScenario().run(seed: stall.world.seed).isGood, "seed \(stall.world.seed)")
    }

    @Test("credit that is kept is found: the worker pauses, and nothing moves any more")
    func keptCreditIsFound() throws {
        let stall = try #require(firstStall(of: EchoScenario(fault: .keepsCredit)))
        #expect(EchoScenario().run(seed: stall.world.seed).isGood, "seed \(stall.world.seed)")
    }

    @Test("credit that is returned without a look at the pause is found")
    func unlookedPauseIsFound() throws {
        let stall = try #require(firstStall(of: EchoScenario(fault: .ignoresPause)))
        #expect(stall.readPauses > 0)
        #expect(EchoScenario().run(seed: stall.world.seed).isGood, "seed \(stall.world.seed)")
    }

    @Test("a failed run shows its seed, who waits for what, and the end of its trace")
    func messageOfAFailedRun() throws {
        let stall = try #require(firstStall(of: EchoScenario(fault: .keepsCredit)))
        #expect(stall.message.contains("seed \(stall.world.seed)"))
        #expect(stall.message.contains("aio-0 waits for epoll set"))
        #expect(stall.message.split(separator: "\n").count > 40)
    }
}
