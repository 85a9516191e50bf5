// Threads for work that blocks, a few a lane, started when there is work and gone when there has been none
// for a while. PthreadHost.swift has one pool for each lane.

/// A bounded pool with a bounded queue.
///
/// Work goes to an idle thread if there is one, else to a new one while there are fewer than `threadsMax`,
/// else into the queue, which busy threads take from before they become idle. So the queue holds something
/// only while every thread is busy, and it never waits for anybody but them.
///
/// Work is handed to *a certain* idle thread, by its own condition: whoever is on the idle list is truly
/// idle, and `shutDown` can join exactly those without waiting for work that cannot be interrupted. (One
/// condition for all would leave a moment in which a woken thread has work but still counts as idle.) The
/// last to become idle is the first to work again; the others can reach their timeout.
///
/// A piece that is cancelled while it waits gives its place back at once but stays in the queue, empty, until
/// a thread comes past it; when more than half of the queue is empty it is closed up. So cancelling costs
/// O(1), amortised, and nobody can fill memory by queueing and cancelling.
///
/// `@unchecked Sendable`, proof: every `var`, here, in `Member` and in `Piece`, is read and written only
/// while `lock` is held.
package final class OffloadPool: @unchecked Sendable {
    package typealias Work = @Sendable () -> Void

    /// One thread of the pool. `thread` is set before the lock is let go in which it was started.
    private final class Member: @unchecked Sendable {
        let wakeUp = PosixCondition()
        var work: Work?
        /// Has taken work and not come back for more.
        var isWorking = false
        var mustEnd = false
        var thread: PthreadThread?
    }

    /// One piece of work. `work` is nil once a thread has taken it, or it was cancelled.
    private final class Piece: OffloadedWork, @unchecked Sendable {
        private let pool: OffloadPool
        var work: Work?

        init(_ work: @escaping Work, in pool: OffloadPool) {
            self.work = work
            self.pool = pool
        }

        func cancel() -> Bool { pool.cancel(self) }
    }

    private let name: String
    private let threadsMax: Int
    private let queuedMax: Int
    /// What people know the limit by.
    private let queuedMaxName: String
    private let idleTimeout: Duration
    private let kernel = LinuxKernel()

    private let lock = PosixLock()
    private var members: [ObjectIdentifier: Member] = [:]
    private var idle: [Member] = []
    /// Oldest first from `queueHead` on; before it there is nothing any more.
    private var queue: [Piece?] = []
    private var queueHead = 0
    /// Pieces in the queue that are not cancelled.
    private var queuedCount = 0
    private var completedCount: UInt64 = 0
    private var cancelledCount: UInt64 = 0
    private var refusedCount: UInt64 = 0
    private var isShutDown = false

    package init(
        name: String, threadsMax: Int = 4, queuedMax: Int = 1024, queuedMaxName: String = "pieces queued",
        idleTimeout: Duration = .seconds(10)
    ) {
        precondition(threadsMax > 0 && queuedMax >= 0, "an offload pool needs a thread")
        self.name = name
        self.threadsMax = threadsMax
        self.queuedMax = queuedMax
        self.queuedMaxName = queuedMaxName
        self.idleTimeout = idleTimeout
    }

    /// Runs `work` on a thread of the pool, unless it is cancelled before one takes it. Throws
    /// `.limitReached` if the queue is full or no thread can be started, `.shutDown` after `shutDown()`.
    @discardableResult
    package func run(_ work: @escaping Work) throws(AIOError) -> any OffloadedWork {
        lock.lock()
        defer { lock.unlock() }
        if isShutDown { throw AIOError(.shutDown, detail: "offload lane \(name)") }
        let piece = Piece(work, in: self)
        if let member = idle.popLast() {
            member.work = take(piece)
            member.wakeUp.signal()
            return piece
        }
        if members.count < threadsMax {
            do {
                try start(work)
                piece.work = nil
                return piece
            } catch {
                // Without a thread nobody would ever take the queue; with one, the work only waits longer.
                if members.isEmpty {
                    refusedCount += 1
                    throw error
                }
            }
        }
        guard queuedCount < queuedMax else {
            refusedCount += 1
            let detail = "\(queuedMaxName): \(queuedMax) (offload lane \(name))"
            throw AIOError(.limitReached, detail: detail)
        }
        queue.append(piece)
        queuedCount += 1
        return piece
    }

    private func cancel(_ piece: Piece) -> Bool {
        // What the work holds is let go of after the lock: its end may be anything, even a call of this pool.
        let work: Work? = lock.withLock {
            guard let work = take(piece) else { return nil }
            queuedCount -= 1
            cancelledCount += 1
            closeUpQueue()
            return work
        }
        return work != nil
    }

    /// Ends the pool: idle threads are joined, busy ones finish the queue and end by themselves. Any thread,
    /// more than once.
    package func shutDown() {
        var threads: [PthreadThread] = []
        lock.withLock {
            isShutDown = true
            for member in idle {
                member.mustEnd = true
                member.wakeUp.signal()
                if let thread = member.thread { threads.append(thread) }
            }
            idle = []
            // Lets go of every thread: those not in `threads` are detached by their `deinit`.
            for member in members.values { member.thread = nil }
        }
        for thread in threads { thread.join() }
    }

    /// How many threads there are, those without work included.
    package var threadCount: Int { lock.withLock { members.count } }

    /// How many threads wait for work.
    package var idleThreadCount: Int { lock.withLock { idle.count } }

    /// How many pieces the queue's memory holds, cancelled ones included.
    var queueLength: Int { lock.withLock { queue.count } }

    package var statistics: OffloadStatistics {
        lock.withLock {
            var statistics = OffloadStatistics()
            statistics.threads = members.count
            statistics.running = members.values.count { $0.isWorking || $0.work != nil }
            statistics.queued = queuedCount
            statistics.completed = completedCount
            statistics.cancelled = cancelledCount
            statistics.refused = refusedCount
            return statistics
        }
    }

    // MARK: Threads; with the lock held unless said otherwise

    private func start(_ work: @escaping Work) throws(AIOError) {
        let member = Member()
        member.work = work
        // The new thread's first act is to take the lock: it sees `thread` set.
        member.thread = try PthreadThread(named: name) { [self] in live(as: member) }
        members[ObjectIdentifier(member)] = member
    }

    /// A thread's life, without the lock.
    private func live(as member: Member) {
        while let work = lock.withLock({ nextWork(for: member) }) { work() }
    }

    /// The work given to this thread, else the oldest queued, else what arrives before the idle timeout; nil
    /// to end.
    private func nextWork(for member: Member) -> Work? {
        if member.isWorking {
            member.isWorking = false
            completedCount += 1
        }
        if let work = takeWork(of: member) ?? takeQueued(for: member) { return work }
        if !isShutDown {
            idle.append(member)
            let deadline = kernel.now.advanced(by: idleTimeout)
            while member.work == nil, !member.mustEnd, kernel.now < deadline {
                member.wakeUp.wait(lock, until: deadline)
            }
            if let work = takeWork(of: member) { return work }
            idle.removeAll { $0 === member }
        }
        members[ObjectIdentifier(member)] = nil
        member.thread = nil
        return nil
    }

    private func takeWork(of member: Member) -> Work? {
        guard let work = member.work else { return nil }
        member.work = nil
        member.isWorking = true
        return work
    }

    /// The oldest queued that was not cancelled.
    private func takeQueued(for member: Member) -> Work? {
        while queueHead < queue.count {
            let work = queue[queueHead].flatMap(take)
            queue[queueHead] = nil
            queueHead += 1
            guard let work else { continue }
            queuedCount -= 1
            member.isWorking = true
            closeUpQueue()
            return work
        }
        closeUpQueue()
        return nil
    }

    /// nil if a thread has taken it, or it was cancelled.
    private func take(_ piece: Piece) -> Work? {
        defer { piece.work = nil }
        return piece.work
    }

    /// Amortised: what is taken or cancelled is dropped when it is at least as much as the rest.
    private func closeUpQueue() {
        guard queuedCount * 2 <= queue.count else { return }
        queue.removeFirst(queueHead)
        queueHead = 0
        queue.removeAll { $0?.work == nil }
    }
}
