// The threads of one simulated machine, for its engine: each is a runner of the world's scheduler.

package import AIOKernel

/// Sendable, unchecked: see `Runner`.
package final class SimulatedHost: Host, @unchecked Sendable {
    private let kernel: SimulatedKernel
    private let scheduler: Scheduler
    private let prefix: String
    private let offloads: OffloadRunner
    /// nil where there are no tasks.
    private let executor: SimulatedExecutor?
    private var isShutDown = false

    /// `name` goes before the names of its threads, if the world has several machines.
    package init(
        kernel: SimulatedKernel, scheduler: Scheduler, executor: SimulatedExecutor? = nil, name: String = ""
    ) {
        self.kernel = kernel
        self.executor = executor
        self.scheduler = scheduler
        prefix = name.isEmpty ? "" : name + "/"
        offloads = OffloadRunner(name: prefix + "offload", time: kernel.network.time)
        scheduler.add(offloads)
        kernel.diskQueueStarted = { [weak scheduler, prefix] queue in
            queue.name = prefix + queue.name
            scheduler?.add(queue)
        }
        kernel.preempt = { [weak scheduler] in scheduler?.preempt() }
    }

    package func startThread(
        named name: String, _ body: any ThreadBody
    ) throws(AIOError) -> any HostThread {
        let runner = BodyRunner(name: prefix + name, body: body, kernel: kernel)
        scheduler.add(runner)
        return SimulatedThread(scheduler: scheduler, runner: runner)
    }

    package func isCurrent(_ body: any ThreadBody) -> Bool { currentBody === body }

    package var currentThreadIdentity: UInt {
        currentBody.map { UInt(bitPattern: ObjectIdentifier($0)) } ?? 0
    }

    private var currentBody: (any ThreadBody)? { (scheduler.current as? BodyRunner)?.body }

    package var hopTracer: (any HopTracer)? { kernel.trace }

    package var globalTaskExecutor: any TaskExecutor { executor ?? globalConcurrentExecutor }

    package func makeGlobalSerialExecutor() -> any SerialExecutor {
        guard let executor else { preconditionFailure("there are no tasks on this machine") }
        return SimulatedSerialExecutor(executor)
    }

    package func offload(
        _ lane: OffloadLane, _ work: @escaping @Sendable () -> Void
    ) throws(AIOError) -> any OffloadedWork {
        guard !isShutDown else { throw AIOError(.shutDown) }
        // Looking a name up takes its time here, as the thread that does it cannot wait.
        let delay = lane == .names ? kernel.network.lookUpTime() : .zero
        return offloads.add(due: kernel.now.advanced(by: delay), work)
    }

    package func offloadStatistics(of lane: OffloadLane) -> OffloadStatistics { OffloadStatistics() }

    package func watchSignals(
        _ signals: [ProcessSignal], _ handler: @escaping @Sendable (ProcessSignal) -> Void
    ) throws(AIOError) -> any SignalWatch {
        throw AIOError(.unsupported, detail: "a simulated process gets no signals")
    }

    package func shutDown() {
        offloads.runAll()
        isShutDown = true
    }
}

/// A thread's handle. Sendable, unchecked: see `Runner`.
private final class SimulatedThread: HostThread, @unchecked Sendable {
    private let scheduler: Scheduler
    private let runner: BodyRunner

    init(scheduler: Scheduler, runner: BodyRunner) {
        self.scheduler = scheduler
        self.runner = runner
    }

    func join() { scheduler.join(runner) }
}
