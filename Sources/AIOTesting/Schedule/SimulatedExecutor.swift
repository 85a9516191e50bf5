// The tasks of a simulation: what a test's own code, its child tasks and its default actors run on. One of the runners of
// the scheduler, so that their jobs take turns with the workers' passes and with the network.

package import AIOKernel

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
    private var chance: SeededRandom

    private let lock = PosixLock()
    private let arrived = PosixCondition()
    // Under `lock`.
    private var brought: [UnownedJob] = []
    private var hasEnded = false

    // Of the simulation's thread.
    private var jobs: [UnownedJob] = []
    private var isRunning = false
    package private(set) var jobsFromOutside = 0

    init(chance: SeededRandom, trace: SimulationTrace) {
        self.chance = chance
        self.trace = trace
    }

    /// Whether the calling thread is the simulation's.
    var isCurrent: Bool { ThreadTag.current == tag }
    private var tag: UInt64 { UInt64(UInt(bitPattern: ObjectIdentifier(self))) }

    // MARK: Any thread

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if isCurrent {
            jobs.append(job)
            return
        }
        lock.lock()
        if hasEnded {
            lock.unlock()
            // A task that was left behind by a simulation that is over.
            LeftTasks.run { [self] in unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
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
    }

    func end() {
        lock.withLock { hasEnded = true }
        isRunning = false
        takeBrought()
        // Nobody may go on in a simulation that is over: what is left is run, in turn.
        while canStep { step() }
        ThreadTag.current = 0
    }

    private func takeBrought() {
        let new = lock.withLock { () -> [UnownedJob] in
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

    package var canStep: Bool { !jobs.isEmpty }
    package var deadline: MonotonicTime? { nil }
    /// The test's task is there from the beginning to the end.
    package var isAlive: Bool { isRunning }
    package var waitsFor: String? { nil }

    package func step() {
        let job = jobs.remove(at: jobs.count == 1 ? 0 : chance.number(below: jobs.count))
        unsafe job.runSynchronously(on: asUnownedTaskExecutor())
    }
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
