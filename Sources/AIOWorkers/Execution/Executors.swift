// The executors of one thread: for tasks, and for actors. Made with the thread's job queue; reached by handlers
// through their connection.

import AIOKernel

/// A thread's executors. Two objects, because a task executor may be asked for an actor's jobs and then has to
/// tell them apart: one object in both roles does not work.
package final class Executors: Sendable {
    package let jobs: JobQueue
    /// Of the host, for what is to run elsewhere.
    private let host: any Host
    /// For the watchdog.
    package let progress: JobProgress
    private let taskExecutor: JobTaskExecutor
    private let serialExecutor: JobSerialExecutor

    init(host: any Host, name: String) {
        self.host = host
        progress = JobProgress(name: name)
        jobs = JobQueue(host: host)
        taskExecutor = JobTaskExecutor(jobs: jobs)
        serialExecutor = JobSerialExecutor(jobs: jobs, task: taskExecutor)
    }

    package var task: any TaskExecutor { taskExecutor }
    package var serial: any SerialExecutor { serialExecutor }
    package var global: any TaskExecutor { host.globalTaskExecutor }
    package func makeGlobalSerial() -> any SerialExecutor { host.makeGlobalSerialExecutor() }
    // SAFETY: whoever uses it holds this object: an actor through its connection, the thread through its owner.
    package var unownedSerial: UnownedSerialExecutor { unsafe serialExecutor.asUnownedSerialExecutor() }

    /// Runs jobs on the calling thread, which is the queue's, until there are none or `limit` have run.
    func run(atMost limit: Int) -> Int {
        let task = unsafe taskExecutor.asUnownedTaskExecutor()
        let serial = unsafe serialExecutor.asUnownedSerialExecutor()
        var count = 0
        jobs.jobsRun(true)
        defer { jobs.jobsRun(false) }
        while count < limit, let job = jobs.next(turn: count) {
            progress.advance()
            unsafe job.run(task: task, serial: serial)
            progress.advance()
            count += 1
        }
        return count
    }
}

private final class JobTaskExecutor: TaskExecutor {
    private let jobs: JobQueue
    init(jobs: JobQueue) { self.jobs = jobs }

    func enqueue(_ job: consuming ExecutorJob) {
        let queued = QueuedJob(job: UnownedJob(job), isOfActor: false)
        if jobs.enqueue(queued) { return }
        LateJobs.run { [self] in unsafe queued.job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}

private final class JobSerialExecutor: SerialExecutor {
    private let jobs: JobQueue
    private let task: JobTaskExecutor

    init(jobs: JobQueue, task: JobTaskExecutor) {
        self.jobs = jobs
        self.task = task
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let queued = QueuedJob(job: UnownedJob(job), isOfActor: true)
        if jobs.enqueue(queued) { return }
        LateJobs.run { [self] in
            unsafe queued.run(task: task.asUnownedTaskExecutor(), serial: asUnownedSerialExecutor())
        }
    }

    /// For `assumeIsolated` outside of a task.
    func checkIsolated() {
        precondition(jobs.isCurrent, "not on the thread that this actor lives on")
    }
}

/// Where jobs run whose thread has ended: one after the other, on a thread that is started when there are any.
private enum LateJobs {
    private static let pool = OffloadPool(name: "aio-late", threadsMax: 1, queuedMax: .max)

    static func run(_ body: @escaping @Sendable () -> Void) {
        do {
            try pool.run(body)
        } catch {
            // Without a thread there is nowhere to run it, and a task that never goes on says nothing.
            fatalError("a job came after the end of its executor, and no thread can be started: \(error)")
        }
    }
}
