// The rules of a connection's life: every state with every stimulus against ConnectionTable.swift, and what
// must hold on any path, on paths drawn from a seed.

import AIOKernel
import AIOWorkers
import Testing

@Suite struct ConnectionMachineTests {
    // MARK: Every state, every stimulus

    /// Breadth first from both beginnings. Whatever path leads to a state of the table, the machine gives the
    /// table's answers there and cannot be told from one that came another way; two different states can be
    /// told apart.
    @Test func walksEveryStateWithEveryStimulus() throws {
        let discardsMax = 3
        var fingerprints: [Spot: Fingerprint] = [:]
        var paths = [Path(isAccepted: true), Path(isAccepted: false)]
        while !paths.isEmpty {
            let path = paths.removeFirst()
            let spot = path.spot
            let fingerprint = Fingerprint(path, discardsMax: discardsMax)
            if let known = fingerprints[spot] {
                #expect(fingerprint == known, "\(path) should lead to \(spot)")
                continue
            }
            fingerprints[spot] = fingerprint
            #expect(fingerprint.answers == spot.phase.row.answers, "\(spot), by \(path)")
            for stimulus in Stimulus.allCases {
                let expected = spot.follow(stimulus, discardsMax: discardsMax)
                #expect(
                    fingerprint.actions[stimulus] == expected.action, "\(stimulus) in \(spot), by \(path)")
                paths.append(path.adding(stimulus, leadingTo: expected.next))
            }
        }
        // Seven phases before the end and the closed one. In a graceful close there is a reason, one of two,
        // and one of three after the peer's end, and what may be thrown away: from all to nothing.
        #expect(fingerprints.count == 8 + (2 + 3 + 2) * (discardsMax + 1))
        #expect(Set(fingerprints.keys.map(\.phase)) == Set(Phase.allCases))
        for (spot, fingerprint) in fingerprints {
            let alike = fingerprints.filter { $0.value == fingerprint }.map(\.key)
            #expect(alike == [spot])
        }
    }

    @Test(arguments: Phase.allCases)
    func theTableSaysSomethingOfEveryStimulus(phase: Phase) {
        let row = phase.row
        #expect(row.ignored.isDisjoint(with: row.cells.keys))
        #expect(row.ignored.union(row.cells.keys) == Set(Stimulus.allCases))
    }

    // MARK: Graceful ends

    @Test(arguments: [true, false], [true, false])
    func aGracefulCloseEndsOnceEverythingIsSentAndThePeerHasEnded(queueIsEmpty: Bool, peerIsFirst: Bool) {
        let discardsMax = 2
        for path in Path.toEverySpot(discardsMax: discardsMax) where path.spot.phase != .closed {
            var machine = path.replayed(discardsMax: discardsMax)
            var actions = [machine.closeRequested(.shutDown, queueIsEmpty: queueIsEmpty)]
            for stimulus in peerIsFirst ? [Stimulus.peerEnds, .flushed] : [.flushed, .peerEnds] {
                actions.append(machine.feed(stimulus, discardsMax: discardsMax))
            }
            let isClosed = machine.isClosed
            #expect(isClosed, "\(path)")
            let closes = actions.filter { if case .close(_, let reset) = $0 { !reset } else { false } }
            #expect(closes.count == 1, "\(path): \(actions)")
        }
    }

    @Test func aPeerThatEndedFirstIsTheReasonUnlessTheCloseHasOneOfItsOwn() {
        let reasons: [(CloseReason, CloseReason)] = [(.local, .peer), (.shutDown, .shutDown), (.idle, .idle)]
        for (reason, told) in reasons {
            for queueIsEmpty in [true, false] {
                var machine = ConnectionMachine(acceptedWithDiscardsMax: 0)
                #expect(machine.peerEnded() == .deliverEnd)
                let first = machine.closeRequested(reason, queueIsEmpty: queueIsEmpty)
                let last = queueIsEmpty ? first : machine.flushed()
                #expect(queueIsEmpty || first == .flush)
                #expect(last == .close(told, reset: false))
            }
        }
    }

    @Test func aPeerThatEndsAfterTheCloseIsNotTheReason() {
        var machine = ConnectionMachine(acceptedWithDiscardsMax: 0)
        #expect(machine.closeRequested(.local, queueIsEmpty: false) == .flush)
        #expect(machine.peerEnded() == .none)
        #expect(machine.flushed() == .close(.local, reset: false))
    }

    @Test func aFinishWhileConnectingIsCarriedOutAfterWhatIsQueued() {
        var machine = ConnectionMachine(connectingWithDiscardsMax: 0)
        #expect(machine.finishRequested(queueIsEmpty: true) == .none)
        let takesOutput = machine.takesOutput
        #expect(!takesOutput)
        #expect(machine.connected() == .open)
        let canWrite = machine.canWrite
        #expect(canWrite)
        #expect(machine.flushed() == .finishWriting)
        #expect(machine.bytesArrived(1) == .deliver)
        #expect(machine.peerEnded() == .close(.local, reset: false))
    }

    // MARK: What is thrown away

    @Test(arguments: SplitMix64.seeds)
    func theByteAfterTheLastThatMayBeThrownAwayResets(seed: UInt64) {
        var random = SplitMix64(state: seed)
        for discardsMax in [0, 1, 2, 1_000, 4 << 20] {
            var machine = ConnectionMachine(acceptedWithDiscardsMax: discardsMax)
            // What comes before the close is not counted.
            #expect(machine.bytesArrived(10 << 20) == .deliver)
            #expect(machine.closeRequested(.local, queueIsEmpty: false) == .flush)
            var left = discardsMax
            let leftAtFlush = discardsMax == 0 ? 0 : Int(random.next(below: UInt64(discardsMax)))
            var isFlushed = false
            while left > 0 {
                if !isFlushed, left <= leftAtFlush {
                    #expect(machine.flushed() == .linger)
                    isFlushed = true
                }
                let byteCount = 1 + Int(random.next(below: UInt64(left)))
                left -= byteCount
                let action = machine.bytesArrived(byteCount)
                #expect(action == .discard, "seed \(seed), \(left) of \(discardsMax) left")
            }
            #expect(machine.bytesArrived(0) == .discard)
            let last = machine.bytesArrived(1)
            // Cut before all that was queued was sent: the reason says so.
            let reason = isFlushed ? CloseReason.local : .failed(ConnectionMachine.unsent)
            #expect(last == .close(reason, reset: true), "seed \(seed), after \(discardsMax)")
        }
    }

    @Test func anyNumberOfBytesAtOnceIsCounted() {
        var machine = ConnectionMachine(acceptedWithDiscardsMax: .max)
        #expect(machine.closeRequested(.local, queueIsEmpty: true) == .linger)
        #expect(machine.bytesArrived(.max) == .discard)
        #expect(machine.bytesArrived(.max) == .close(.local, reset: true))
    }

    // MARK: Any path

    @Test(arguments: SplitMix64.seeds)
    func whateverHappensTheProgramIsToldASensibleStory(seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        for walk in 0..<1_000 {
            let isAccepted = random.next(below: 2) == 0
            let discardsMax = Int(random.next(below: 6))
            var machine =
                isAccepted
                ? ConnectionMachine(acceptedWithDiscardsMax: discardsMax)
                : ConnectionMachine(connectingWithDiscardsMax: discardsMax)
            var story = Story(isAccepted: isAccepted)
            for _ in 0..<40 {
                let stimulus = random.stimulus()
                let before = Answers(machine)
                let action = machine.feed(stimulus, discardsMax: discardsMax)
                story.add(stimulus, before, action, after: Answers(machine))
                try #require(
                    story.objections.isEmpty,
                    "seed \(seed), walk \(walk): \(story.objections) in \(story.events)")
            }
        }
    }
}

