// What a task that reads does: takes bytes from the inbox, or waits until the worker has put enough there.
// Called by AIO's Connection; the worker's side is in ConnectionCore+Input.

package import AIOBytes
import AIOFraming
import AIOKernel
import Synchronization

// Theory of operation
//
// A read looks into the inbox under the connection's lock. If what it wants is there, it takes it and returns
// without suspending. Otherwise it leaves what it waits for in `reader` and suspends; the worker, which looks
// at `reader` whenever it has added to the inbox, resumes it. The resumed read looks again: it is not handed
// its bytes. So a read that is cancelled while it waits has taken nothing, and there is nothing to give back:
// bytes that came at the same moment are there for the next read.
//
// A read that wants more than a byte (`read(exactly:)`) says how much, and reading goes on until that is there: it
// widens a window that is smaller, and one in which less is held has it paused no longer, though more than half of
// it is full.
//
// One read at a time, because two would each get parts of one stream.
//
// Cancellation: a handler's task, the connection's *owner*, has one cancellation handler for as long as it lives,
// which resumes whatever that task waits for on this connection. A read or write of another task installs one
// for each wait. The difference is a fifth of what an echo costs, and owners do most of the reading.

extension ConnectionCore {
    /// What a read found.
    package enum ReadAttempt {
        case bytes(Bytes)
        case end
        /// Suspend (the owner with `suspendReader`, others with `waitForInput`), then try again (`readAgain`).
        case wait(number: UInt32, isOwner: Bool)
    }

    /// Up to `limit` bytes, at least one, if they are there. The program's fast path: a chunk.
    package func tryRead(atMost limit: Int) throws -> ReadAttempt {
        let task = CallingTask.look()
        if task.isCancelled { throw CancellationError() }
        try checkReadable()
        guard limit > 0 else { throw AIOError(.invalidArgument, detail: "a read of at most \(limit) bytes") }
        lock.lock()
        if shared.reader.isActive {
            lock.unlock()
            throw AIOError(.misuse, call: "read", detail: "another task is reading this connection")
        }
        return try attemptReadAndUnlock(atMost: limit, isOwner: isOwned(by: task))
    }

    /// After having been resumed.
    package func readAgain(atMost limit: Int) throws -> ReadAttempt {
        lock.lock()
        let isOwner = shared.reader.isOwner
        if shared.reader.end() || (isOwner && shared.isOwnerCancelled) {
            lock.unlock()
            throw CancellationError()
        }
        return try attemptReadAndUnlock(atMost: limit, isOwner: isOwner)
    }

    private func attemptReadAndUnlock(atMost limit: Int, isOwner: Bool) throws -> ReadAttempt {
        if let framing = shared.framing { return try attemptFrameAndUnlock(framing, isOwner: isOwner) }
        if let bytes = shared.inbox.popFirst(atMost: limit) {
            lock.unlock()
            returnCredit(for: bytes)
            // For the watchdog, should what follows hold the thread.
            if sink.place != .global { homeExecutors.progress.read(from: id) }
            return .bytes(bytes)
        }
        guard shared.isInputEnded else {
            defer { lock.unlock() }
            return .wait(number: shared.reader.begin(goal: 1, isOwner: isOwner), isOwner: isOwner)
        }
        let ending = shared.inputEnding(isSilenced: isSilenced.load(ordering: .relaxed))
        lock.unlock()
        if case .failed(let error) = ending { throw error }
        return .end
    }

    private func checkReadable() throws(AIOError) {
        if sink.events != nil {
            throw AIOError(.misuse, call: "read", detail: "this connection's bytes arrive in aio.events")
        }
    }

    /// Leaves the continuation for whoever has news, or resumes it at once if there are.
    package func suspendReader(_ continuation: UnsafeContinuation<Void, Never>) {
        lock.lock()
        if shared.readerNeedNotWait || (shared.isOwnerCancelled && shared.reader.isOwner) {
            lock.unlock()
            unsafe continuation.resume()
        } else {
            unsafe shared.reader.suspend(continuation)
            lock.unlock()
        }
    }

