// The rules of dialling: every state with every stimulus, the order of the families, delays and rests, and
// what every race must come to, whatever happens to its attempts.

import AIOKernel
import Testing

@testable import AIOWorkers

@Suite struct DialRaceTests {
    private typealias Action = DialRace.Action

    private static func v4(_ number: UInt8) -> Endpoint { .ip(.v4(192, 0, 2, number), port: 80) }
    private static func v6(_ number: UInt8) -> Endpoint {
        .ip(IPAddress(bytes: [0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 0, count: 11) + [number])!, port: 80)
    }
    private static func refused(_ attempt: Int) -> AIOError {
        AIOError(.connectionRefused, detail: "attempt \(attempt)")
    }

    private static let addresses = [v4(0), v4(1), v4(2)]

    private enum Stimulus: CaseIterable {
        case resolved, failed0, failed1, full0, full1, delayPassed, connected0, connected1
    }

    private static func apply(_ stimulus: Stimulus, to race: inout DialRace) -> Action {
        switch stimulus {
        case .resolved: race.resolved(addresses)
        case .failed0: race.attemptFailed(0, refused(0))
        case .failed1: race.attemptFailed(1, refused(1))
        case .full0: race.attemptFoundQueueFull(0)
        case .full1: race.attemptFoundQueueFull(1)
        case .delayPassed: race.delayPassed()
        case .connected0: race.connected(0)
        case .connected1: race.connected(1)
        }
    }

    /// How a state is reached, and what each stimulus brings about in it; what is not named is `.wait`.
    private static let table: [(path: [Stimulus], actions: [Stimulus: Action])] = [
        // Resolving.
        ([], [.resolved: .start(attempt: 0, v4(0))]),
        // One attempt under way, two addresses left.
        (
            [.resolved],
            [
                .failed0: .start(attempt: 1, v4(1)), .full0: .rest(.milliseconds(1)),
                .delayPassed: .start(attempt: 1, v4(1)), .connected0: .won(attempt: 0),
            ]
        ),
        // Two under way, one left: the older one's failure does not hurry the third.
        (
            [.resolved, .delayPassed],
            [
                .failed1: .start(attempt: 2, v4(2)), .full0: .rest(.milliseconds(1)),
                .full1: .rest(.milliseconds(1)), .delayPassed: .start(attempt: 2, v4(2)),
                .connected0: .won(attempt: 0), .connected1: .won(attempt: 1),
            ]
        ),
        // The older has failed, the younger is under way.
        (
            [.resolved, .delayPassed, .failed0],
            [
                .failed1: .start(attempt: 2, v4(2)), .full1: .rest(.milliseconds(1)),
                .delayPassed: .start(attempt: 2, v4(2)), .connected1: .won(attempt: 1),
            ]
        ),
        // All begun.
        (
            [.resolved, .delayPassed, .delayPassed],
            [
                .full0: .rest(.milliseconds(1)), .full1: .rest(.milliseconds(1)),
                .connected0: .won(attempt: 0), .connected1: .won(attempt: 1),
            ]
        ),
        // One at rest.
        ([.resolved, .full0], [.delayPassed: .start(attempt: 0, v4(0))]),
        // One at rest, who is waited for even if the other fails.
        (
            [.resolved, .delayPassed, .full0],
            [
                .failed1: .start(attempt: 2, v4(2)), .full1: .rest(.milliseconds(2)),
                .delayPassed: .start(attempt: 0, v4(0)), .connected1: .won(attempt: 1),
            ]
        ),
        // Begun once more.
        (
            [.resolved, .full0, .delayPassed],
            [
                .failed0: .start(attempt: 1, v4(1)), .full0: .rest(.milliseconds(2)),
                .delayPassed: .start(attempt: 1, v4(1)), .connected0: .won(attempt: 0),
            ]
        ),
        // Over.
        ([.resolved, .connected0], [:]),
        ([.resolved, .delayPassed, .connected1], [:]),
    ]

    @Test func `every state answers every stimulus as the table says`() {
        for (path, actions) in Self.table {
            for stimulus in Stimulus.allCases {
                var race = DialRace()
                for step in path { _ = Self.apply(step, to: &race) }
                let action = Self.apply(stimulus, to: &race)
                #expect(action == actions[stimulus] ?? .wait, "\(path), then \(stimulus)")
            }
        }
    }

    // MARK: Order

    /// The order in which a race that hears of nothing begins its attempts.
    private func order(of addresses: [Endpoint]) -> [Endpoint] {
        var race = DialRace()
        var order: [Endpoint] = []
        var action = race.resolved(addresses)
        while case .start(let attempt, let address) = action {
            #expect(attempt == order.count)
            order.append(address)
            action = race.delayPassed()
        }
        #expect(action == .wait)
        return order
    }

