// Received bytes of a connection that has a framing: cut on the worker as they arrive, judged, answered without the program
// where the filter has an answer, and taken frame by frame. The other way of ConnectionCore+Input and +Reading.

package import AIOBytes
package import AIOFraming
package import AIOKernel
import Synchronization

// Theory of operation
//
// Where a connection without framing has an inbox of bytes, this one has a `FrameBuffer`, under the same lock, with the same
// accounts: what is in it is held, counts against the window, and is given back by as many bytes as each frame took up.
// A reader waits for a whole frame; bytes that do not complete one wake nobody.
//
// *An answer keeps its place.* What the filter answers is not sent when it is judged, but when all frames before it have been
// answered, and that is when the reader asks for the next frame: it says by this that it is done with the one
// before. If the reader is waiting already, that is now. So answers are sent in `settle`, by the reader when it
// asks, and by the worker when something has arrived and somebody waits; and not while more than the high-water mark is queued, as a write
// would wait then, too: then by whoever makes room.
//
// *The window* of such a connection is at least its largest frame, or the frame could never be whole. It is full only
// if a whole frame is there, but for one case: most of a large frame is there, and reading has been paused before the last
// of the small ones was taken. A reader that begins to wait for a frame of which that much is there asks for the
// rest by its largest size, as `read(exactly:)` does (docs/models/wanted.pml).
//
// *Code of the program's* runs under the lock here, and nowhere else: framers and patterns of its own. They get a span and give a
// number, and must not use the connection; invariant 6 says so.

extension ConnectionCore {
    /// What has to be done once the lock is free.
    struct Settlement {
        /// Bytes that are held no longer.
        var credit = 0
        /// There is something for the worker.
        var hasRequests = false
    }

    // MARK: On the worker

    /// The caller holds the lock, which this gives up.
    func deliverAndUnlock(_ bytes: Bytes, to framing: ConnectionFraming, on worker: Worker) {
        var settlement = Settlement(credit: cut(bytes, framing, on: worker))
        if !io.isUnsurfaced { framing.noteUnfinished(appended: bytes.count, now: worker.now) }
        let isUnfinished = framing.unfinishedSince != nil
        if io.isUnsurfaced {
            surfaceIfDueAndUnlock(framing, settlement, on: worker)
        } else {
            if readerWaits { settle(framing, &settlement) }
            let hadNews = shared.readerNeedNotWait || sink.events != nil
            if !hadNews { worker.counters.readerWakesAvoided.increment() }
            finishAndUnlock(settlement) { signalAndUnlock(on: worker) }
        }
        if isUnfinished { armFrameDeadline(on: worker) }
    }

    /// Under the eyes of the watchdog: framers and patterns may be the program's. Returns the bytes that left at once.
    private func cut(_ bytes: Bytes, _ framing: ConnectionFraming, on worker: Worker) -> Int {
        worker.alarm.jobsBegin()
        let progress = worker.executors.progress
        progress.read(from: id)
        progress.advance()
        defer { progress.advance() }
        let gone = framing.buffer.append(bytes)
        if framing.buffer.isScattered { framing.buffer.gather(into: worker.slabs) }
        return gone
    }

    /// The peer has ended its side, which is among the signals already; the caller holds the lock, which this gives up.
    func endInputAndUnlock(_ framing: ConnectionFraming, on worker: Worker) {
        framing.buffer.streamEnded()
        framing.unfinishedSince = nil
        var settlement = Settlement()
        if io.isUnsurfaced { return surfaceIfDueAndUnlock(framing, settlement, on: worker) }
        if readerWaits { settle(framing, &settlement) }
        finishAndUnlock(settlement) { signalAndUnlock(on: worker) }
    }

    /// There is room in the outbound queue again, for which an answer may have waited. On the worker.
    func roomWasMade() {
        lock.lock()
        guard let framing = shared.framing, framing.waitsForRoom else { return lock.unlock() }
        framing.waitsForRoom = false
        var settlement = Settlement()
        if io.isUnsurfaced { return surfaceIfDueAndUnlock(framing, settlement, on: worker) }
        if readerWaits || sink.events != nil { settle(framing, &settlement) }
        finishAndUnlock(settlement) { signalAndUnlock(on: worker) }
    }

    /// Somebody asks for the next frame, and has answered those before.
    private var readerWaits: Bool { sink.events == nil && shared.reader.isSuspended }

    // MARK: What stands before the next frame