extension SplitMix64 {
    /// What ends a connection at once is drawn more rarely, for the others to have their time.
    fileprivate mutating func stimulus() -> Stimulus {
        let abrupt: Set<Stimulus> = [
            .connectFails, .tooManyBytesArrive, .resets, .breaks, .abort, .connectDeadline, .idleDeadline,
            .frameDeadline, .writeDeadline, .lingerDeadline,
        ]
        while true {
            let stimulus = Stimulus.allCases.randomElement(using: &self)!
            if !abrupt.contains(stimulus) || next(below: 8) == 0 { return stimulus }
        }
    }
}

// MARK: - Paths

/// Stimuli from a beginning on, and where they should lead. A machine cannot be copied: it is made again by
/// what happened to it.
private struct Path: CustomStringConvertible {
    let isAccepted: Bool
    var stimuli: [Stimulus] = []
    var spot: Spot

    init(isAccepted: Bool) {
        self.isAccepted = isAccepted
        spot = Spot(phase: isAccepted ? .open : .connecting)
    }

    var description: String { "\(isAccepted ? "accepted" : "connecting") \(stimuli)" }

    func adding(_ stimulus: Stimulus, leadingTo spot: Spot) -> Path {
        var longer = self
        longer.stimuli.append(stimulus)
        longer.spot = spot
        return longer
    }

