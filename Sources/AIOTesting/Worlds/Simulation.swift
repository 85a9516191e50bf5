// A simulated world: one seed, one virtual clock, one order of steps; machines in it with kernels of their own, joined by
// a network; and the test's code, which runs as one more of those who take turns.

import AIO
import AIOKernel

/// One run of something under a simulated schedule.
///
/// The engine in it is the production engine; what it stands on, system calls and threads, is simulated. Nothing in a
/// simulation happens at the same time, nothing depends on the machine or its clock: the same seed gives the same
/// run.
///
/// ```swift
/// try await Simulation(seed: 1).run { world in
///     try await withMockPeer(Shout.init) { peer in … }
/// }
/// ```
///
/// As a rule the trait `.simulated(seeds:)` makes simulations, and a test does not see them.
///
/// Sendable, unchecked: its parts are used by the simulation's own thread, and before that is started.
public final class Simulation: @unchecked Sendable {
    /// What everything in the run is drawn from.
    public let seed: UInt64
    let trace: SimulationTrace
    let time: SimulatedTime
    let network: SimulatedNetwork
    let scheduler: Scheduler
    let executor: SimulatedExecutor
    let waits: Waits
    let plan: Plan
    let deviations: Deviations
    private var random: SeededRandom
    /// In the order in which they were made.
    private(set) var hosts: [NetworkHost] = []
    /// Programs on them that nobody has ended yet.
    private var programs: [HostProgram] = []
    private var hasBegun = false
    private var hasEnded = false
    private(set) var failure: SimulationFailure?
    /// Who waits until nobody else can go on.
    private var settling: [CheckedContinuation<Void, Never>] = []

    /// The simulation that the calling task is part of.
    @TaskLocal public static var current: Simulation?

    /// - Parameter schedule: how it is decided whose turn it is.
    public convenience init(seed: UInt64, schedule: SchedulePolicy = .mixed) {
        self.init(seed: seed, schedule: schedule, keeping: nil)
    }

    init(seed: UInt64, schedule: SchedulePolicy, keeping kept: DeviationSet?) {
        self.seed = seed
        deviations = Deviations(keeping: kept)
        var random = SeededRandom(seed: seed)
        trace = SimulationTrace()
        time = SimulatedTime(trace: trace)
        network = SimulatedNetwork(
            time: time, chance: random.split(), trace: trace, deviations: deviations)
        let policy = schedule.resolved(for: seed)
        scheduler = Scheduler(
            network: network,
            schedule: SeededSchedule(random: random.split(), policy: policy, deviations: deviations))
        executor = SimulatedExecutor(
            chance: policy == .inTurn ? nil : random.split(), trace: trace, deviations: deviations)
        waits = Waits(time: time)
        plan = Plan(time: time)
        self.random = random
        scheduler.quietMax = nil
        scheduler.add(executor)
        scheduler.add(waits)
        scheduler.add(plan)
        executor.isOver = { [weak self] in self?.hasEnded ?? true }
        scheduler.onQuiet = { [weak self] in self?.hasNews ?? false }
    }

    /// Runs `body` in this simulation, once: its code, and that of all its child tasks, runs on the simulation's thread.
    ///
    /// As many simulations of a process run at a time as there are processors; this waits for its turn. Returns when `body`
    /// does. When nobody in the simulation can go on, and no time is set for anything, that is a
    /// dead-lock: whatever `body` waits for in the simulation throws at once, with a list of who waits for what.
    /// - Throws: what `body` throws; `SimulationError`, if the run broke down.
    public func run<Result>(_ body: (Simulation) async throws -> Result) async throws -> Result {
        precondition(!hasBegun, "a simulation is run once")
        hasBegun = true
        // One inside of another has its place already.
        let waits = Self.current == nil
        if waits { await SimulationSlots.shared.take() }
        defer { if waits { SimulationSlots.shared.giveBack() } }
        let thread = try PthreadThread(named: "simulation") { self.loop() }
        defer { thread.join() }
        return try await withTaskExecutorPreference(executor) {
            defer { hasEnded = true }
            return try await Self.$current.withValue(self) {
                let result: Result
                do {
                    result = try await withPrograms { try await body(self) }
                } catch {
                    throw failure.map { SimulationError($0, seed: seed, trace: trace) } ?? error
                }
                try check()
                return result
            }
        }
    }

    /// Ends the programs that `body` has started.
    func withPrograms<Result>(_ body: () async throws -> Result) async throws -> Result {
        let before = programs.count
        let outcome: Swift.Result<Result, any Error>
        do {
            outcome = .success(try await body())
        } catch {
            outcome = .failure(error)
        }
        var problem: SimulationError?
        while programs.count > before {
            let ended = await programs.removeLast().end()
            problem = ended ?? problem
        }
        if before == 0 { plan.removeAll() }
        let result = try outcome.get()
        if let problem { throw problem }
        return result
    }

    func began(_ program: HostProgram) { programs.append(program) }