    /// Does what the filter said of what comes before the next frame: answers, and closes. The caller holds the lock.
    func settle(_ framing: ConnectionFraming, _ settlement: inout Settlement) {
        while !framing.isOver {
            switch framing.buffer.next {
            case .frame: return
            case .dropped: settlement.credit += takeNext(framing)!.rawByteCount
            case .answer, .close:
                guard unsent.load(ordering: .sequentiallyConsistent) <= limits.highWaterMark else {
                    framing.waitsForRoom = true
                    answerWaits.store(true, ordering: .sequentiallyConsistent)
                    // The second look; the partner is `wrote`.
                    guard unsent.load(ordering: .sequentiallyConsistent) <= limits.lowWaterMark else {
                        return
                    }
                    framing.waitsForRoom = false
                    continue
                }
                takeAnswer(framing, &settlement)
            case nil:
                if let failure = framing.buffer.failure { fail(framing, failure, &settlement) }
                return
            }
        }
    }

    /// It counts when it is taken, and not when it was judged, which may be in vain.
    private func takeNext(_ framing: ConnectionFraming) -> FrameItem? {
        if let rule = framing.buffer.nextRule { sink.framePolicy?.count(rule: rule, on: worker) }
        return framing.buffer.popFirst()
    }

    private func takeAnswer(_ framing: ConnectionFraming, _ settlement: inout Settlement) {
        let item = takeNext(framing)!
        settlement.credit += item.rawByteCount
        switch item {
        case .frame, .dropped: preconditionFailure("an answer was next")
        case .answer(let bytes, _): answer(bytes, &settlement)
        case .closeAfter(let bytes, _):
            if let bytes { answer(bytes, &settlement) }
            endInput(framing, .rejected, &settlement)
        }
    }

    private func fail(_ framing: ConnectionFraming, _ error: FramingError, _ settlement: inout Settlement) {
        if let reply = framing.buffer.failureReply { answer(reply, &settlement) }
        let failure = error.asError
        framing.failure = failure
        endInput(framing, .failed(failure), &settlement)
    }

    private func answer(_ bytes: Bytes, _ settlement: inout Settlement) {
        guard !shared.isWriteEnded else { return }
        stage(bytes)
        settlement.hasRequests = true
    }

    /// Nothing more is handed out, and the connection is closed behind what has been answered.
    func endInput(
        _ framing: ConnectionFraming, _ reason: CloseReason, _ settlement: inout Settlement
    ) {
        framing.isOver = true
        settlement.credit += framing.buffer.removeAll()
        if shared.requests.isDisjoint(with: [.abort, .close]) {
            shared.requests.insert(.close)
            shared.requestEnd(reason)
        }
        settlement.hasRequests = true
    }

    /// Gives up the lock by `unlock`, and does what has to be done without it.
    func finishAndUnlock(_ settlement: Settlement, _ unlock: () -> Void) {
        let mustSubmit = settlement.hasRequests && !shared.isSubmitted
        if mustSubmit { shared.isSubmitted = true }
        unlock()
        finish(settlement, mustSubmit)
    }

    private func finish(_ settlement: Settlement, _ mustSubmit: Bool) {
        if mustSubmit { worker.submit(self) }
        returnCredit(byteCount: settlement.credit)
    }

    // MARK: Reading

    /// The caller holds the lock, which this gives up.
    func attemptFrameAndUnlock(_ framing: ConnectionFraming, isOwner: Bool) throws -> ReadAttempt {
        var settlement = Settlement()
        settle(framing, &settlement)
        if framing.buffer.next == .frame, case .frame(let payload, let byteCount) = takeNext(framing) {
            settlement.credit += byteCount
            worker.framesSurfaced.wrappingAdd(1, ordering: .relaxed)
            finishAndUnlock(settlement) { lock.unlock() }
            if sink.place != .global { homeExecutors.progress.read(from: id) }
            return .bytes(payload)
        }
        guard shared.isInputEnded else {
            let number = shared.reader.begin(goal: 1, isOwner: isOwner)
            let held = framing.buffer.byteCount
            finishAndUnlock(settlement) { lock.unlock() }
            if held > resumeMark { askFor(framing.buffer.frameByteCountMax) }
            return .wait(number: number, isOwner: isOwner)
        }
        let failure = framing.failure
        let ending = shared.inputEnding(isSilenced: isSilenced.load(ordering: .relaxed))
        finishAndUnlock(settlement) { lock.unlock() }
        if let failure { throw failure }
        if case .failed(let error) = ending { throw error }
        return .end
    }

