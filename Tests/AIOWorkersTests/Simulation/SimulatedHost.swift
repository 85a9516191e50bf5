// The threads of a simulation, which are none: bodies, jobs and the wire take turns on the test's own thread,
// one step at a time, in an order drawn from the seed. Between any two steps anything else may run.

import AIOKernel

/// Runs thread bodies step by step.
///
/// A body that said `.wait` can go on only if its epoll set has something, or virtual time has reached its
/// deadline. When nobody can go on, time jumps to the earliest deadline. If there is none, or if time alone
/// would have to pass for longer than `quietMax` without a byte, a signal or a connection moving, the run has
/// *stalled*: a lost wake-up must not hide behind the idle timeout that ends it ten minutes later.
///
/// Steps are not atomic where a real thread makes a system call while it holds no lock (`recv`, `sendmsg`):
/// there another body may cut in, with a whole step of its own.
///
/// Sendable, unchecked: a simulation and all its parts are used by the one thread that runs the test.
final class SimulatedHost: Host, @unchecked Sendable {
    static let stepsMax = 400_000
    static let quietMax = Duration.seconds(60)
    private static let preemptionDepthMax = 3
    /// Virtual time a step takes.
    private static let stepDuration = Duration.microseconds(1)

    private let kernel: SimulatedKernel
    private let trace: SimulationTrace
    private var schedule: SeededSchedule
    private var runners: [Runner] = []
    private var jobs: [SimulatedJob] = []
    /// Who is in the middle of a step, outermost first.
    private var running: [Runner] = []
    private var steps = 0
    /// Bodies that have not finished. The wire and the jobs keep nobody alive.
    private var aliveCount = 0
    /// Who could go on now; kept for its memory.
    private var candidates: [Int] = []
    private var isShutDown = false
    /// `kernel.activity` when somebody last moved something, and when that was.
    private var lastActivity = (count: 0, time: MonotonicTime(nanoseconds: 0))
    /// The first failure of a `join`, which cannot throw it.
    private(set) var failure: SimulationFailure?

    init(kernel: SimulatedKernel, schedule: SeededSchedule, trace: SimulationTrace) {
        self.kernel = kernel
        self.trace = trace
        self.schedule = schedule
        lastActivity.time = kernel.now
        addRunner("network", .network)
        addRunner("offload", .offload)
        kernel.preempt = { [weak self] in self?.preempt() }
    }

    // MARK: The protocol

    func startThread(named name: String, _ body: any ThreadBody) throws(AIOError) -> any HostThread {
        SimulatedThread(host: self, runner: addRunner(name, .body(body)))
    }

    func isCurrent(_ body: any ThreadBody) -> Bool {
        if case .body(let current)? = running.last?.kind { current === body } else { false }
    }

    var currentThreadIdentity: UInt {
        guard case .body(let current)? = running.last?.kind else { return 0 }
        return UInt(bitPattern: ObjectIdentifier(current))
    }

    func offload(
        _ lane: OffloadLane, _ work: @escaping @Sendable () -> Void
    ) throws(AIOError) -> any OffloadedWork {
        guard !isShutDown else { throw AIOError(.shutDown) }
        let job = SimulatedJob(work)
        jobs.append(job)
        return job
    }

    func offloadStatistics(of lane: OffloadLane) -> OffloadStatistics { OffloadStatistics() }

    func watchSignals(
        _ signals: [ProcessSignal], _ handler: @escaping @Sendable (ProcessSignal) -> Void
    ) throws(AIOError) -> any SignalWatch {
        throw AIOError(.unsupported, detail: "a simulated process gets no signals")
    }

    func shutDown() {
        while !jobs.isEmpty { jobs.removeFirst().run() }
        isShutDown = true
    }

    // MARK: Running

    /// Takes steps until `condition` holds, or nobody is left who could take one.
    func run(until condition: () -> Bool = { false }) throws(SimulationFailure) {
        while aliveCount > 0, !condition() {
            findCandidates()
            guard !candidates.isEmpty else {
                try passTime()
                continue
            }
            guard steps < Self.stepsMax else {
                let text = "after \(steps) steps the simulation has not ended"
                throw SimulationFailure(kind: .endless, description: text + "\n" + waiters)
            }
            step(runners[schedule.pick(among: candidates)])
        }
    }

    private func step(_ runner: Runner) {
        steps += 1
        kernel.advance(to: kernel.now.advanced(by: Self.stepDuration))
        running.append(runner)
        runner.isInStep = true
        trace.who = runner.name
        switch runner.kind {
        case .network: kernel.deliver()
        case .offload: jobs.removeFirst().run()
        case .body(let body):
            trace.note("step", steps)
            runner.state = body.step()
            noteState(of: runner)
            if !runner.isAlive { aliveCount -= 1 }
        }
        runner.isInStep = false
        running.removeLast()
        trace.who = running.last?.name ?? "test"
    }