    /// After the body.
    private func check() throws(SimulationError) {
        // What came from outside explains why nobody could go on meanwhile.
        if let failure, executor.jobsFromOutside == 0 {
            throw SimulationError(failure, seed: seed, trace: trace)
        }
        var problems = trace.violations
        if executor.jobsThatLeft > 0 {
            problems.append(
                """
                \(executor.jobsThatLeft) times a task left the simulation for Swift's global executor, where nothing is \
                repeatable. Task { … } and Task.detached do that: use child tasks, or Task(executorPreference: \
                Simulation.current?.taskExecutor)
                """)
        }
        if executor.jobsFromOutside > 0 {
            problems.append(
                """
                \(executor.jobsFromOutside) times a task was resumed from outside of the simulation: by Task.sleep on a \
                real clock, another executor, or a callback
                """)
        }
        guard problems.isEmpty else {
            let text = problems.joined(separator: "\n")
            throw SimulationError(
                SimulationFailure(kind: .broken, description: text), seed: seed, trace: trace)
        }
    }

    /// For tasks that are no child tasks and yet belong to the simulation.
    public var taskExecutor: any TaskExecutor { executor }

    // MARK: The simulation's thread

    // On the real clock, and long: what is outside may have to wait for its turn among everything that a test process does.
    private static let patienceOutside: Duration = .seconds(120)
    private static let patienceWithWhoLeft: Duration = .seconds(3_600)
    /// For what has broken down to clear away after itself.
    private static let stepsToEnd = 100_000
    private var nudgesLeft = 20
    /// Whoever does not end after having been told so often will not.
    private var breakdownsLeft = 100

    private func loop() {
        executor.begin()
        while !hasEnded {
            do throws(SimulationFailure) {
                try scheduler.run(until: { hasEnded })
            } catch {
                breakDown(error)
            }
        }
        executor.end()
    }

    /// Nobody can go on, but for those who wait for just that, or for what comes from outside.
    private var hasNews: Bool {
        if executor.lookOutside() { return true }
        guard let first = settling.first else { return false }
        settling.removeFirst()
        first.resume()
        return true
    }

    /// On the simulation's thread.
    func suspendUntilQuiet() async { await withCheckedContinuation { settling.append($0) } }

    /// Nobody can go on: whoever waits in the script is told. If nobody does, the test waits for something outside, and is told
    /// afterwards that it must not; if that does not come either, there is nothing left to do but to say so.
    private func breakDown(_ failure: SimulationFailure) {
        let isFirst = self.failure == nil
        breakdownsLeft -= 1
        guard breakdownsLeft > 0 else {
            fatalError("seed \(seed): \(failure.description)\n  and the test goes on though it was told so")
        }
        if waits.fail(failure) {
            self.failure = self.failure ?? failure
            scheduler.stepsMax += Self.stepsToEnd
            return
        }
        if failure.kind == .endless, isFirst {
            // Perhaps nobody waits just now.
            self.failure = failure
            scheduler.stepsMax += Self.stepsToEnd
            return
        }
        if executor.jobsThatLeft == 0, nudgesLeft > 0 {
            if executor.waitOutside(for: .seconds(1)) { return }
            // Not that either: the engine itself has forgotten something, and whoever waits for that is not to wait for ever.
            self.failure = self.failure ?? failure
            nudgesLeft -= 1
            scheduler.nudge()
            return
        }
        let patience = executor.jobsThatLeft > 0 ? Self.patienceWithWhoLeft : Self.patienceOutside
        if executor.waitOutside(for: patience) { return }
        fatalError(
            "seed \(seed): \(failure.description)\n  and the test waits for something that is not of the simulation"
        )
    }

    // MARK: Hosts

    /// A host with a kernel and an address of its own, whose name nobody can look up.
    func makeHost(named name: String = "", options: SimulatedKernelOptions = .roomy) -> NetworkHost {
        let number = hosts.count + 1
        let kernel = SimulatedKernel(options: options, network: network, chance: random.split())
        kernel.address = .v4(10, 0, UInt8(number >> 8), UInt8(number & 255))
        let host = SimulatedHost(kernel: kernel, scheduler: scheduler, executor: executor, name: name)
        let made = NetworkHost(name: name, kernel: kernel, host: host, simulation: self)
        hosts.append(made)
        return made
    }
}

/// Runs `body` with the world that the calling test is part of, under `.simulated`, or with one of its own, of seed `AIO_SEED` or 0.
///
/// ```swift
/// try await withSimulation { world in
///     world.host("server").run { aio in try await aio.serve(on: "*:80", handler: Shout.init) }
///     let peer = try await world.host("client").connect(to: .ip(world.host("server").address, port: 80))
///     …
/// }
/// ```
///
/// When it returns, programs that were started on hosts are cancelled and waited for.
/// - Throws: what `body` throws, or a program; `SimulationError`, if the run broke down, or if this is called outside of its
///   simulation's thread.
public func withSimulation<Result>(_ body: (Simulation) async throws -> Result) async throws -> Result {
    guard let simulation = Simulation.current else {
        let environment = try ReplayEnvironment()
        return try await Simulation(
            seed: environment.seed ?? 0, schedule: .mixed, keeping: environment.kept
        ).run(body)
    }
    guard simulation.executor.isCurrent else {
        throw SimulationError(
            """
            this runs outside of its simulation: the test, its suite or its module is isolated to the main actor or \
            another actor with an executor of its own; a simulated test has to be nonisolated
            """)
    }
    return try await simulation.withPrograms { try await body(simulation) }
}