    /// Exactly `count` bytes in one piece; nil at an end before the first of them.
    package func read(exactly count: Int, memoryMax: Int) async throws -> Bytes? {
        if count == 0 { return Bytes() }
        try checkGoal(count, memoryMax: memoryMax)
        // Counted when it is decided that this is the end: a server that drains has ended reads, not the stream, and
        // bytes may come the moment after.
        var left = 0
        var parts = try await input(atLeast: count) { inbox, _ -> Parts? in
            left = inbox.byteCount
            return left >= count ? Parts(taking: count, from: &inbox) : nil
        }
        if let joined = parts?.join() { return joined }
        // The end came first. What is there stays there.
        if left == 0 { return nil }
        throw AIOError(
            .connectionClosedEarly, call: "read(exactly:)", detail: "\(left) of \(count) bytes before the end"
        )
    }

    /// Everything up to the end, which must come before more than `limit` bytes.
    package func readAll(atMost limit: Int, memoryMax: Int) async throws -> Bytes {
        try checkGoal(limit, memoryMax: memoryMax)
        var isTooMuch = false
        var parts = try await input(atLeast: limit + 1) { inbox, isCutShort -> Parts? in
            isTooMuch = inbox.byteCount > limit
            return isTooMuch || isCutShort || inbox.isEmpty
                ? nil : Parts(taking: inbox.byteCount, from: &inbox)
        }
        if isTooMuch {
            throw AIOError(.limitReached, call: "readAll(atMost:)", detail: "more than \(limit) bytes came")
        }
        return parts?.join() ?? Bytes()
    }

    /// At least `count` bytes, in one piece, that stay for the next read; fewer only before the end, nil at the
    /// end.
    package func peek(atLeast count: Int, memoryMax: Int) async throws -> Bytes? {
        try checkGoal(count, memoryMax: memoryMax)
        return try await input(atLeast: max(count, 1), returnsCredit: false) { inbox, _ in
            inbox.isEmpty ? nil : inbox.joinFirst(atLeast: count)
        }
    }

    private func checkGoal(_ count: Int, memoryMax: Int) throws(AIOError) {
        guard count >= 0 else { throw AIOError(.invalidArgument, detail: "\(count) bytes were asked for") }
        guard count <= memoryMax else {
            let detail = "\(count) bytes at once are more than half of inboundByteCountMax"
            throw AIOError(.limitReached, detail: detail)
        }
    }

    /// Waits until `goal` bytes are there or no more will come, and has `take` take what it wants, under the
    /// lock; which is told whether the stream was cut short. nil at the end.
    private func input<Taken: InboxPart>(
        atLeast goal: Int, returnsCredit: Bool = true, _ take: (inout ByteQueue, _ isCutShort: Bool) -> Taken?
    ) async throws -> Taken? {
        if CallingTask.look().isCancelled { throw CancellationError() }
        try checkReadable()
        lock.lock()
        if shared.reader.isActive {
            lock.unlock()
            throw AIOError(.misuse, call: "read", detail: "another task is reading this connection")
        }
        guard shared.framing == nil else {
            lock.unlock()
            throw AIOError(
                .misuse, call: "read",
                detail: "this connection's bytes come in frames; frame(by: .raw) ends that")
        }
        while true {
            if shared.inbox.byteCount >= goal || shared.isInputEnded {
                let ending = shared.inputEnding(isSilenced: isSilenced.load(ordering: .relaxed))
                let taken = take(&shared.inbox, ending.isFailure)
                lock.unlock()
                if let taken {
                    if returnsCredit { taken.returnCredit(to: self) }
                    return taken
                }
                if case .failed(let error) = ending { throw error }
                return nil
            }
            let number = shared.reader.begin(goal: goal, isOwner: false)
            lock.unlock()
            if goal > 1 { askFor(goal) }
            await waitForInput(number)
            if goal > 1 { wantedByteCount.store(0, ordering: .sequentiallyConsistent) }
            lock.lock()
            if shared.reader.end() {
                lock.unlock()
                throw CancellationError()
            }
        }
    }

