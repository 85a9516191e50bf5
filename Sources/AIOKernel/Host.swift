// The other seam: who runs when. Starting threads, knowing which thread this is, work that blocks, and the
// one place where a thread may sleep. Production is pthreads (Linux/PthreadHost.swift); the simulation runs
// the same bodies step by step in an order drawn from a seed.

/// What a thread's body asks for after a step.
package enum ThreadStep: Equatable, Sendable {
    /// More to do: call `step` again.
    case proceed
    /// The next step waits on `epoll` and may block until `deadline` (nil: without end). Every step before it
    /// was free of blocking; announcing the sleep and looking again for work were steps of their own, so a
    /// scheduler that puts other threads between them can find a lost wake-up.
    case wait(epoll: Int32, deadline: MonotonicTime?)
    /// The body is done; its thread ends.
    case finished
}

/// A thread's work, cut into steps.
///
/// A pthread calls `step` in a loop. A simulated host calls it when its schedule says so, and after `.wait`
/// only when the epoll descriptor has something ready or the deadline is reached.
package protocol ThreadBody: AnyObject, Sendable {
    func step() -> ThreadStep
}

/// A thread that was started. Ends when its body says `.finished`.
package protocol HostThread: AnyObject, Sendable {
    /// Waits until the thread has ended. Blocks: not to be called on a worker.
    func join()
}

/// Work that blocks goes to a lane; each lane has threads and a queue of its own, so that slow names cannot
/// hold up slow disks.
package enum OffloadLane: Hashable, Sendable {
    /// Looking up hosts.
    case names
    /// What the program gives to `Proactor.offload`.
    case work
}

/// Signals that are being watched.
package protocol SignalWatch: AnyObject, Sendable {
    /// Stops watching and puts the former dispositions back. Not to be called by the watch's own handler.
    func end()
}

/// Threads and where code runs.
package protocol Host: AnyObject, Sendable {
    /// Starts a thread with SIGPIPE and all other signals blocked but those of its own faults (SIGSEGV and
    /// its like), whose handlers write backtraces. `name` is cut to 15 bytes, what the kernel keeps.
    func startThread(named name: String, _ body: any ThreadBody) throws(AIOError) -> any HostThread
    /// Whether the calling thread is the one that runs `body`.
    func isCurrent(_ body: any ThreadBody) -> Bool
    /// The identity of the body that the calling thread runs, `ObjectIdentifier` as a number; 0 on a thread that is not
    /// the host's.
    var currentThreadIdentity: UInt { get }
    /// Who watches the hops of messages; nil in production. Asked once a worker.
    var hopTracer: (any HopTracer)? { get }
    /// For tasks that are to run neither on a worker nor beside one: Swift's global executor.
    var globalTaskExecutor: any TaskExecutor { get }
    /// For an actor that is to live there.
    func makeGlobalSerialExecutor() -> any SerialExecutor
    /// Runs `work` on a thread that may block, unless it is cancelled before. Throws `.limitReached` if the
    /// lane's queue is full, `.shutDown` after `shutDown()`.
    @discardableResult
    func offload(
        _ lane: OffloadLane, _ work: @escaping @Sendable () -> Void
    ) throws(AIOError) -> any OffloadedWork
    func offloadStatistics(of lane: OffloadLane) -> OffloadStatistics
    /// Calls `handler`, on a thread of the host's, for each of these signals that the process gets, in place
    /// of what they did before. One watch at a time in a process: `.limitReached` for a second.
    func watchSignals(
        _ signals: [ProcessSignal], _ handler: @escaping @Sendable (ProcessSignal) -> Void
    ) throws(AIOError) -> any SignalWatch
    /// Ends the offload threads: queued work still runs, idle threads are joined. One that is inside a call
    /// that cannot be interrupted (getaddrinfo(3), or the program's work) is let go and ends on its own.
    func shutDown()
}