    @Test func `families take turns, the resolver's first address first`() {
        let (a, b, c) = (Self.v6(1), Self.v6(2), Self.v6(3))
        let (p, q) = (Self.v4(1), Self.v4(2))
        #expect(order(of: [a, b, c, p, q]) == [a, p, b, q, c])
        #expect(order(of: [p, q, a, b, c]) == [p, a, q, b, c])
        #expect(order(of: [p, a, b, q]) == [p, a, q, b])
        #expect(order(of: [a, b, c]) == [a, b, c])
        #expect(order(of: [p]) == [p])
        #expect(order(of: [.unix("/run/x.sock")]) == [.unix("/run/x.sock")])
    }

    // MARK: Failing

    @Test func `a host without addresses is not found`() {
        var race = DialRace()
        #expect(race.resolved([]) == .failed(AIOError(.hostNotFound, call: "connect")))
    }

    @Test func `addresses that fail one after the other are tried without delay, and the last error counts`()
    {
        var race = DialRace()
        #expect(race.resolved(Self.addresses) == .start(attempt: 0, Self.v4(0)))
        #expect(race.attemptFailed(0, Self.refused(0)) == .start(attempt: 1, Self.v4(1)))
        #expect(race.attemptFailed(1, Self.refused(1)) == .start(attempt: 2, Self.v4(2)))
        #expect(race.attemptFailed(2, Self.refused(2)) == .failed(Self.refused(2)))
    }

    @Test func `a race is lost with its last attempt, whichever that is`() {
        var race = DialRace()
        _ = race.resolved(Self.addresses)
        _ = race.delayPassed()
        _ = race.delayPassed()
        #expect(race.attemptFailed(2, Self.refused(2)) == .wait)
        #expect(race.attemptFailed(0, Self.refused(0)) == .wait)
        #expect(race.attemptFailed(0, Self.refused(0)) == .wait)
        #expect(race.attemptFailed(1, Self.refused(1)) == .failed(Self.refused(1)))
    }

    // MARK: Time

    @Test func `rests double from 1 ms to 100 ms and stay there`() {
        var race = DialRace()
        _ = race.resolved([.unix("/run/x.sock")])
        var rests: [Duration] = []
        for _ in 0..<10 {
            guard case .rest(let rest) = race.attemptFoundQueueFull(0) else { break }
            rests.append(rest)
            #expect(race.delayPassed() == .start(attempt: 0, .unix("/run/x.sock")))
        }
        #expect(rests == [1, 2, 4, 8, 16, 32, 64, 100, 100, 100].map { .milliseconds($0) })
    }

    @Test func `a head start is the limit, or a share of the time left, and 10 ms at least`() {
        var race = DialRace()
        func delay(_ limit: Int, _ left: Int) -> Duration? {
            race.delayBeforeNext(limit: .milliseconds(limit), timeLeft: .milliseconds(left))
        }
        #expect(delay(250, 10_000) == nil)
        _ = race.resolved(Self.addresses)
        #expect(delay(250, 10_000) == .milliseconds(250))
        #expect(delay(250, 300) == .milliseconds(100))
        #expect(delay(250, 15) == .milliseconds(10))
        _ = race.delayPassed()
        #expect(delay(250, 300) == .milliseconds(150))
        _ = race.delayPassed()
        #expect(delay(250, 300) == nil)
    }

    // MARK: Any race

    @Test(arguments: SplitMix64.seeds)
    func `every race is won by an attempt under way or fails when none is`(_ seed: UInt64) {
        var random = SplitMix64(state: seed)
        for _ in 0..<2_000 {
            let count = Int(random.next(below: 5)) + 1
            let addresses = (0..<UInt8(count)).map { number in
                random.next(below: 2) == 0 ? Self.v4(number) : Self.v6(number)
            }
            let outcome = raceToTheEnd(addresses, &random)
            #expect(outcome.problem == nil, "seed \(seed)")
            if outcome.problem != nil { return }
        }
    }

    /// Drives one race as Dial.swift would, with chance deciding what becomes of the attempts.
    private func raceToTheEnd(
        _ addresses: [Endpoint], _ random: inout SplitMix64
    ) -> (problem: String?, begun: Int) {
        var race = DialRace()
        var underWay: Set<Int> = []
        var begun: Set<Endpoint> = []
        var action = race.resolved(addresses)
        for _ in 0..<1_000 {
            switch action {
            case .start(let attempt, let address):
                guard underWay.insert(attempt).inserted else { return ("begun twice", 0) }
                begun.insert(address)
            case .won(let attempt):
                return (underWay.contains(attempt) ? nil : "an attempt won that was over", begun.count)
            case .failed:
                let isLost = underWay.isEmpty && begun == Set(addresses)
                return (isLost ? nil : "given up too early", begun.count)
            case .wait, .rest:
                break
            }
            let attempt = underWay.randomElement(using: &random)
            switch random.next(below: 9) {
            case 0: action = attempt.map { race.connected($0) } ?? .wait
            case 1, 2, 3:
                if let attempt { underWay.remove(attempt) }
                action = attempt.map { race.attemptFailed($0, Self.refused($0)) } ?? .wait
            case 4:
                if let attempt { underWay.remove(attempt) }
                action = attempt.map { race.attemptFoundQueueFull($0) } ?? .wait
            default: action = race.delayPassed()
            }
        }
        return ("nobody can go on", begun.count)
    }
}
