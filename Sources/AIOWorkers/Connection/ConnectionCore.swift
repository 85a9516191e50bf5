// A connection's two sides in one object: what the worker owns (descriptor, machine, outbound queue) and what
// the program and the worker share (inbox, staged writes, credit). What the program calls is in the +Requests, +Reading, +Writing and +Consumer files; what the
// worker does, in +Input, +Output and +Lifecycle.

import AIOBytes
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