    private func noteState(of runner: Runner) {
        switch runner.state {
        case .proceed: break
        case .wait(let epoll, let deadline): trace.note("waits on", Int(epoll), deadline == nil ? 0 : 1)
        case .finished: trace.note("has finished")
        }
    }

    /// In plain loops: this is done before every step, and debug builds inline no closures.
    private func findCandidates() {
        candidates.removeAll(keepingCapacity: true)
        var index = 0
        while index < runners.count {
            if canStep(runners[index]) { candidates.append(index) }
            index += 1
        }
    }

    private func canStep(_ runner: Runner) -> Bool {
        if runner.isInStep { return false }
        switch runner.kind {
        case .network: return kernel.networkHasWork
        case .offload: return !jobs.isEmpty
        case .body: break
        }
        switch runner.state {
        case .proceed: return true
        case .finished: return false
        case .wait(let epoll, let deadline):
            if let deadline, kernel.now >= deadline { return true }
            return kernel.hasSomething(on: epoll)
        }
    }

    /// Called by the kernel in the middle of a call.
    private func preempt() {
        guard !running.isEmpty, running.count <= Self.preemptionDepthMax, schedule.preempts() else { return }
        findCandidates()
        guard !candidates.isEmpty else { return }
        trace.note("is preempted")
        step(runners[schedule.pick(among: candidates)])
    }

    /// Nobody can go on: to the earliest deadline.
    private func passTime() throws(SimulationFailure) {
        if kernel.activity != lastActivity.count { lastActivity = (kernel.activity, kernel.now) }
        let earliest = runners.compactMap(\.deadline).min()
        guard let earliest, earliest <= lastActivity.time.advanced(by: Self.quietMax) else {
            throw SimulationFailure(kind: .stalled, description: "nobody can go on\n" + waiters)
        }
        trace.who = "clock"
        trace.note("time passes, µs:", Int(earliest.nanoseconds(since: kernel.now) / 1_000))
        kernel.advance(to: earliest)
    }

    /// Who waits for what.
    private var waiters: String {
        runners.compactMap { runner in
            guard case .body = runner.kind else { return nil }
            switch runner.state {
            case .proceed: return "    \(runner.name) can go on"
            case .finished: return "    \(runner.name) has finished"
            case .wait(let epoll, nil): return "    \(runner.name) waits for epoll set \(epoll), without end"
            case .wait(let epoll, let deadline?):
                let left = Double(deadline.nanoseconds(since: kernel.now)) / 1e9
                return "    \(runner.name) waits for epoll set \(epoll), for \(left) s more"
            }
        }.joined(separator: "\n")
    }

    fileprivate func join(_ runner: Runner) {
        precondition(running.isEmpty, "a join inside a step would wait for itself")
        do throws(SimulationFailure) {
            try run(until: { !runner.isAlive })
        } catch {
            failure = failure ?? error
        }
    }

    @discardableResult
    private func addRunner(_ name: String, _ kind: Runner.Kind) -> Runner {
        let runner = Runner(name: name, kind: kind)
        let index = schedule.register()
        precondition(index == runners.count, "runners and the schedule's weights are numbered alike")
        runners.append(runner)
        if runner.isAlive { aliveCount += 1 }
        return runner
    }
}

/// One of those who take turns.
private final class Runner {
    enum Kind {
        case body(any ThreadBody)
        /// Carries what is on the wire.
        case network
        /// Runs offloaded work.
        case offload
    }

    let name: String
    let kind: Kind
    var state = ThreadStep.proceed
    var isInStep = false

    init(name: String, kind: Kind) {
        self.name = name
        self.kind = kind
    }

    /// A body that has not finished.
    var isAlive: Bool {
        if case .body = kind { if case .finished = state { false } else { true } } else { false }
    }

    var deadline: MonotonicTime? {
        if case .body = kind, case .wait(_, let deadline) = state { deadline } else { nil }
    }
}

/// Offloaded work: a cancelled piece stays in the queue and does nothing. Sendable, unchecked: as its host.
private final class SimulatedJob: OffloadedWork, @unchecked Sendable {
    private var work: (@Sendable () -> Void)?

    init(_ work: @escaping @Sendable () -> Void) { self.work = work }

    func run() { work.take()?() }

    func cancel() -> Bool { work.take() != nil }
}

/// A thread's handle. Sendable, unchecked: as its host.
private final class SimulatedThread: HostThread, @unchecked Sendable {
    private let host: SimulatedHost
    private let runner: Runner

    init(host: SimulatedHost, runner: Runner) {
        self.host = host
        self.runner = runner
    }

    func join() { host.join(runner) }
}