    /// The next frame for the event stream, whose consumer asks for the next event by this; nil if there is none.
    package func nextFrameForEvents() -> Bytes? {
        lock.lock()
        guard let framing = shared.framing else {
            lock.unlock()
            return nil
        }
        var settlement = Settlement()
        settle(framing, &settlement)
        var frame: Bytes?
        if framing.buffer.next == .frame, case .frame(let payload, let byteCount) = takeNext(framing) {
            frame = payload
            settlement.credit += byteCount
            worker.framesSurfaced.wrappingAdd(1, ordering: .relaxed)
        }
        finishAndUnlock(settlement) { lock.unlock() }
        return frame
    }

    // MARK: Switching

    /// How the connection's bytes are cut now; nil: not at all.
    package var framing: Framing? { lock.withLock { shared.framing?.buffer.framing } }

    /// Cuts what has been received and not taken, and what comes, by `framing`; nil: not at all. Returns how it was before.
    ///
    /// - Parameters:
    ///   - isFiltered: whether the filter of the connection's options judges these frames.
    ///   - unread: bytes that were read and are to be read again, before what follows.
    package func setFraming(
        _ framing: Framing?, isFiltered: Bool, unread: Bytes = Bytes()
    ) throws(AIOError) -> (framing: Framing?, isFiltered: Bool) {
        if let framing {
            try framing.validate(frameByteCountMax: worker.configuration.inboundByteCountMax / 2)
        }
        lock.lock()
        guard !shared.reader.isActive else {
            lock.unlock()
            throw AIOError(.misuse, call: "frame(by:)", detail: "a task is reading this connection")
        }
        let before = (shared.framing?.buffer.framing, shared.framing?.isFiltered ?? false)
        var settlement = Settlement()
        if !unread.isEmpty { putBack(unread) }
        switchFraming(framing, judge: isFiltered ? sink.framePolicy?.judge : nil, &settlement)
        let isUnfinished = shared.framing?.buffer.isInsideFrame ?? false
        if isUnfinished {
            shared.framing?.unfinishedSince = worker.kernel.now
            shared.requests.insert(.watchFrame)
            settlement.hasRequests = true
        }
        finishAndUnlock(settlement) { lock.unlock() }
        return before
    }

    /// A copy, which no slab accounts for: those of the bytes themselves have been told that they were taken. The caller holds
    /// the lock.
    private func putBack(_ bytes: Bytes) {
        held.wrappingAdd(bytes.count, ordering: .sequentiallyConsistent)
        let copy = bytes.withRawSpan { Bytes(copying: $0) }
        if let framing = shared.framing { framing.buffer.putBack(copy) } else { shared.inbox.prepend(copy) }
    }

    private func switchFraming(_ framing: Framing?, judge: FrameJudge?, _ settlement: inout Settlement) {
        if let current = shared.framing {
            current.isFiltered = judge != nil
            current.buffer.judge = judge
            current.unfinishedSince = nil
            if framing == nil, let bytes = current.buffer.takeStream() {
                shared.framing = nil
                shared.inbox.append(contentsOf: bytes)
            } else {
                settlement.credit += current.buffer.reframe(framing ?? .raw)
            }
        } else if let framing {
            let new = ConnectionFraming(framing, judge: judge)
            var inbox = shared.inbox.take()
            while let bytes = inbox.popFirst() { settlement.credit += new.buffer.append(bytes) }
            if shared.waitingSignals.contains(.peerEnded) { new.buffer.streamEnded() }
            shared.framing = new
        }
        let frameByteCountMax = shared.framing?.buffer.frameByteCountMax ?? 0
        frameWindow.store(frameByteCountMax, ordering: .sequentiallyConsistent)
    }

    /// The program's bytes come in frames. Any thread, at a glance.
    package var isFramed: Bool { frameWindow.load(ordering: .relaxed) != 0 }

    // MARK: The deadline of a frame

    /// The timer is as a rule set for later; it is lazily re-armed, so it may come early.
    func armFrameDeadline(on worker: Worker) {
        guard !io.hasFrameDeadline else { return }
        io.hasFrameDeadline = true
        let idle = io.lastActivity.advanced(by: limits.idleTimeout)
        worker.setTimer(of: self, at: min(idle, worker.now.advanced(by: limits.frameTimeout)))
    }

    /// When the frame under way has to be whole; nil if none is. A peer that is kept waiting is given its time anew.
    func frameDeadline(on worker: Worker) -> MonotonicTime? {
        lock.lock()
        defer { lock.unlock() }
        guard let framing = shared.framing, let since = framing.unfinishedSince else { return nil }
        if readPaused.load(ordering: .relaxed) || framing.buffer.next != nil {
            framing.unfinishedSince = worker.now
            return worker.now.advanced(by: limits.frameTimeout)
        }
        return since.advanced(by: limits.frameTimeout)
    }
}
