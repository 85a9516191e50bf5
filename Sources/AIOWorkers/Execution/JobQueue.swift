// Jobs of tasks and actors that run on a thread of ours. Enqueued through the executors of Executors.swift,
// run by the thread between two polls.

import AIOBytes
package import AIOKernel
import Synchronization

/// A thread that runs jobs.
package protocol JobThread: ThreadBody {
    /// Jobs came from another thread, to a queue that was empty: see to it that they are taken.
    func jobsArrived()
}

/// The jobs of one thread.
///
/// A job that is enqueued on the thread itself, which is what a resumed reader is, goes to `local` without a
/// lock; one that comes from elsewhere goes to `remote`, and the first of a batch wakes the thread. `local` is
/// first in, first out: a job that enqueues another one at once does not keep the rest waiting. But jobs that
/// the thread's I/O brings (a reader that is resumed: a few a pass) have a queue of their own, from which
/// three of four are taken: were they to wait behind everything that jobs and other threads have enqueued, an
/// actor with a hundred thousand calls to come would hold up every connection of its thread.
///
/// A thread ends only when it has no jobs and its handlers have ended (`Worker.settle`). Jobs that come later
/// all the same, of tasks that nobody counted, run on a thread of their own, one after the other
/// (`LateJobs`): they are never lost and never run at the same time.
///
/// Sendable, unchecked: `local` belongs to the thread, the rest is under `lock`.
package final class JobQueue: @unchecked Sendable {
    private let host: any Host
    private let local = Owned(LocalJobs())
    private let lock = PosixLock()
    // Under `lock`.
    private var remote: [QueuedJob] = []
    /// nil before the thread starts and after it has ended.
    private var thread: (any JobThread)?
    /// Whose thread this is; 0 once it has ended. Set before the thread starts and by its last act.
    private let identity = Atomic<UInt>(0)

    init(host: any Host) { self.host = host }

    /// Before the thread starts.
    func begin(on thread: any JobThread) {
        self.thread = thread
        identity.store(UInt(bitPattern: ObjectIdentifier(thread)), ordering: .relaxed)
    }

    /// Whether the calling thread is the one that runs these jobs.
    package var isCurrent: Bool {
        let identity = identity.load(ordering: .relaxed)
        return identity != 0 && host.currentThreadIdentity == identity
    }

    /// False if the thread has ended, and the job is not taken.
    func enqueue(_ job: QueuedJob) -> Bool {
        if isCurrent {
            local.value.append(job)
            return true
        }
        lock.lock()
        guard let thread else {
            lock.unlock()
            return false
        }
        let isFirst = remote.isEmpty
        remote.append(job)
        lock.unlock()
        if isFirst { thread.jobsArrived() }
        return true
    }

    // MARK: The thread

    var isEmpty: Bool { local.value.isEmpty }

    /// Moves what other threads enqueued behind what this thread did.
    func takeRemote() {
        var taken: [QueuedJob] = []
        lock.withLock { swap(&taken, &remote) }
        for job in taken { local.value.appendRemote(job) }
    }

    /// Jobs run from now on, so that what is enqueued here comes from them; or no more, and it comes from I/O.
    func jobsRun(_ areRunning: Bool) { local.value.areRunning = areRunning }

    /// `turn` is counted up by the caller.
    func next(turn: Int) -> QueuedJob? {
        local.value.prefetchNext()
        return local.value.popFirst(turn: turn)
    }

    /// The thread's last act; false if there are jobs, and then it goes on.
    func end() -> Bool {
        lock.withLock {
            guard remote.isEmpty, local.value.isEmpty else { return false }
            thread = nil
            identity.store(0, ordering: .relaxed)
            return true
        }
    }
}

/// A job, and how it is run: as a task's, or as an actor's.
struct QueuedJob {
    let job: UnownedJob
    let isOfActor: Bool

    /// A task that waited for its connection has long left the cache when there are many. A job is the address of its
    /// task, which has about 320 bytes.
    func prefetchTask() { prefetch(unsafe unsafeBitCast(job, to: UInt.self), byteCount: 320) }

    func run(task: UnownedTaskExecutor, serial: UnownedSerialExecutor) {
        if isOfActor {
            unsafe job.runSynchronously(isolatedTo: serial, taskExecutor: task)
        } else {
            unsafe job.runSynchronously(on: task)
        }
    }
}

/// The jobs of I/O, and the others.
private struct LocalJobs: ~Copyable {
    var areRunning = false
    private var fromIO = JobList()
    private var others = JobList()

    var isEmpty: Bool { fromIO.isEmpty && others.isEmpty }

    mutating func append(_ job: QueuedJob) { areRunning ? others.append(job) : fromIO.append(job) }
    mutating func appendRemote(_ job: QueuedJob) { others.append(job) }

    func prefetchNext() { fromIO.prefetchNext() }

    mutating func popFirst(turn: Int) -> QueuedJob? {
        turn % 4 == 3 ? others.popFirst() ?? fromIO.popFirst() : fromIO.popFirst() ?? others.popFirst()
    }
}

/// A queue in one array, whose taken part is given up when everything was taken: no allocation in steady
/// state.
private struct JobList: ~Copyable {
    private var jobs: [QueuedJob] = []
    private var head = 0
    private static let prefetchDistance = 4

    var isEmpty: Bool { head == jobs.count }

    mutating func append(_ job: QueuedJob) { jobs.append(job) }

    func prefetchNext() {
        if head + Self.prefetchDistance < jobs.count { jobs[head + Self.prefetchDistance].prefetchTask() }
    }

    mutating func popFirst() -> QueuedJob? {
        guard head < jobs.count else { return nil }
        let job = jobs[head]
        head += 1
        if head == jobs.count {
            // A burst's memory is given back.
            jobs.removeAll(keepingCapacity: jobs.count <= 1_024)
            head = 0
        } else if head >= 1_024, head * 2 >= jobs.count {
            jobs.removeFirst(head)
            head = 0
        }
        return job
    }
}
