// Plays one side of a recording through a scripted peer, and compares what comes with the other side. One connection; made
// and used by withReplay and withReplayedServer.

import AIOBytes
import AIOKernel
import AIORecording
import Testing

/// One replay. Of the simulation's thread.
final class ReplayPlayer {
    private let replay: Replay
    /// Who is played, and who is under test.
    private let side: Recording.Side
    private let otherSide: Recording.Side
    private let peer: MockPeer
    private let began: MonotonicTime
    /// All that the other side sent.
    private let expected: [UInt8]
    /// How it ended, if it did: then there is nothing beyond `expected`.
    private let expectedEnding: ReplayReport.Ending
    /// All that has come, and how much of it has been compared.
    private var received: [UInt8] = []
    private var comparedCount = 0
    private var differs = false
    private var hasReset = false

    /// What has to have come before the replay goes on.
    private struct Due {
        var byteCount = 0
        var ending = ReplayReport.Ending.open
        /// When it came in the recording, and when the side that is played had last done something.
        var microseconds: UInt64 = 0
        var since: UInt64 = 0

        mutating func add(_ event: Recording.Event) {
            switch event.action {
            case .bytes(let bytes): byteCount += bytes.count
            case .end: ending = .end
            case .reset: ending = .reset
            }
            microseconds = event.microseconds
        }
    }

    init(_ replay: Replay, playing side: Recording.Side, by peer: MockPeer) {
        self.replay = replay
        self.side = side
        self.peer = peer
        let otherSide: Recording.Side = side == .client ? .server : .client
        self.otherSide = otherSide
        began = peer.simulation.time.now
        expected = [UInt8](replay.recording.bytes(from: otherSide))
        var all = Due()
        for event in replay.recording.events where event.side == otherSide { all.add(event) }
        expectedEnding = all.ending
    }

    func play() async throws -> ReplayReport {
        var due = Due()
        for event in replay.recording.events {
            guard event.side == side else {
                due.add(event)
                continue
            }
            try await wait(for: due)
            due.since = event.microseconds
            if replay.timing == .asRecorded { try await wait(until: event) }
            try await perform(event.action)
        }
        // After its own reset nothing can come any more.
        if !hasReset {
            try await wait(for: due, isLast: true)
            // What was sent last is still to be taken.
            await peer.settle()
        }
        look()
        try judge()
        return ReplayReport(
            received: Bytes(received), ending: ending,
            duration: .nanoseconds(peer.simulation.time.now.nanoseconds(since: began)))
    }

    private func perform(_ action: Recording.Action) async throws {
        switch action {
        case .bytes(let bytes): try await peer.send(bytes)
        case .end: peer.halfClose()
        case .reset:
            // It takes with it what has not arrived; in the recording that had.
            await peer.settle()
            look()
            peer.reset()
            hasReset = true
        }
    }

    // MARK: What comes

    private var isExact: Bool { if case .exactly = replay.expectation { true } else { false } }

    private var ending: ReplayReport.Ending {
        if hasReset { return .open }
        if peer.socket.sawEnd { return .end }
        return peer.socket.error == nil ? .open : .reset
    }

    /// Takes what has come, and compares it.
    private func look() {
        received += peer.socket.take(.max)
        guard isExact else { return }
        let comparable = min(received.count, expected.count)
        while comparedCount < comparable, received[comparedCount] == expected[comparedCount] {
            comparedCount += 1
        }
        differs = comparedCount < comparable || (received.count > expected.count && expectedEnding != .open)
    }

    private func hasCome(_ due: Due, isLast: Bool) -> Bool {
        // What was sent just before a reset may be lost.
        if due.ending == .reset { return ending == .reset && (isLast || received.count >= due.byteCount) }
        // All that comes is to be reported, and the end is where it ends.
        if !isExact, isLast, due.ending == .end { return ending != .open }
        return received.count >= due.byteCount && (due.ending == .open || ending == due.ending)
    }

    /// Until what is due has come, or can no longer, or differs.
    private func wait(for due: Due, isLast: Bool = false) async throws {
        let allowance = replay.patience + .microseconds(due.microseconds - min(due.since, due.microseconds))
        let simulation = peer.simulation
        let outcome = await simulation.waits.wait(
            for: { "\(due.byteCount) bytes, as in the recording; so far \(self.received.count)" },
            until: simulation.time.now.advanced(by: allowance)
        ) { [self] in
            look()
            return differs || hasCome(due, isLast: isLast) || peer.socket.isOver
        }
        if case .cancelled = outcome { throw CancellationError() }
        if case .failed(let failure) = outcome, !isExact { throw SimulationError(failure.description) }
        if !differs, hasCome(due, isLast: isLast) { return }
        if isExact { try fail(due, peer.ending(outcome, allowance)) }
    }

    /// Until it is time for what is played next.
    private func wait(until event: Recording.Event) async throws {
        let outcome = await peer.simulation.waits.wait(
            for: { "\(event.microseconds) µs, as in the recording" }, until: began.advanced(by: event.time)
        ) { [self] in
            look()
            return differs
        }
        if case .cancelled = outcome { throw CancellationError() }
        if case .failed(let failure) = outcome { throw SimulationError(failure.description) }
    }

    // MARK: Mismatches

    /// At the end, what was not looked at on the way.
    private func judge() throws {
        switch replay.expectation {
        case .anything: return
        case .exactly:
            if differs { try fail(Due(), "") }
        case .matching(let isMatch):
            guard isMatch(Bytes(expected), Bytes(received)) else {
                let problem = "what came does not match what the \(otherSide) sent in the recording\n"
                try peer.fail(
                    problem + difference(expected: expected, got: received), at: replay.sourceLocation)
            }
            if !hasReset, expectedEnding != .open, ending != expectedEnding {
                try failAtEnd(peer.ending(.ready, .zero))
            }
        }
    }

    /// It came to something else than in the recording: other bytes, fewer, more, or another end.
    private func fail(_ due: Due, _ why: String) throws -> Never {
        if !differs, received.count >= due.byteCount { try failAtEnd(why) }
        let awaited = differs ? expected : Array(expected.prefix(due.byteCount))
        var text = place(of: comparedCount) + "\n" + difference(expected: awaited, got: received)
        if !why.isEmpty { text += "\n" + why }
        try peer.fail(text, at: replay.sourceLocation)
    }

    private func failAtEnd(_ why: String) throws -> Never {
        let what = expectedEnding == .reset ? "a reset" : "the end"
        try peer.fail(
            "expected \(what) after \(received.count) bytes, as in the recording\n\(why)",
            at: replay.sourceLocation)
    }

    /// Where in the recording this byte was sent.
    private func place(of offset: Int) -> String {
        var left = offset
        for (index, event) in replay.recording.events.enumerated() where event.side == otherSide {
            guard case .bytes(let bytes) = event.action else { continue }
            if left < bytes.count {
                return "in event \(index + 1) of the recording, at \(event.microseconds) µs:"
            }
            left -= bytes.count
        }
        return "after all that the \(otherSide) sent in the recording:"
    }
}
