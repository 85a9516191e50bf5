// A connection's two sides in one object: what the worker owns (descriptor, machine, outbound queue) and what
// the program and the worker share (inbox, staged writes, credit). The program's calls are here; the worker's
// are in the +Input, +Output and +Lifecycle files.

package import AIOBytes
import AIOFraming
package import AIOKernel
import Synchronization

/// One stream connection.
///
/// Theory of operation. The object is itself its node in both lists. Towards the program: the worker appends
/// what it read to `inbox` and, unless the connection is in the completion list already, puts it there; the
/// program takes everything at once (`take`). Towards the worker: `send` and the other calls leave what they
/// want in `staged` and `requests` and, unless the connection is in the submission list already, put it
/// there; the worker takes everything at once (`perform`). So both lists hold a connection at most once, and
/// what it carries is bounded by its receive window in one direction and by its outbound cap in the other.
///
/// Credit: `held` counts bytes that were read and not yet taken. The worker adds, the program subtracts; at
/// the window the worker sets `readPaused` and looks again, and a program that brought `held` to half the
/// window looks at `readPaused`: whichever clears the flag sees to it that reading goes on
/// (docs/models/credit.pml).
///
/// Sendable, unchecked: each field says who touches it, and under what.
package final class ConnectionCore: Registration, @unchecked Sendable {
    // In the order in which they pack without gaps: ten thousand idle connections are ten thousand of these.

    // Fixed at creation.
    package let id: UInt64
    package let worker: Worker
    package let sink: ConnectionSink
    package var limits: ConnectionLimits { sink.limits }

    /// Bytes read and not yet taken. Worker adds, program subtracts; sequentially consistent, against
    /// `readPaused`.
    let held = Atomic<Int>(0)
    /// Bytes given to `send` that the kernel has not taken. Program adds, worker subtracts; a number to
    /// compare with marks, ordering nothing.
    let unsent = Atomic<Int>(0)
    /// Bytes that a reader waits for, if that is more than one: they are read even if the window is full or is
    /// smaller. Reader writes, worker reads; sequentially consistent, against `readPaused`.
    let wantedByteCount = Atomic<Int>(0)
    /// The largest frame of the connection's framing, which the window has to let in; zero without one. Whoever sets the
    /// framing writes, the worker reads: sequentially consistent, against `readPaused`.
    let frameWindow = Atomic<Int>(0)
    /// Identifies the task that handles the connection (ConnectionCore+Ownership). Written and compared by that
    /// task; others find that they are not it.
    let owner = Atomic<UInt>(0)

    /// Since the beginning; the worker writes.
    package let bytesReceived = Counter()
    package let bytesSent = Counter()

    package let isAccepted: Bool
    /// The worker has stopped reading because the window is full. Set by the worker, cleared by whoever
    /// resumes.
    let readPaused = Atomic<Bool>(false)
    /// `unsent` has been above the high-water mark, and `.drained` is owed. Set and cleared under `lock`; the
    /// worker reads it without, and looks again under the lock.
    let owesDrained = Atomic<Bool>(false)
    /// Somebody waits for room, for a flush or for the end. Set under `lock`; the worker reads it without, after it
    /// lowered `unsent`: sequentially consistent, against `unsent`.
    let hasWaiters = Atomic<Bool>(false)
    /// An answer of the connection's filter waits for room. Set under `lock`; the worker reads it without, after it lowered
    /// `unsent`: sequentially consistent, against `unsent`.
    let answerWaits = Atomic<Bool>(false)
    /// The program has closed: nothing is delivered any more but `.closed`. Set by the program, read by both.
    let isSilenced = Atomic<Bool>(false)
    /// Guards `shared`.
    let lock = FutexLock()

    #if DEBUG
        /// Touched under `lock`, or before anything else knows of the connection.
        var shared: SharedSide
        /// Touched on the worker's thread, or before the connection is submitted to it.
        var io: WorkerSide
    #else
        @safe @exclusivity(unchecked) var shared: SharedSide
        @safe @exclusivity(unchecked) var io: WorkerSide
    #endif

    /// What the worker and the program leave for each other.
    struct SharedSide: ~Copyable {
        /// Written by the worker, taken by the program.
        var inbox = ByteQueue()
        /// Written by the program, taken by the worker.
        var staged = ByteQueue()
        /// Bytes that `send` and `write` have accepted since the beginning.
        var acceptedByteCount: UInt64 = 0
        /// Once it is closed, why; before, what the program gave for a reason when it asked for the end.
        private var reason = CloseReason.local
        /// The task that waits to read (ConnectionCore+Reading); none in the event stream.
        var reader = PendingRead()
        var peerEndpoint: Endpoint
        var localEndpoint: Endpoint?

        // Written by the worker, taken by the program.
        var waitingSignals: ConnectionSignals = []
        /// In the completion list, or about to be.
        var isSignalled = false

        // Written by the program, taken by the worker.
        var requests: ConnectionRequests = []
        /// In the submission list, or about to be.
        var isSubmitted = false
        /// No more sends: finished, closed, or cut.
        var isWriteEnded = false

        // Of the tasks that read and write (ConnectionCore+Reading, +Writing).
        /// The owner was cancelled: its waits end before they begin.
        var isOwnerCancelled = false
        /// The server drains: reads that would wait end instead.
        var drain = DrainLevel.none
        /// Bytes have come.
        var hasReceived = false
        /// `connect` has succeeded.
        var isMade = false
        /// The program has called `close` or `abort`.
        var isEndedByProgram = false
        private(set) var isClosed = false

        /// nil: bytes are handed out as they come.
        var framing: ConnectionFraming?

        /// What most connections never have. Made when it is first needed.
        private var rarities: Rarities?

        private final class Rarities {
            var waiters: [ConnectionWaiter] = []
            var dialResult: Result<[Endpoint], AIOError>?
            /// Kept for the actor that lives on it, which holds only a reference that does not.
            var globalExecutor: (any SerialExecutor)?
            var attachedValue: (any Sendable)?
        }

        private mutating func ensuredRarities() -> Rarities {
            if let rarities { return rarities }
            let made = Rarities()
            rarities = made
            return made
        }

        var hasNoWaiters: Bool { rarities?.waiters.isEmpty ?? true }

        var waiters: [ConnectionWaiter] {
            get { rarities?.waiters ?? [] }
            set { if rarities != nil || !newValue.isEmpty { ensuredRarities().waiters = newValue } }
        }

        var dialResult: Result<[Endpoint], AIOError>? {
            get { rarities?.dialResult }
            set { ensuredRarities().dialResult = newValue }
        }

        var globalExecutor: (any SerialExecutor)? {
            get { rarities?.globalExecutor }
            set { ensuredRarities().globalExecutor = newValue }
        }

        var attachedValue: (any Sendable)? {
            get { rarities?.attachedValue }
            set { ensuredRarities().attachedValue = newValue }
        }

        init(peer: Endpoint, local: Endpoint?) {
            peerEndpoint = peer
            localEndpoint = local
        }

        var closeReason: CloseReason? { isClosed ? reason : nil }

        mutating func close(_ reason: CloseReason) {
            self.reason = reason
            isClosed = true
        }

        /// What the program asked to be told as the reason, before that has happened.
        var requestedReason: CloseReason { reason }

        mutating func requestEnd(_ reason: CloseReason) { if !isClosed { self.reason = reason } }
    }

    /// Which reads end instead of waiting.
    package enum DrainLevel: UInt8, Sendable {
        case none
        /// Those of connections that have received something; one that is new may have its first bytes.
        case afterFirstBytes
        case all
    }

    /// When a socket is registered for writing.
    enum WriteInterest: UInt8 {
        /// From the start: TCP, which reports an edge only after it was full.
        case always
        /// Once it is blocked: Unix sockets, which would report an edge for every message that the peer reads.
        case whenBlocked
        /// It is, and so it is registered.
        case whileBlocked
    }

    /// What only the worker knows.
    struct WorkerSide: ~Copyable {
        var descriptor: Descriptor?
        /// What the next read is expected to bring.
        var readHint: Int32 = 2_048
        var machine: ConnectionMachine
        var outbound = ByteQueue()
        /// In the worker's table; zero before and after.
        var token: UInt64 = 0
        var lastActivity = MonotonicTime(nanoseconds: 0)
        /// While a graceful close is under way: since when nothing has moved. Else, while `isWriteBlocked`: since when it
        /// is.
        var waitsSince = MonotonicTime(nanoseconds: 0)
        /// What most connections do not have, or not for long. Made when it is first needed.
        private var rarities: Rarities?
        var timer: TimerWheel<TimerTarget>.Handle?
        /// The kernel may have more to read: the edge was seen and no short read since.
        var isReadable = false
        /// A hang-up or error was reported: read until the end, short reads notwithstanding.
        var seesEnding = false
        /// The kernel took less than it was offered: wait for the edge.
        var isWriteBlocked = false
        /// The timer was set with the write deadline in mind, and has not fired since.
        var hasWriteDeadline = false
        /// The same with the deadline of a frame.
        var hasFrameDeadline = false
        /// The program has not heard of it yet (ConnectionCore+Surfacing).
        var isUnsurfaced = false
        var writeInterest = WriteInterest.whenBlocked
        var isInReadList = false
        var isInWriteList = false

        private final class Rarities {
            var dial: Dial?
            var hold: OutputHold.Boxed?
        }

        private mutating func ensuredRarities() -> Rarities {
            if let rarities { return rarities }
            let made = Rarities()
            rarities = made
            return made
        }

        var dial: Dial? {
            get { rarities?.dial }
            set { if rarities != nil || newValue != nil { ensuredRarities().dial = newValue } }
        }

        /// nil while no more is queued than the high-water mark allows, which is always for most.
        var hold: OutputHold.Boxed? {
            get { rarities?.hold }
            set { if rarities != nil || newValue != nil { ensuredRarities().hold = newValue } }
        }

        var hasDescriptor: Bool { descriptor != nil }
        var hasHold: Bool { hold != nil }
        var isDialling: Bool { dial != nil }

        init(machine: consuming ConnectionMachine, descriptor: consuming Descriptor?) {
            self.machine = machine
            self.descriptor = descriptor
        }
    }

    /// A connection that was accepted, on its way to `worker`.
    init(
        accepted descriptor: consuming Descriptor, peer: Endpoint, local: Endpoint?, id: UInt64,
        worker: Worker, sink: ConnectionSink
    ) {
        self.id = id
        self.worker = worker
        self.sink = sink
        isAccepted = true
        shared = SharedSide(peer: peer, local: local)
        io = WorkerSide(
            machine: ConnectionMachine(acceptedWithDiscardsMax: sink.limits.lingerByteCountMax),
            descriptor: consume descriptor)
        super.init()
        takeFraming(from: sink)
    }

    /// A connection that is to be made.
    package init(
        dialling id: UInt64, worker: Worker, sink: ConnectionSink, target: Endpoint
    ) {
        self.id = id
        self.worker = worker
        self.sink = sink
        isAccepted = false
        shared = SharedSide(peer: target, local: nil)
        io = WorkerSide(
            machine: ConnectionMachine(connectingWithDiscardsMax: sink.limits.lingerByteCountMax),
            descriptor: nil)
        super.init()
        takeFraming(from: sink)
    }

    private func takeFraming(from sink: ConnectionSink) {
        guard let policy = sink.framePolicy, !policy.framing.isRaw else { return }
        let framing = ConnectionFraming(policy.framing, judge: policy.judge)
        frameWindow.store(framing.buffer.frameByteCountMax, ordering: .relaxed)
        shared.framing = framing
    }

    // The worker's entries.
    override package func perform(on worker: Worker) { carryOutRequests(on: worker) }
    override func becameReady(_ readiness: Readiness, on worker: Worker) {
        readinessArrived(readiness, on: worker)
    }
    override func deadlineReached(on worker: Worker) { timerFired(on: worker) }
    override func workerIsEnding(on worker: Worker, gracefully: Bool) {
        end(on: worker, gracefully: gracefully)
    }
}

