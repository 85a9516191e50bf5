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
/// `@unchecked Sendable`, proof: every `var`, here and in `Member`, is read and written only while `lock` is
/// held.
package final class OffloadPool: @unchecked Sendable {
    package typealias Work = @Sendable () -> Void

    /// One thread of the pool. `thread` is set before the lock is let go in which it was started.
    private final class Member: @unchecked Sendable {
        let wakeUp = PosixCondition()
        var work: Work?
        var mustEnd = false
        var thread: PthreadThread?
    }

    private let name: String
    private let threadsMax: Int
    private let queuedMax: Int
    private let idleTimeout: Duration
    private let kernel = LinuxKernel()

    private let lock = PosixLock()
    private var members: [ObjectIdentifier: Member] = [:]
    private var idle: [Member] = []
    private var queue: [Work?] = []
    private var queueHead = 0
    private var isShutDown = false

    package init(
        name: String, threadsMax: Int = 4, queuedMax: Int = 1024, idleTimeout: Duration = .seconds(10)
    ) {
        precondition(threadsMax > 0 && queuedMax >= 0, "an offload pool needs a thread")
        self.name = name
        self.threadsMax = threadsMax
        self.queuedMax = queuedMax
        self.idleTimeout = idleTimeout
    }

    /// Runs `work` on a thread of the pool. Throws `.limitReached` if the queue is full or no thread can be
    /// started, `.shutDown` after `shutDown()`.
    package func run(_ work: @escaping Work) throws(AIOError) {
        lock.lock()
        defer { lock.unlock() }
        if isShutDown { throw AIOError(.shutDown, detail: "offload lane \(name)") }
        if let member = idle.popLast() {
            member.work = work
            member.wakeUp.signal()
            return
        }
        if members.count < threadsMax {
            do {
                try start(work)
                return
            } catch {
                // Without a thread nobody would ever take the queue; with one, the work only waits longer.
                if members.isEmpty { throw error }
            }
        }
        guard queue.count - queueHead < queuedMax else {
            throw AIOError(.limitReached, detail: "offload lane \(name): \(queuedMax) pieces are queued")
        }
        queue.append(work)
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
        if let work = takeWork(of: member) ?? takeQueued() { return work }
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
        defer { member.work = nil }
        return member.work
    }

    private func takeQueued() -> Work? {
        guard queueHead < queue.count else { return nil }
        let work = queue[queueHead]
        queue[queueHead] = nil
        queueHead += 1
        // Amortised: the taken half is dropped when it is at least as long as the rest.
        if queueHead * 2 >= queue.count {
            queue.removeFirst(queueHead)
            queueHead = 0
        }
        return work
    }
}
