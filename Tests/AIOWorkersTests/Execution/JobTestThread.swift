// A thread that does nothing but run jobs, for the tests of queues and executors, and who watches it.

import AIOKernel
import Synchronization

@testable import AIOWorkers

/// Sendable, unchecked: what changes is atomic, or under `lock`.
final class JobTestThread: JobThread, @unchecked Sendable {
    let executors: Executors
    private let host = PthreadHost()
    private let wakeUp = WakeUp()
    private let wakes = Atomic<Int>(0)
    private let mayEnd = Atomic<Bool>(false)
    private let jobsAtOnce = Atomic<Int>(512)
    private let lock = PosixLock()
    /// Under `lock`.
    private var fromIO: [@Sendable () -> Void] = []
    private var thread: (any HostThread)?

    init() throws {
        executors = Executors(host: host, name: "test-jobs")
        executors.jobs.begin(on: self)
        thread = try host.startThread(named: "test-jobs", self)
    }

    var isCurrent: Bool { executors.jobs.isCurrent }
    /// How often a first job has come.
    var wakeCount: Int { wakes.load(ordering: .sequentiallyConsistent) }
    /// How many jobs run before the thread looks after other things.
    var limit: Int {
        get { jobsAtOnce.load(ordering: .relaxed) }
        set { jobsAtOnce.store(newValue, ordering: .relaxed) }
    }

    func jobsArrived() {
        wakes.wrappingAdd(1, ordering: .sequentiallyConsistent)
        wakeUp.post()
    }

    /// Calls `body` on the thread, between jobs.
    func onIO(_ body: @escaping @Sendable () -> Void) { lock.withLock { fromIO.append(body) } }

    /// Holds the thread, which is in a job when this returns, until the result is posted.
    func hold() -> WakeUp {
        let (entered, released) = (WakeUp(), WakeUp())
        _ = Task(executorPreference: executors.task) {
            entered.post()
            _ = released.wait()
        }
        _ = entered.wait()
        return released
    }

    func end() {
        mayEnd.store(true, ordering: .sequentiallyConsistent)
        wakeUp.post()
        thread?.join()
    }

    func step() -> ThreadStep {
        let bodies = lock.withLock {
            defer { fromIO = [] }
            return fromIO
        }
        for body in bodies { body() }
        executors.jobs.takeRemote()
        _ = executors.run(atMost: limit)
        guard executors.jobs.isEmpty else { return .proceed }
        if mayEnd.load(ordering: .sequentiallyConsistent), executors.jobs.end() { return .finished }
        if lock.withLock({ fromIO.isEmpty }) { _ = wakeUp.wait() }
        return .proceed
    }
}

/// The numbers of jobs, in the order in which they ran.
final class Order: Sendable {
    private let lock = PosixLock()
    // Under `lock` and never without: that is the proof for `unsafe`.
    private nonisolated(unsafe) var list: [Int] = []
    private nonisolated(unsafe) var strayCount = 0

    func add(_ number: Int, isHome: Bool) {
        lock.withLock {
            unsafe list.append(number)
            if !isHome { unsafe strayCount += 1 }
        }
    }

    var numbers: [Int] { lock.withLock { unsafe list } }
    /// Jobs that ran elsewhere.
    var strays: Int { lock.withLock { unsafe strayCount } }
}

/// An actor that lives on a thread of the test's.
actor Lodger {
    private let thread: JobTestThread
    private(set) var calls = 0
    private(set) var strays = 0

    init(_ thread: JobTestThread) { self.thread = thread }

    // SAFETY: the actor holds the thread, which holds the executor.
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.executors.unownedSerial }

    func call() {
        calls += 1
        if !thread.isCurrent { strays += 1 }
    }
}

/// A thread that is never there.
final class Bystander: JobThread {
    private let wakes = Atomic<Int>(0)
    var wakeCount: Int { wakes.load(ordering: .relaxed) }
    func jobsArrived() { wakes.wrappingAdd(1, ordering: .relaxed) }
    func step() -> ThreadStep { .finished }
}

/// Catches the jobs of tasks instead of running them.
final class Catcher: TaskExecutor {
    private let body: @Sendable (UnownedJob) -> Void
    init(_ body: @escaping @Sendable (UnownedJob) -> Void) { self.body = body }
    func enqueue(_ job: consuming ExecutorJob) { body(UnownedJob(job)) }
}