    func replayed(discardsMax: Int) -> ConnectionMachine {
        var machine =
            isAccepted
            ? ConnectionMachine(acceptedWithDiscardsMax: discardsMax)
            : ConnectionMachine(connectingWithDiscardsMax: discardsMax)
        for stimulus in stimuli { _ = machine.feed(stimulus, discardsMax: discardsMax) }
        return machine
    }

    /// A shortest path to each state of the table.
    static func toEverySpot(discardsMax: Int) -> [Path] {
        var seen = Set<Spot>()
        var paths = [Path(isAccepted: true), Path(isAccepted: false)]
        var next = 0
        while next < paths.count {
            let path = paths[next]
            guard seen.insert(path.spot).inserted else {
                paths.remove(at: next)
                continue
            }
            next += 1
            paths += Stimulus.allCases.map {
                path.adding($0, leadingTo: path.spot.follow($0, discardsMax: discardsMax).next)
            }
        }
        return paths
    }
}

/// All that can be learned of a machine's state from outside: its answers, and what each stimulus would
/// bring.
private struct Fingerprint: Equatable {
    let answers: Answers
    private(set) var actions: [Stimulus: ConnectionMachine.Action] = [:]
    private var answersAfter: [Stimulus: Answers] = [:]
    /// The most bytes that would not end the connection, up to one more than the allowance.
    private var bytesBorne = 0
    /// What it would be told as, if what is queued were sent and the peer then ended.
    private let endInOrder: [ConnectionMachine.Action]

    init(_ path: Path, discardsMax: Int) {
        answers = Answers(path.replayed(discardsMax: discardsMax))
        for stimulus in Stimulus.allCases {
            var machine = path.replayed(discardsMax: discardsMax)
            actions[stimulus] = machine.feed(stimulus, discardsMax: discardsMax)
            answersAfter[stimulus] = Answers(machine)
        }
        var ending = path.replayed(discardsMax: discardsMax)
        endInOrder = [ending.flushed(), ending.peerEnded()]
        for byteCount in 1...(discardsMax + 1) {
            var machine = path.replayed(discardsMax: discardsMax)
            if case .close = machine.bytesArrived(byteCount) { break }
            bytesBorne = byteCount
        }
    }
}

// MARK: - What any path must keep to

/// What the program and the socket went through, and what is wrong with it.
private struct Story {
    private(set) var objections: [String] = []
    private(set) var events: [(Stimulus, ConnectionMachine.Action)] = []

    private let isAccepted: Bool
    private var wasOpened: Bool
    private var endsDelivered = 0
    private var writingsFinished = 0
    private var flushes = 0
    private var lingers = 0
    private var closes = 0
    /// What the graceful close under way was asked for with.
    private var askedFor: CloseReason?

    init(isAccepted: Bool) {
        self.isAccepted = isAccepted
        wasOpened = isAccepted
    }

