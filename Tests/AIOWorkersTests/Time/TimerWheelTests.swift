// The timer wheel against a plain list of deadlines, at the edges of its slots, and as the worker's loop
// drives it. Time is a number that the test moves. A failing random test prints the seed that replays it.

import AIOWorkers
import Testing

@Suite struct TimerWheelTests {
    static let tick: UInt64 = 1_000_000

    // MARK: The ordinary cases

    @Test func anEmptyWheelHasNothingDueAndNoWakeUp() {
        var wheel = TimerWheel<Int>(now: 5 * Self.tick)
        #expect(wheel.count == 0)
        #expect(wheel.nextWake() == nil)
        for now in [0, 5 * Self.tick, 1 << 40, .max, 0] { #expect(wheel.popDue(at: now) == nil) }
        #expect(wheel.nextWake() == nil)
        #expect(wheel.peakCount == 0)
    }

    @Test func aDeadlineIsRoundedUpToATickAndNeverMetEarly() {
        var wheel = TimerWheel<String>(now: 0)
        _ = wheel.insert("exact", at: 3 * Self.tick)
        _ = wheel.insert("just after", at: 3 * Self.tick + 1)
        #expect(wheel.popDue(at: 3 * Self.tick - 1) == nil)
        #expect(wheel.popDue(at: 3 * Self.tick) == "exact")
        #expect(wheel.popDue(at: 3 * Self.tick + 1) == nil)
        #expect(wheel.nextWake() == 4 * Self.tick)
        #expect(wheel.popDue(at: 4 * Self.tick - 1) == nil)
        #expect(wheel.popDue(at: 4 * Self.tick) == "just after")
        #expect(wheel.count == 0)
    }

    @Test func aDeadlineInThePastIsDueAtTheNextPop() {
        var wheel = TimerWheel<String>(now: 10 * Self.tick + 7)
        _ = wheel.insert("long ago", at: 0)
        _ = wheel.insert("now", at: 10 * Self.tick + 7)
        _ = wheel.insert("a nanosecond from now", at: 10 * Self.tick + 8)
        let wake = wheel.nextWake()
        #expect(wake.map { $0 <= 10 * Self.tick + 7 } == true)
        #expect(drain(&wheel, at: 10 * Self.tick + 7) == ["long ago", "now"])
        #expect(drain(&wheel, at: 11 * Self.tick) == ["a nanosecond from now"])
    }

    @Test func timersOfOneTickFireInTheOrderOfInsertionFromWhateverDistanceTheyWereInserted() {
        var wheel = TimerWheel<Int>(now: 0)
        let deadline = 64 * 64 * 64 * Self.tick
        for (number, ticksBefore) in ([64 * 64 * 64, 64 * 64, 65, 64, 63, 1] as [UInt64]).enumerated() {
            let first = wheel.popDue(at: deadline - ticksBefore * Self.tick)
            #expect(first == nil)
            _ = wheel.insert(2 * number, at: deadline)
            _ = wheel.insert(2 * number + 1, at: deadline - UInt64(number))
        }
        #expect(drain(&wheel, at: deadline) == Array(0..<12))
    }

    @Test func timeThatGoesBackwardIsIgnored() {
        var wheel = TimerWheel<String>(now: 100 * Self.tick)
        _ = wheel.insert("a", at: 110 * Self.tick)
        _ = wheel.insert("b", at: 120 * Self.tick)
        _ = wheel.insert("c", at: 130 * Self.tick)
        #expect(wheel.popDue(at: 3) == nil)
        #expect(wheel.popDue(at: 125 * Self.tick) == "a")
        // "b" was due then, and remains so.
        #expect(wheel.popDue(at: 90 * Self.tick) == "b")
        #expect(wheel.popDue(at: 90 * Self.tick) == nil)
        #expect(wheel.popDue(at: 130 * Self.tick) == "c")
    }

    @Test func aRoundCutShortLeavesTheRestDueAndLetsEarlierTimersIn() {
        var wheel = TimerWheel<String>(now: 0)
        for number in [1, 5, 9] as [UInt64] { _ = wheel.insert("\(number)", at: number * 1000 * Self.tick) }
        let now = 20_000 * Self.tick
        #expect(wheel.popDue(at: now) == "1")
        _ = wheel.insert("in between", at: 3000 * Self.tick)
        _ = wheel.insert("before", at: 0)
        _ = wheel.insert("later than now", at: now + 1)
        #expect(wheel.nextWake().map { $0 <= now } == true)
        #expect(drain(&wheel, at: now) == ["before", "in between", "5", "9"])
        #expect(wheel.nextWake() == now + Self.tick)
    }

    @Test func removingBetweenPopsKeepsATimerFromFiring() {
        var wheel = TimerWheel<Int>(now: 0)
        let handles = (0..<6).map { wheel.insert($0, at: 2 * Self.tick) }
        let first = wheel.popDue(at: 9 * Self.tick)
        #expect(first == 0)
        for (number, handle) in handles.enumerated() where number % 2 == 1 {
            let removed = wheel.remove(handle)
            #expect(removed == number)
        }
        #expect(drain(&wheel, at: 9 * Self.tick) == [2, 4])
        #expect(wheel.nextWake() == nil)
    }

    // MARK: Handles

    @Test func aStaleHandleIsHarmless() {
        var wheel = TimerWheel<String>(now: 0)
        let fired = wheel.insert("fired", at: Self.tick)
        let removed = wheel.insert("removed", at: Self.tick)
        #expect(wheel.remove(removed) == "removed")
        #expect(drain(&wheel, at: Self.tick) == ["fired"])
        for round in 0..<3 {
            for handle in [fired, removed] {
                #expect(wheel.remove(handle) == nil)
                #expect(wheel.reschedule(handle, at: 0) == false)
            }
            // From now on the entries are in use again, by timers that the old handles must not touch.
            let handle = wheel.insert("\(round)", at: 1 << 50)
            #expect(handle != fired && handle != removed)
        }
        #expect(wheel.count == 3)
        #expect(drain(&wheel, at: 1 << 51) == ["0", "1", "2"])
    }

    @Test func aHandleOfAnotherWheelDoesNotTrap() {
        var full = TimerWheel<Int>(now: 0)
        var empty = TimerWheel<Int>(now: 0)
        let handle = full.insert(1, at: 1)
        #expect(empty.remove(handle) == nil)
        #expect(empty.reschedule(handle, at: 5) == false)
    }

    @Test func aRescheduledTimerFiresOnceAtItsNewDeadline() {
        var wheel = TimerWheel<String>(now: 0)
        let a = wheel.insert("a", at: 10 * Self.tick)
        let b = wheel.insert("b", at: 1 << 45)
        _ = wheel.insert("c", at: 20 * Self.tick)
        #expect(wheel.reschedule(a, at: 20 * Self.tick) == true)
        #expect(wheel.reschedule(b, at: 5 * Self.tick) == true)
        #expect(wheel.count == 3)
        #expect(wheel.nextWake() == 5 * Self.tick)
        #expect(drain(&wheel, at: 19 * Self.tick) == ["b"])
        #expect(wheel.reschedule(a, at: 20 * Self.tick - 3) == true)
        #expect(drain(&wheel, at: 20 * Self.tick) == ["c", "a"])
        #expect(wheel.reschedule(a, at: 30 * Self.tick) == false)
    }

    // MARK: Edges

    /// Around each power of 64, from starting points around each power of 64.
    @Test func slotBoundariesAreMetExactly() {
        let edges = (0...4).map { UInt64(1) << (6 * $0) }.flatMap { [$0 - 1, $0, $0 + 1] }
        for start in edges {
            for distance in edges where distance > 0 {
                var wheel = TimerWheel<UInt64>(now: start * Self.tick)
                let deadline = (start + distance) * Self.tick
                _ = wheel.insert(distance, at: deadline)
                let early = wheel.popDue(at: deadline - 1)
                let wake = wheel.nextWake()
                let due = wheel.popDue(at: deadline)
                #expect(early == nil && wake == deadline && due == distance, "\(start) + \(distance) ticks")
            }
        }
    }

    @Test func allTimersAroundTheBoundariesFireInOrderWhicheverWayTimeMoves() {
        let edges = [64, 128, 64 * 64, 64 * 64 * 64] as [UInt64]
        let ticks: [UInt64] = [1] + edges.flatMap { Array(($0 - 2)...($0 + 2)) }
        for step in [1, 63, 64, 65, 4095, 4096, 4097, 1 << 18, 1 << 40] as [UInt64] {
            var wheel = TimerWheel<UInt64>(now: 0)
            for tick in ticks.reversed() { _ = wheel.insert(tick, at: tick * Self.tick) }
            var fired: [UInt64] = []
            var now: UInt64 = 0
            while wheel.count > 0 {
                now += step
                let round = drain(&wheel, at: now * Self.tick)
                #expect(round.allSatisfy { $0 <= now && $0 + step > now }, "steps of \(step)")
                fired += round
            }
            #expect(fired == ticks, "steps of \(step)")
        }
    }

    @Test(arguments: [1, 3, 1_000_000, 1 << 63, .max] as [UInt64])
    func theLastDeadlineFiresAtTheLastInstantAndNotBefore(tick: UInt64) {
        var wheel = TimerWheel<String>(now: 0, tickNanoseconds: tick)
        _ = wheel.insert("last", at: .max)
        #expect(wheel.popDue(at: .max - 1) == nil)
        #expect(wheel.nextWake() == .max)
        #expect(wheel.popDue(at: .max) == "last")
        _ = wheel.insert("too late", at: .max)
        #expect(wheel.popDue(at: .max) == "too late")
        #expect(wheel.nextWake() == nil)

        var atTheEnd = TimerWheel<String>(now: .max, tickNanoseconds: tick)
        _ = atTheEnd.insert("last", at: .max)
        #expect(atTheEnd.popDue(at: .max) == "last")
    }

    /// With ticks of a nanosecond this ends only if empty stretches are skipped.
    @Test func hugeJumpsCostNoMoreThanSmallOnes() {
        var wheel = TimerWheel<UInt64>(now: 0, tickNanoseconds: 1)
        #expect(wheel.levelCount == 11)
        let deadlines = (0..<64).map { UInt64(1) << $0 }
        for deadline in deadlines.reversed() { _ = wheel.insert(deadline, at: deadline) }
        for deadline in deadlines {
            #expect(drain(&wheel, at: deadline - 1) == [])
            #expect(drain(&wheel, at: deadline) == [deadline])
        }
        var inOneJump = TimerWheel<UInt64>(now: 0, tickNanoseconds: 1)
        for deadline in deadlines.reversed() { _ = inOneJump.insert(deadline, at: deadline) }
        #expect(drain(&inOneJump, at: .max) == deadlines)
    }

    // MARK: Storage

    @Test func payloadsAreReleasedOnceTheyAreOut() {
        final class Token {}
        var wheel = TimerWheel<Token>(now: 0)
        func inserted(at deadline: UInt64) -> (TimerWheel<Token>.Handle, () -> Bool) {
            let token = Token()
            return (wheel.insert(token, at: deadline), { [weak token] in token != nil })
        }
        let (removed, removedLives) = inserted(at: 5)
        let (_, poppedLives) = inserted(at: 6)
        let (_, abandonedLives) = inserted(at: 1 << 40)
        #expect(removedLives() && poppedLives() && abandonedLives())
        wheel.remove(removed)
        #expect(!removedLives() && poppedLives())
        #expect(wheel.popDue(at: Self.tick) != nil)
        #expect(!poppedLives() && abandonedLives())
        wheel = TimerWheel(now: 0)
        #expect(!abandonedLives())
    }

    @Test func entriesAreUsedAgain() {
        var wheel = TimerWheel<UInt64>(now: 0)
        for round in 0..<10_000 as Range<UInt64> {
            let now = round * 37 * Self.tick
            _ = drain(&wheel, at: now)
            let handle = wheel.insert(round, at: now + 100 * Self.tick)
            let other = wheel.insert(round, at: now + 1_000_000 * Self.tick)
            _ = wheel.reschedule(handle, at: now + 30 * Self.tick)
            wheel.remove(other)
        }
        #expect(wheel.count == 1)
        #expect(wheel.peakCount == 2)
    }

    // MARK: Random timers

    @Test(arguments: SplitMix64.seeds)
    func itAgreesWithAListOfDeadlines(seed: UInt64) throws {
        for tick in [1, 1_000, 1_000_000, 7_777_777] as [UInt64] {
            var trial = Trial(seed: seed, tickNanoseconds: tick)
            for step in 0..<4_000 {
                let context = Comment("seed \(seed), tick \(tick), step \(step)")
                switch trial.random.next(below: 10) {
                case 0...3: trial.insert(step)
                case 4, 5: try trial.remove(context)
                case 6, 7: try trial.reschedule(context)
                case 8: try trial.pop(at: trial.instant(), atMost: 2, context)
                default: try trial.pop(at: trial.instant(), context)
                }
                try trial.compare(context)
            }
            try trial.pop(at: .max, "seed \(seed), tick \(tick), the end")
            #expect(trial.wheel.count == 0)
        }
    }

    /// The worker's loop: it looks at the wheel at `nextWake` and at no other time.
    @Test(arguments: SplitMix64.seeds)
    func aLoopDrivenByNextWakeFiresAllInTimeInFewWakeUps(seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        for timerCount in [1, 2, 10, 1000] {
            let start = random.magnitude() / 2
            var wheel = TimerWheel<UInt64>(now: start)
            var firedCount = 0
            var wakeCount = 0
            var now = start
            for _ in 0..<timerCount {
                let deadline = start + random.magnitude() / 2
                _ = wheel.insert(deadline, at: deadline)
            }
            while let wake = wheel.nextWake() {
                try #require(wake > now || wakeCount == 0, "seed \(seed): the loop spins at \(now)")
                now = max(now, wake)
                wakeCount += 1
                while let deadline = wheel.popDue(at: now) {
                    try #require(deadline <= now, "seed \(seed): early")
                    try #require(now - deadline < Self.tick, "seed \(seed): late")
                    firedCount += 1
                }
            }
            #expect(firedCount == timerCount, "seed \(seed)")
            #expect(wakeCount <= timerCount * wheel.levelCount, "seed \(seed)")
            if timerCount == 1 { #expect(wakeCount == 1, "seed \(seed)") }
        }
    }

    @Test(arguments: SplitMix64.seeds)
    func aHundredThousandTimersFireInOrderOnceEach(seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        var wheel = TimerWheel<(id: Int, deadline: UInt64)>(now: 0)
        var handles: [TimerWheel<(id: Int, deadline: UInt64)>.Handle] = []
        for id in 0..<100_000 {
            let deadline = random.next(below: 3_600_000_000_000)
            handles.append(wheel.insert((id, deadline), at: deadline))
        }
        for id in stride(from: 0, to: handles.count, by: 3) { wheel.remove(handles[id]) }
        var fired = Set<Int>()
        var latest: (tick: UInt64, id: Int) = (0, -1)
        for now in stride(from: UInt64(0), through: 3_600_000_000_000, by: 7_000_000_000) + [.max] {
            while let timer = wheel.popDue(at: now) {
                let key = (tick: (timer.deadline + Self.tick - 1) / Self.tick, id: timer.id)
                guard timer.deadline <= now, latest < key, fired.insert(timer.id).inserted else {
                    Issue.record("seed \(seed): \(timer) at \(now) after \(latest)")
                    return
                }
                latest = key
            }
        }
        #expect(fired.count == 66_666 && fired.allSatisfy { $0 % 3 != 0 }, "seed \(seed)")
        #expect(wheel.count == 0 && wheel.peakCount == 100_000)
    }
}

/// Pops until nil.
private func drain<Payload>(_ wheel: inout TimerWheel<Payload>, at now: UInt64) -> [Payload] {
    var payloads: [Payload] = []
    while let payload = wheel.popDue(at: now) { payloads.append(payload) }
    return payloads
}

/// A wheel and a model of it, to which the same things happen.
private struct Trial: ~Copyable {
    var random: SplitMix64
    var wheel: TimerWheel<Int>
    private var model: Model
    /// Those of timers that are gone too: after a while, most are stale.
    private var handles: [(id: Int, handle: TimerWheel<Int>.Handle)] = []

    init(seed: UInt64, tickNanoseconds: UInt64) {
        random = SplitMix64(state: seed)
        let start = random.magnitude()
        wheel = TimerWheel(now: start, tickNanoseconds: tickNanoseconds)
        model = Model(now: start, tickNanoseconds: tickNanoseconds)
    }

    /// Mostly in the future and near, sometimes in the past.
    mutating func instant() -> UInt64 {
        let distance = random.magnitude()
        if random.next(below: 5) == 0 { return model.now - min(model.now, distance) }
        return model.now > .max - distance ? .max : model.now + distance
    }

    mutating func insert(_ id: Int) {
        let deadline = random.next(below: 50) == 0 ? .max : instant()
        handles.append((id, wheel.insert(id, at: deadline)))
        model.insert(id, at: deadline)
    }

    mutating func remove(_ context: Comment) throws {
        guard let (id, handle) = handles.suffix(100).randomElement(using: &random) else { return }
        let removed = wheel.remove(handle)
        try #require(removed == (model.remove(id) ? id : nil), context)
    }

    mutating func reschedule(_ context: Comment) throws {
        guard let (id, handle) = handles.suffix(100).randomElement(using: &random) else { return }
        let deadline = instant()
        let moved = wheel.reschedule(handle, at: deadline)
        try #require(moved == model.reschedule(id, at: deadline), context)
    }

    mutating func pop(at now: UInt64, atMost limit: Int = .max, _ context: Comment) throws {
        for _ in 0..<limit {
            let popped = wheel.popDue(at: now)
            try #require(popped == model.popDue(at: now), context)
            if popped == nil { return }
        }
    }

    func compare(_ context: Comment) throws {
        let wake = wheel.nextWake()
        let latestWake = model.latestWake
        try #require(wheel.count == model.timers.count, context)
        try #require((wake == nil) == (latestWake == nil), context)
        if let wake, let latestWake { try #require(wake <= latestWake, context) }
    }
}

/// What a wheel should do, done slowly: a list, searched from end to end, of when each timer is due.
private struct Model {
    struct Timer {
        let id: Int
        var tick: UInt64
        var order: Int

        var key: (UInt64, Int) { (tick, order) }
    }

    let tickNanoseconds: UInt64
    var now: UInt64
    var timers: [Timer] = []
    private var position: UInt64
    private var lastOrder = 0

    init(now: UInt64, tickNanoseconds: UInt64) {
        self.now = now
        self.tickNanoseconds = tickNanoseconds
        position = now / tickNanoseconds
    }

    private func ceiling(_ instant: UInt64) -> UInt64 {
        instant / tickNanoseconds + (instant % tickNanoseconds == 0 ? 0 : 1)
    }

    private var present: UInt64 { now == .max ? ceiling(now) : now / tickNanoseconds }

    private func dueTick(_ deadline: UInt64) -> UInt64 {
        max(position, deadline <= now ? min(present, ceiling(deadline)) : ceiling(deadline))
    }

    mutating func insert(_ id: Int, at deadline: UInt64) {
        lastOrder += 1
        timers.append(Timer(id: id, tick: dueTick(deadline), order: lastOrder))
    }

    mutating func remove(_ id: Int) -> Bool {
        guard let index = timers.firstIndex(where: { $0.id == id }) else { return false }
        timers.remove(at: index)
        return true
    }

    mutating func reschedule(_ id: Int, at deadline: UInt64) -> Bool {
        guard let index = timers.firstIndex(where: { $0.id == id }) else { return false }
        let tick = dueTick(deadline)
        guard tick != timers[index].tick else { return true }
        lastOrder += 1
        timers[index].tick = tick
        timers[index].order = lastOrder
        return true
    }

    mutating func popDue(at now: UInt64) -> Int? {
        self.now = max(self.now, now)
        let first = timers.indices.min { timers[$0].key < timers[$1].key }
        guard let first, timers[first].tick <= present else {
            position = present
            return nil
        }
        let timer = timers.remove(at: first)
        position = timer.tick
        return timer.id
    }

    /// The beginning of the earliest timer's tick.
    var latestWake: UInt64? {
        timers.map(\.tick).min().map {
            let (product, overflow) = $0.multipliedReportingOverflow(by: tickNanoseconds)
            return overflow ? .max : product
        }
    }
}