    /// Suspends until the read may go on: the way for tasks that are not the owner, and for rare reads.
    package func waitForInput(_ number: UInt32) async {
        await withTaskCancellationHandler {
            unsafe await withUnsafeContinuation { unsafe suspendReader($0) }
        } onCancel: {
            lock.lock()
            let reader = unsafe shared.reader.cancel(number) ? shared.reader.take() : nil
            lock.unlock()
            unsafe reader?.resume()
        }
    }

    /// Has the worker read until `byteCount` bytes are there, as long as the read waits; the partner is
    /// `roomInWindow`'s second look.
    func askFor(_ byteCount: Int) {
        wantedByteCount.store(byteCount, ordering: .sequentiallyConsistent)
        guard readPaused.load(ordering: .sequentiallyConsistent), clearReadPaused() else { return }
        request(.resumeReading)
    }

    /// The partner thread has taken this connection off its list: resumes the reader, if it may still go on.
    package func wakeReader() {
        lock.lock()
        shared.isSignalled = false
        let reader = unsafe shared.readerMayGoOn ? shared.reader.take() : nil
        lock.unlock()
        unsafe reader?.resume()
    }

    /// From now on a read that would wait for the first byte of something returns the end instead: the server
    /// is draining. On the worker.
    package func endReads(_ level: DrainLevel) {
        lock.lock()
        shared.drain = level
        if io.isUnsurfaced, let framing = shared.framing {
            return surfaceIfDueAndUnlock(framing, Settlement(), on: worker)
        }
        let reader = unsafe shared.readerMayGoOn ? shared.reader.take() : nil
        lock.unlock()
        unsafe reader?.resume()
    }
}

/// What a read took from an inbox.
protocol InboxPart {
    func returnCredit(to connection: ConnectionCore)
}

extension Bytes: InboxPart {
    func returnCredit(to connection: ConnectionCore) { connection.returnCredit(for: self) }
}

/// Several slices, to be one piece once the lock is free.
private struct Parts: InboxPart {
    private var slices: [Bytes] = []

    init(taking byteCount: Int, from inbox: inout ByteQueue) {
        var left = byteCount
        while left > 0, let slice = inbox.popFirst(atMost: left) {
            slices.append(slice)
            left -= slice.count
        }
    }

    func returnCredit(to connection: ConnectionCore) {
        for slice in slices { connection.returnCredit(for: slice) }
    }

    mutating func join() -> Bytes { slices.count == 1 ? slices[0] : Bytes(joining: slices) }
}

extension ConnectionCore.SharedSide {
    enum InputEnding {
        case none, failed(AIOError)

        var isFailure: Bool { if case .failed = self { true } else { false } }
    }

    /// No more bytes will be put into the inbox.
    var isInputEnded: Bool {
        waitingSignals.contains(.peerEnded) || isClosed || isEndedByProgram || isDrainedOfInput
            || framing?.isOver ?? false
    }

    /// Of all that ends reading, it was the drain.
    var isEndedByDrain: Bool {
        isDrainedOfInput && !waitingSignals.contains(.peerEnded) && !isClosed && !isEndedByProgram
    }

    /// Half of a message in the inbox is work in flight: its reader waits on, until the drain's deadline.
    private var isDrainedOfInput: Bool {
        guard inbox.isEmpty, framing?.buffer.isEmpty ?? true else { return false }
        switch drain {
        case .none: return false
        case .afterFirstBytes: return hasReceived
        case .all: return true
        }
    }

    /// A suspended reader is to be resumed.
    var readerMayGoOn: Bool { reader.isSuspended && readerNeedNotWait }

    var readerNeedNotWait: Bool {
        hasWhatIsWaitedFor || isInputEnded || reader.isCancelled
    }

    private var hasWhatIsWaitedFor: Bool {
        if let framing { return framing.buffer.next == .frame }
        return inbox.byteCount >= reader.goal
    }

    /// Why there are no more bytes: an orderly end, or something that the reader has to know.
    func inputEnding(isSilenced: Bool) -> InputEnding {
        if isSilenced { return .failed(AIOError(.closed, call: "read")) }
        // What the peer said last counts, not what became of the connection after it.
        if waitingSignals.contains(.peerEnded) { return .none }
        guard let closeReason else { return .none }
        switch closeReason {
        case .peer, .local: return .none
        default: return .failed(closeReason.error(call: "read"))
        }
    }
}