    mutating func add(
        _ stimulus: Stimulus, _ before: Answers, _ action: ConnectionMachine.Action, after: Answers
    ) {
        events.append((stimulus, action))
        if before.contains(.isClosed) {
            demand(action == .none || action == .discard, "something happens after the close")
            demand(after == [.isClosed], "the close does not last")
        }
        switch action {
        case .none, .discard:
            break
        case .open:
            demand(!wasOpened, "opened twice")
            wasOpened = true
        case .deliver:
            demand(wasOpened && endsDelivered == 0 && !isClosing, "bytes are delivered when none may be")
        case .deliverEnd:
            endsDelivered += 1
            demand(wasOpened && endsDelivered == 1 && !isClosing, "an end is delivered when none may be")
        case .finishWriting:
            writingsFinished += 1
            demand(writingsFinished == 1 && !isClosing, "the write side is shut again")
        case .flush:
            flushes += 1
            demand(flushes == 1 && lingers + closes == 0, "flushing begins again")
            askedFor = stimulus == .closeBehindQueue ? .local : .shutDown
        case .linger:
            lingers += 1
            demand(lingers == 1 && closes == 0, "lingering begins again")
            demand(endsDelivered == 0, "lingering for a peer that has ended")
            if flushes == 1 {
                demand(stimulus == .flushed, "lingering begins before everything is in the kernel")
            } else {
                demand(stimulus == .close || stimulus == .shutDown, "lingering begins unasked")
                askedFor = stimulus == .close ? .local : .shutDown
            }
        case .close(let reason, let reset):
            closes += 1
            demand(closes == 1, "closed twice")
            demand(after == [.isClosed], "the close does not last")
            checkReset(reset, stimulus)
            checkReason(reason, stimulus, before)
        }
        checkAnswers(after)
    }

    private var isClosing: Bool { flushes + lingers + closes > 0 }

    private mutating func demand(_ isSo: Bool, _ objection: String) {
        if !isSo { objections.append(objection) }
    }

    /// A reset is for those who were asked to end and did not, and for those who are cut.
    private mutating func checkReset(_ reset: Bool, _ stimulus: Stimulus) {
        let mayReset: Set<Stimulus> = [
            .abort, .writeDeadline, .lingerDeadline, .bytesArrive, .tooManyBytesArrive,
        ]
        demand(reset == (mayReset.contains(stimulus) && wasOpened), "reset: \(reset) by \(stimulus)")
    }

    private mutating func checkReason(_ reason: CloseReason, _ stimulus: Stimulus, _ before: Answers) {
        switch reason {
        case .local:
            demand(endsDelivered == 0, "the peer ended first")
            let hasFinished = writingsFinished == 1 && stimulus == .peerEnds
            let isAsked = stimulus == .close || stimulus == .closeBehindQueue || askedFor == .local
            demand(hasFinished || isAsked, "nothing was ended here")
        case .peer:
            demand(endsDelivered == 1, "the peer did not end first")
            demand(askedFor != .shutDown, "the shutdown is what ended it")
        case .shutDown:
            let isAsked = stimulus == .shutDown || stimulus == .shutDownBehindQueue || askedFor == .shutDown
            demand(isAsked, "nobody shut down")
        case .aborted:
            demand(stimulus == .abort, "nobody aborted")
        case .reset:
            demand(stimulus == .resets && wasOpened, "nobody reset")
        case .failed:
            let gaveUp: Set<Stimulus> = [.lingerDeadline, .bytesArrive, .tooManyBytesArrive]
            let isUnsent = reason == .failed(ConnectionMachine.unsent) && gaveUp.contains(stimulus)
            demand((stimulus == .breaks || isUnsent) && wasOpened, "nothing broke")
        case .idle:
            demand(stimulus == .idleDeadline && wasOpened && !before.contains(.isEnding), "it was not idle")
        case .frameTimedOut:
            demand(stimulus == .frameDeadline && before.contains(.isOpen), "no frame was late")
        case .rejected:
            demand(false, "nobody said so")
        case .stalled:
            demand(stimulus == .writeDeadline && before.contains(.isOpen), "nothing was stalled")
        case .connectFailed:
            demand(!isAccepted && !wasOpened && before.contains(.isConnecting), "it was connected")
        case .slowConsumer:
            demand(false, "nobody said so")
        @unknown default:
            demand(false, "an unknown reason")
        }
    }

    private mutating func checkAnswers(_ answers: Answers) {
        let phases: [Answers] = [.isConnecting, .isOpen, .isEnding, .isClosed]
        demand(phases.filter { answers.contains($0) }.count == 1, "in several phases, or in none")
        demand(answers.contains(.isClosed) == (closes == 1), "closed without saying so")
        demand(answers.contains(.isEnding) == (isClosing && closes == 0), "ending without saying so")
        if answers.contains(.deliversInput) {
            demand(answers.contains(.wantsInput), "delivers what it does not want")
        }
        if lingers == 1 { demand(!answers.contains(.canWrite), "writes after the write side is shut") }
        if answers.contains(.takesOutput) {
            demand(writingsFinished == 0 && !isClosing, "takes what it cannot send")
        }
    }
}