// MARK: - The program's calls, from any thread

extension ConnectionCore {
    /// Queues `bytes` for the worker to write. Never waits.
    package func send(_ bytes: Bytes) -> SendOutcome {
        if let refusal = beginSend() { return .refused(refusal) }
        if !bytes.isEmpty { shared.staged.append(bytes) }
        return endSend(adding: bytes.count)
    }

    /// Queues `parts`, which stay together, for the worker to write. Never waits.
    package func send(_ parts: [Bytes]) -> SendOutcome {
        if let refusal = beginSend() { return .refused(refusal) }
        var byteCount = 0
        for part in parts where !part.isEmpty {
            shared.staged.append(part)
            byteCount += part.count
        }
        return endSend(adding: byteCount)
    }

    /// Takes the lock, and keeps it unless the send is refused.
    private func beginSend() -> SendRefusal? {
        lock.lock()
        if shared.isWriteEnded {
            lock.unlock()
            return .closed
        }
        guard unsent.load(ordering: .relaxed) < limits.outboundByteCountMax else {
            lock.unlock()
            if limits.whenOutboundIsFull == .close { abort(.slowConsumer) }
            return .queueFull
        }
        return nil
    }

    private func endSend(adding byteCount: Int) -> SendOutcome {
        worker.note(.write, of: self, byteCount: byteCount)
        shared.acceptedByteCount += UInt64(byteCount)
        let pending = unsent.wrappingAdd(byteCount, ordering: .relaxed).newValue
        let isAboveMark = pending > limits.highWaterMark
        if isAboveMark { owesDrained.store(true, ordering: .relaxed) }
        submitAndUnlock(byteCount > 0)
        return isAboveMark ? .aboveMark(pending: pending) : .queued(pending: pending)
    }

