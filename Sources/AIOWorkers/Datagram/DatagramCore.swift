// A datagram socket's two sides in one object: what the worker owns, and what the program and the worker
// share. The program's calls are in the +Receive and +Send files, the worker's in +Input, +Output and
// +Lifecycle.

import AIOBytes
package import AIOKernel
import DequeModule

/// One UDP socket, with one worker for life.
///
/// Theory of operation. The worker reads whenever the kernel has something, into a batch, and copies what the
/// inbox has room for into slabs; the rest is dropped and counted. It does not stop reading, because UDP has
/// no window that could stop a sender: a queue left in the kernel would only grow old before it overflows.
/// The program takes from the inbox under the lock. A task that finds it empty suspends, and is woken to look
/// again; a datagram never travels with the wake-up, so a receive that was cancelled has lost none.
///
/// The other way `send` stages datagrams under the lock and submits the socket, once, to its worker, which
/// takes all of them and gives them to the kernel in batches. Staged and not yet with the kernel is what the
/// outbound limits count; senders beyond them wait in line, each with its datagram, and the worker admits
/// them as it makes room.
///
/// Sendable, unchecked: each field says who touches it, and under what.
package final class DatagramCore: Registration, @unchecked Sendable {
    // Fixed at creation.
    package let worker: Worker
    let options: DatagramOptions
    /// Where it is bound, port 0 resolved.
    package let endpoint: Endpoint
    /// Where it is connected, if it is.
    package let peer: Endpoint?

    /// Guards `shared`. Held over no system call, no continuation and no submission.
    let lock = PosixLock()
    /// Touched under `lock`.
    private let sharedState: Owned<SharedSide>
    /// Touched on the worker's thread, or before the socket is submitted to it.
    private let workerState: Owned<WorkerSide>

    var shared: SharedSide {
        _read { yield sharedState.value }
        _modify { yield &sharedState.value }
    }

    var io: WorkerSide {
        _read { yield workerState.value }
        _modify { yield &workerState.value }
    }

    enum Phase { case open, closing, closed }

    /// The one receive that is under way.
    enum Reader {
        case none
        /// It has begun, and is not suspended yet or no more.
        case awake
        case cancelled
        case suspended(SuspendedTask)
    }

    /// What the worker and the program leave for each other.
    struct SharedSide: ~Copyable {
        // Filled by the worker, emptied by the program.
        var inbox = Deque<Datagram>()
        var inboxByteCount = 0
        /// Of a connected socket: what ICMP or the kernel said of it. The next receive or send takes it.
        var pendingError: AIOError?

        // Filled by the program, and by the worker for those who waited; emptied by the worker.
        var staged: [OutgoingDatagram] = []
        /// Staged, or with the worker and not yet with the kernel.
        var outboundCount = 0
        var outboundByteCount = 0
        /// Senders that found the queue full, in their order. Added by them; taken by the worker, by a
        /// cancellation or by the end.
        var waiters = Deque<SendWaiter>()

        // The program's.
        var reader = Reader.none
        /// Who waits for the end. Added by `close`, taken by the worker.
        var closers: [SuspendedTask] = []
        var requests: DatagramRequests = []
        /// In the submission list, or about to be.
        var isSubmitted = false

        // Written by either.
        var phase = Phase.open
        var statistics = DatagramStatistics()
        /// Shared with calls of the program that set options, so that it stays open while one is under way.
        /// Taken away by the worker, at the end.
        var socket: SharedDescriptor?

        // See `ConnectionCore.SharedSide.isClosed` for why it is asked here.
        var hasError: Bool { pendingError != nil }
        var hasNews: Bool { !inbox.isEmpty || hasError || phase != .open }

        init(socket: SharedDescriptor) { self.socket = socket }
    }

    /// What only the worker knows.
    struct WorkerSide: ~Copyable {
        var socket: SharedDescriptor?
        /// In the worker's table; zero before and after.
        var token: UInt64 = 0
        var outbound = Deque<OutgoingDatagram>()
        /// What a batch brought, on its way to the inbox. Empty between batches.
        var arrived: [Datagram] = []
        /// The edge was seen, and no end of the kernel's queue since.
        var isReadable = false
        /// The kernel takes nothing now: wait for the edge, for which writing is armed.
        var isWriteBlocked = false
        var isArmedForWriting = false
        var isUnfinished = false
        /// The datagram at the front was refused with an error that may be an earlier one's, and is tried
        /// once more.
        var retriesFirst = false
        /// Datagrams to be sent in calls of their own: see `singlesAfterError`.
        var singlesLeft = 0
        /// Modulo 2³², as of the last batch that said so.
        var kernelDropCount: UInt32 = 0

        init(socket: SharedDescriptor) { self.socket = socket }
    }

    init(
        _ socket: SharedDescriptor, endpoint: Endpoint, peer: Endpoint?, options: DatagramOptions,
        worker: Worker
    ) {
        self.endpoint = endpoint
        self.peer = peer
        self.options = options
        self.worker = worker
        sharedState = Owned(SharedSide(socket: socket))
        workerState = Owned(WorkerSide(socket: socket))
    }

    // The worker's entries.
    override package func perform(on worker: Worker) { carryOutRequests(on: worker) }
    override func becameReady(_ readiness: Readiness, on worker: Worker) {
        readinessArrived(readiness, on: worker)
    }
    override func goOn(on worker: Worker) { resumeWork(on: worker) }
    override func workerIsEnding(on worker: Worker, gracefully: Bool) {
        flushAndClose(on: worker)
    }

    /// Puts the socket into its worker's submission list unless it is there; the caller holds the lock, which
    /// this gives up before it submits.
    func submitAndUnlock() {
        let mustSubmit = !shared.isSubmitted
        shared.isSubmitted = true
        lock.unlock()
        if mustSubmit { worker.submit(self) }
    }
}

/// What the program wants of the worker, besides sending.
struct DatagramRequests: OptionSet {
    let rawValue: UInt8
    static let start = DatagramRequests(rawValue: 1)
    static let close = DatagramRequests(rawValue: 2)
}
