// The threads of a simulation, which are none: bodies, tasks and the network take turns on one thread, one step at a time,
// in an order drawn from the seed. Between any two steps anything else may run.

import AIOKernel

/// Runs everything in a world, step by step.
///
/// When nobody can go on, time jumps to the earliest deadline. If there is none, or if time alone would have to pass for
/// longer than `quietMax` without a byte, a signal or a connection moving, the run has *stalled*: a lost wake-up must
/// not hide behind the idle timeout that ends it ten minutes later.
///
/// Steps are not atomic where a real thread makes a system call while it holds no lock (`recv`, `sendmsg`):
/// there another runner may cut in, with a whole step of its own.
///
/// Sendable, unchecked: see `Runner`.
package final class Scheduler: @unchecked Sendable {
    /// Steps of one run.
    package var stepsMax = 400_000
    package var quietMax: Duration? = .seconds(60)
    private static let preemptionDepthMax = 3
    /// Virtual time a step takes.
    private static let stepDuration = Duration.microseconds(1)

    private let network: SimulatedNetwork
    private let trace: SimulationTrace
    @safe @exclusivity(unchecked) private var schedule: SeededSchedule
    @safe @exclusivity(unchecked) private var runners: [any Runner] = []
    /// Indices into `runners` of those in the middle of a step, outermost first.
    @safe @exclusivity(unchecked) private var running: [Int] = []
    @safe @exclusivity(unchecked) package private(set) var stepCount = 0
    /// Who could go on now; kept for its memory.
    @safe @exclusivity(unchecked) private var candidates: [Int] = []
    /// `network.activity` when somebody last moved something, and when that was.
    private var lastActivity: (count: Int, time: MonotonicTime)
    /// Who keeps time from jumping, and how far it may go all the same.
    private var holdCount = 0
    private var allowedUntil = MonotonicTime(nanoseconds: 0)
    /// Called when nobody can go on, before time passes; true if somebody can now.
    var onQuiet: () -> Bool = { false }
    /// The first failure of a `join`, which cannot throw it.
    package private(set) var failure: SimulationFailure?

    package init(network: SimulatedNetwork, schedule: SeededSchedule) {
        self.network = network
        trace = network.trace
        self.schedule = schedule
        lastActivity = (0, network.time.now)
        add(network)
    }

    package func add(_ runner: any Runner) {
        let index = schedule.register()
        precondition(index == runners.count, "runners and the schedule's weights are numbered alike")
        runners.append(runner)
    }

    /// Who is taking a step.
    var current: (any Runner)? { running.last.map { runners[$0] } }

    private var time: SimulatedTime { network.time }

    // MARK: Running

    /// Takes steps until `condition` holds, or nobody is left who keeps the simulation alive.
    package func run(until condition: () -> Bool = { false }) throws(SimulationFailure) {
        while !condition(), isAnybodyAlive {
            findCandidates()
            guard !candidates.isEmpty else {
                if !onQuiet() { try passTime() }
                continue
            }
            guard stepCount < stepsMax else {
                let text = "after \(stepCount) steps the simulation has not ended"
                throw SimulationFailure(kind: .endless, description: text + "\n" + waiters)
            }
            step(schedule.pick(among: candidates))
        }
    }

    private var isAnybodyAlive: Bool {
        for runner in runners where runner.isAlive { return true }
        return false
    }

    private func step(_ index: Int) {
        let runner = runners[index]
        stepCount += 1
        time.advance(to: time.now.advanced(by: Self.stepDuration))
        running.append(index)
        trace.who = runner.name
        trace.note("step", stepCount)
        runner.step()
        running.removeLast()
        trace.who = running.last.map { runners[$0].name } ?? "test"
    }

    /// In plain loops: this is done before every step, and debug builds inline no closures.
    private func findCandidates() {
        candidates.removeAll(keepingCapacity: true)
        let nobodyIsRunning = running.isEmpty
        var index = 0
        while index < runners.count {
            if runners[index].canStep, nobodyIsRunning || !running.contains(index) {
                candidates.append(index)
            }
            index += 1
        }
    }

    /// Called by a kernel in the middle of a call.
    func preempt() {
        guard !running.isEmpty, running.count <= Self.preemptionDepthMax, schedule.preempts() else { return }
        findCandidates()
        guard !candidates.isEmpty else { return }
        trace.note("is preempted")
        step(schedule.pick(among: candidates))
    }

    /// Nobody can go on: to the earliest deadline.
    private func passTime() throws(SimulationFailure) {
        if network.activity != lastActivity.count { lastActivity = (network.activity, time.now) }
        let earliest = runners.compactMap(\.deadline).min()
        let latest = quietMax.map { lastActivity.time.advanced(by: $0) } ?? .distantFuture
        let isHeld = holdCount > 0 && earliest ?? .distantFuture > allowedUntil
        guard let earliest, earliest <= latest, !isHeld else {
            let why = isHeld && earliest != nil ? "nobody can go on, and time is held" : "nobody can go on"
            throw SimulationFailure(kind: .stalled, description: why + "\n" + waiters)
        }
        trace.who = "clock"
        trace.note("time passes, µs:", Int(earliest.nanoseconds(since: time.now) / 1_000))
        time.advance(to: earliest)
    }

    func holdTime() { holdCount += 1 }
    func letTimeGo() { holdCount -= 1 }
    /// So far time may jump though it is held.
    func allowTime(until time: MonotonicTime) { allowedUntil = max(allowedUntil, time) }

    /// Who waits for what.
    var waiters: String {
        runners.compactMap { runner in
            runner.waitsFor.map { "    \(runner.name) \($0)" }
                ?? (runner is BodyRunner ? "    \(runner.name) has finished" : nil)
        }.joined(separator: "\n")
    }

    /// Wakes all threads, so that what was forgotten is found after all.
    func nudge() { for case let body as BodyRunner in runners { body.nudge() } }

    /// Takes steps until that runner is done.
    func join(_ runner: any Runner) {
        do throws(SimulationFailure) {
            try run(until: { !runner.isAlive })
        } catch {
            failure = failure ?? error
        }
    }
}
