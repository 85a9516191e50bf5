// The tasks of a simulation: what a test's own code, its child tasks and its default actors run on. One of the runners of
// the scheduler, so that their jobs take turns with the workers' passes and with the network.

package import AIOKernel
import CAIOTesting

/// A task executor whose jobs run when the schedule says so, in an order drawn from the seed.
///
/// Jobs of its own thread come from the simulation. A job that another thread brings, once the simulation runs, comes from
/// outside: the real clock, another executor, somebody's callback. It runs all the same, but the run is not
/// repeatable, and says so (`jobsFromOutside`).
///
/// Sendable, unchecked: what other threads touch is under `lock`, the rest belongs to the simulation's thread.
package final class SimulatedExecutor: TaskExecutor, Runner, @unchecked Sendable {
    package let name = "tasks"
    private let trace: SimulationTrace
    /// nil: first in, first out.
    private var chance: SeededRandom?
    private let deviations: Deviations

    private let lock = PosixLock()
    private let arrived = PosixCondition()
    // Under `lock`.
    private var brought: [SimulatedJob] = []
    private var hasEnded = false

    // Of the simulation's thread.
    @safe @exclusivity(unchecked) private var jobs: [SimulatedJob] = []
    @safe @exclusivity(unchecked) private var isRunning = false
    package private(set) var jobsFromOutside = 0
    /// Jobs that steps of this simulation gave to Swift's global executor: `Task { … }`, `Task.detached`.
    package private(set) var jobsThatLeft = 0

    /// Whether the test's code has returned.
    var isOver: () -> Bool = { false }

    init(chance: SeededRandom?, trace: SimulationTrace, deviations: Deviations) {
        self.chance = chance
        self.deviations = deviations
        self.trace = trace
    }

    /// Whether the calling thread is the simulation's.
    var isCurrent: Bool { ThreadTag.current == tag }
    private var tag: UInt64 { UInt64(UInt(bitPattern: ObjectIdentifier(self))) }

    // MARK: Any thread

    package func enqueue(_ job: consuming ExecutorJob) {
        enqueue(SimulatedJob(job: UnownedJob(job), actor: nil))
    }

    fileprivate func enqueue(_ job: SimulatedJob) {
        if isCurrent {
            jobs.append(job)
            return
        }
        lock.lock()
        if hasEnded {
            lock.unlock()
            // A task that was left behind by a simulation that is over.
            LeftTasks.run { [self] in job.run(on: self) }
            return
        }
        brought.append(job)
        arrived.signal()
        lock.unlock()
    }

    // MARK: The simulation's thread

    /// The calling thread runs these jobs from now on. Returns when there is one.
    func begin() {
        ThreadTag.current = tag
        lock.lock()
        while brought.isEmpty { arrived.wait(lock) }
        lock.unlock()
        takeBrought()
        isRunning = true
        // SAFETY: this object outlives its thread's observing, which ends in `end`.
        unsafe caio_observe_global_enqueues(
            { unsafe Unmanaged<SimulatedExecutor>.fromOpaque($0!).takeUnretainedValue().jobLeft() },
            Unmanaged.passUnretained(self).toOpaque())
    }

    private func jobLeft() {
        // The test's own task goes back to where it came from.
        guard isRunning, !isOver() else { return }
        jobsThatLeft += 1
        trace.note("a task left the simulation", jobsThatLeft)
    }

    func end() {
        lock.withLock { hasEnded = true }
        isRunning = false
        caio_observe_global_enqueues(nil, nil)
        takeBrought()
        // Nobody may go on in a simulation that is over: what is left is run, in turn.
        while canStep { step() }
        ThreadTag.current = 0
    }

    private func takeBrought() {
        let new = lock.withLock { () -> [SimulatedJob] in
            defer { brought = [] }
            return brought
        }
        guard !new.isEmpty else { return }
        if isRunning {
            jobsFromOutside += new.count
            trace.note("a job came from outside of the simulation", new.count, jobsFromOutside)
        }
        jobs += new
    }

    /// Looks for jobs from outside; true if there are any.
    func lookOutside() -> Bool {
        takeBrought()
        return canStep
    }

    /// The same, but waits for them: by the real clock, as they are not of this simulation.
    func waitOutside(for time: Duration) -> Bool {
        let clock = LinuxKernel()
        let deadline = clock.now.advanced(by: time)
        lock.lock()
        while brought.isEmpty, clock.now < deadline { arrived.wait(lock, until: deadline) }
        lock.unlock()
        return lookOutside()
    }

    package var canStep: Bool { !jobs.isEmpty }
    package var deadline: MonotonicTime? { nil }
    /// The test's task is there from the beginning to the end.
    package var isAlive: Bool { isRunning }
    package var waitsFor: String? { nil }

    package func step() {
        var index = jobs.count == 1 ? 0 : chance?.number(below: jobs.count) ?? 0
        if index != 0, !deviations.takes() { index = 0 }
        jobs.remove(at: index).run(on: self)
    }
}

/// A job, of a task or of an actor.
private struct SimulatedJob {
    let job: UnownedJob
    let actor: SimulatedSerialExecutor?

    func run(on executor: SimulatedExecutor) {
        let task = unsafe executor.asUnownedTaskExecutor()
        if let actor {
            unsafe job.runSynchronously(isolatedTo: actor.asUnownedSerialExecutor(), taskExecutor: task)
        } else {
            unsafe job.runSynchronously(on: task)
        }
    }
}

/// For an actor that would live on Swift's global executor. Its jobs cannot overlap: nothing in a simulation does.
final class SimulatedSerialExecutor: SerialExecutor {
    private let executor: SimulatedExecutor

    init(_ executor: SimulatedExecutor) { self.executor = executor }

    func enqueue(_ job: consuming ExecutorJob) {
        executor.enqueue(SimulatedJob(job: UnownedJob(job), actor: self))
    }

    func checkIsolated() { precondition(executor.isCurrent, "not on the simulation's thread") }
}

/// Where jobs run that come after their simulation's end.
private enum LeftTasks {
    private static let pool = OffloadPool(name: "sim-late", threadsMax: 1, queuedMax: .max)

    static func run(_ body: @escaping @Sendable () -> Void) {
        do {
            try pool.run(body)
        } catch {
            fatalError("a job came after the end of its simulation, and no thread can be started: \(error)")
        }
    }
}
