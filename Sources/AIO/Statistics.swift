// What the engine has counted, at one moment.

public import AIOKernel
import AIOWorkers
import Synchronization

/// Numbers of a proactor since its start. Reading them costs a few loads; the workers are not disturbed, so
/// the numbers of one snapshot may be a moment apart.
public struct Statistics: Sendable, Hashable {
    public var workers: [WorkerStatistics]
    /// Accepted or being made, and `.closed` not yet taken.
    public var connections: Int
    /// Work given to `offload`.
    public var offload: OffloadStatistics

    /// The sum over all workers.
    public var total: WorkerStatistics { workers.reduce(into: WorkerStatistics()) { $0.add($1) } }
}

/// Numbers of one worker since its start.
public struct WorkerStatistics: Sendable, Hashable {
    /// Calls of epoll_wait(2).
    public var polls: UInt64 = 0
    /// Those of them that could block, because nothing was left to do.
    public var sleeps: UInt64 = 0
    /// Connections (and timers, failures) put on the completion list.
    public var completions: UInt64 = 0
    /// Connections (and timers, requests) taken off the submission list.
    public var submissions: UInt64 = 0
    /// Times that the worker woke a sleeping consumer, and pushes that found it awake.
    public var consumerWakes: UInt64 = 0
    public var consumerWakesAvoided: UInt64 = 0
    /// Times that the worker was woken by a submission, and submissions that found it awake.
    public var workerWakes: UInt64 = 0
    public var workerWakesAvoided: UInt64 = 0
    /// Calls of recv(2) and of sendmsg(2) or send(2), and the bytes they moved.
    public var receives: UInt64 = 0
    public var sends: UInt64 = 0
    public var bytesReceived: UInt64 = 0
    public var bytesSent: UInt64 = 0
    /// Connections accepted, made, and open now.
    public var accepted: UInt64 = 0
    public var connected: UInt64 = 0
    public var openConnections: UInt64 = 0
    /// Times that accepting paused, for a limit or for want of descriptors, and connections closed for the
    /// latter.
    public var acceptPauses: UInt64 = 0
    public var acceptsShed: UInt64 = 0
    /// Times that reading stopped because a window was full.
    public var readPauses: UInt64 = 0
    /// Times that a peer was left unread because the queue for it grew with what it sent.
    public var readHolds: UInt64 = 0
    /// Frames that the program has taken, of connections with a framing; and reads of theirs that completed no frame, or
    /// none for the program, so that nobody was woken.
    public var framesSurfaced: UInt64 = 0
    public var readerWakesAvoided: UInt64 = 0
    /// Times that leftovers were copied together to free nearly empty slabs.
    public var compactions: UInt64 = 0
    /// Slabs out of the pool now: being filled, or kept alive by bytes, the program's included.
    public var slabsInUse: Int = 0

    public init() {}

    mutating func add(_ other: WorkerStatistics) {
        for field in Self.counters { self[keyPath: field] += other[keyPath: field] }
        slabsInUse += other.slabsInUse
    }

    private static var counters: [WritableKeyPath<WorkerStatistics, UInt64>] {
        [
            \.polls, \.sleeps, \.completions, \.submissions, \.consumerWakes, \.consumerWakesAvoided,
            \.workerWakes,
            \.workerWakesAvoided, \.receives, \.sends, \.bytesReceived, \.bytesSent, \.accepted, \.connected,
            \.framesSurfaced, \.readerWakesAvoided, \.openConnections, \.acceptPauses, \.acceptsShed,
            \.readPauses, \.readHolds, \.compactions,
        ]
    }
}

extension Proactor {
    /// What has been counted since the start.
    public var statistics: Statistics {
        Statistics(
            workers: engine.workers.map(WorkerStatistics.init), connections: engine.accounts.connectionCount,
            offload: engine.host.offloadStatistics(of: .work))
    }
}

extension WorkerStatistics {
    init(_ worker: Worker) {
        polls = worker.counters.polls.current
        sleeps = worker.counters.sleeps.current
        completions = worker.counters.completions.current
        submissions = worker.counters.submissions.current
        consumerWakes = worker.counters.consumerWakes.current
        consumerWakesAvoided = worker.counters.consumerWakesAvoided.current
        (workerWakes, workerWakesAvoided) = worker.wakeCounts
        receives = worker.counters.receives.current
        sends = worker.counters.sends.current
        bytesReceived = worker.counters.bytesReceived.current
        bytesSent = worker.counters.bytesSent.current
        accepted = worker.counters.accepted.current
        connected = worker.counters.connected.current
        openConnections = worker.counters.openConnections.current
        acceptPauses = worker.counters.acceptPauses.current
        acceptsShed = worker.counters.acceptsShed.current
        readPauses = worker.counters.readPauses.current
        readHolds = worker.counters.readHolds.current
        framesSurfaced = worker.framesSurfaced.load(ordering: .relaxed)
        readerWakesAvoided = worker.counters.readerWakesAvoided.current
        compactions = worker.counters.compactions.current
        slabsInUse = worker.slabs.liveSlabCount
    }
}