    /// Ends the write side after what is queued (half-close). Later sends are refused.
    package func finish() {
        lock.lock()
        let writers = shared.endWriting(.local)
        shared.requests.insert(.finish)
        submitAndUnlock(true)
        for writer in writers { writer.resume() }
    }

    /// Ends the connection gracefully; the program hears only `.closed` of it from now on.
    package func close() { end(.close, .local) }

    /// Cuts the connection; what is queued is thrown away.
    package func abort(_ reason: CloseReason = .aborted) { end(.abort, reason) }

    private func end(_ request: ConnectionRequests, _ reason: CloseReason) {
        isSilenced.store(true, ordering: .releasing)
        lock.lock()
        let discarded = shared.inbox.take()
        let discardedFrames = shared.framing?.buffer.removeAll() ?? 0
        let writers = shared.endWriting(reason)
        shared.isEndedByProgram = true
        if !shared.requests.contains(.abort), shared.requests.isDisjoint(with: request) {
            shared.requests.insert(request)
            shared.requestEnd(reason)
        }
        let reader = unsafe shared.reader.take()
        submitAndUnlock(!shared.isClosed)
        unsafe reader?.resume()
        for writer in writers { writer.resume() }
        release(discarded)
        returnCredit(byteCount: discardedFrames)
    }

    package var peer: Endpoint { lock.withLock { shared.peerEndpoint } }

    /// nil until the connection is made.
    package var local: Endpoint? { lock.withLock { shared.localEndpoint } }

    /// Received, and not yet taken by the program.
    package var unreadByteCount: Int { held.load(ordering: .relaxed) }

    package var pendingByteCount: Int { unsent.load(ordering: .relaxed) }

    package var userValue: (any Sendable)? {
        get { lock.withLock { shared.attachedValue } }
        set { lock.withLock { shared.attachedValue = newValue } }
    }

    /// Puts the connection into its worker's submission list unless it is there; the caller holds the lock,
    /// which this gives up before it pushes.
    func submitAndUnlock(_ isNeeded: Bool) {
        let mustSubmit = isNeeded && !shared.isSubmitted
        if mustSubmit { shared.isSubmitted = true }
        lock.unlock()
        if mustSubmit { worker.submit(self) }
    }

    /// Asks something of the worker.
    package func request(_ request: ConnectionRequests) {
        lock.lock()
        shared.requests.insert(request)
        submitAndUnlock(true)
    }

    /// The addresses to dial, or why there are none. Called once, from an offload thread.
    package func resolved(_ result: Result<[Endpoint], AIOError>) {
        lock.lock()
        shared.dialResult = result
        shared.requests.insert(.dial)
        submitAndUnlock(true)
    }
}

// MARK: - The consumer

extension ConnectionCore {
    /// Takes everything that waits for the program: the bytes are put in place of `bytes`, the rest is the
    /// result. The consumer of the sink only, when it took this node.
    package func take(bytes: inout ByteQueue) -> ConnectionSignals {
        lock.lock()
        // Cleared before what follows is read: what comes afterwards is signalled anew.
        shared.isSignalled = false
        let signals = shared.waitingSignals
        shared.waitingSignals = []
        bytes = shared.inbox.take()
        lock.unlock()
        return signals
    }

    /// Signals that were taken, and are not to be told yet.
    package func putBack(_ signals: ConnectionSignals) {
        lock.withLock { shared.waitingSignals.formUnion(signals) }
    }

    /// The consumer has looked at this connection for long enough, and will look again. True if it has to put it at the end of
    /// what it looks at; else it is on its way already.
    package func willBeTakenAgain() -> Bool {
        lock.withLock {
            guard !shared.isSignalled else { return false }
            shared.isSignalled = true
            return true
        }
    }

    /// Why it closed; nil before it has.
    package var closeReason: CloseReason? { lock.withLock { shared.closeReason } }

    /// Whether the program has closed this connection, so that only `.closed` may be delivered.
    package var isClosedByProgram: Bool { isSilenced.load(ordering: .acquiring) }

    /// The program has taken `bytes`: returns their credit, and has the worker read on if it had stopped.
    package func returnCredit(for bytes: Bytes) {
        bytes.delivered()
        returnCredit(byteCount: bytes.count)
    }

    /// The same for bytes that count as delivered already.
    func returnCredit(byteCount: Int) {
        guard byteCount > 0 else { return }
        let left = held.wrappingSubtract(byteCount, ordering: .sequentiallyConsistent).newValue
        guard left <= resumeMark, readPaused.load(ordering: .sequentiallyConsistent) else { return }
        if clearReadPaused() { request(.resumeReading) }
    }

    /// Bytes that will not be delivered: their slabs and credit are given back.
    package func release(_ queue: consuming ByteQueue) {
        var queue = queue
        while let bytes = queue.popFirst() { returnCredit(for: bytes) }
    }

    /// Reading goes on when what is held has fallen to half the window: resuming at once would let a slow
    /// program and a fast peer trade single segments.
    var resumeMark: Int { limits.receiveWindow / 2 }

    /// True for the one who clears it.
    func clearReadPaused() -> Bool {
        readPaused.compareExchange(expected: true, desired: false, ordering: .sequentiallyConsistent)
            .exchanged
    }
}
