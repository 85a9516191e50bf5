// One I/O thread: what it owns, and the pass it makes over and over. Readiness comes in from the kernel,
// finished I/O goes out to the completion queues; submissions come in from the program, writes go out to the
// kernel.

package import AIOBytes
package import AIOKernel
package import Synchronization

/// An I/O worker: a raw pthread that does all I/O of its connections, and nothing else.
///
/// Theory of operation. The thread repeats one pass, each line a stage and a step of its own for the host:
///
/// ```
///   wait       epoll; blocks only if the pass before found nothing left to do
///   input      readiness, a part of what the wait brought → accept, recv; after the last part, connections with a
///              budget left over from last time
///   timers     what is due
///   publish    completions of this pass → the program, one exchange, one wake-up at most
///   submit     what the program wants: writes, closes, new connections and listeners; jobs from elsewhere
///   run        jobs of handlers that live on this thread
///   carryOut   what they want
///   output     queued writes → sendmsg
///   announce   (nothing left) say that this thread is about to sleep
///   recheck    look at the submissions once more, then sleep or go round
/// ```
///
/// Every stage has a budget, so that no connection starves another: what a budget left over is in
/// `stillReadable`, `stillAcceptable` or `toWrite` and makes the next wait a look without blocking.
///
/// Ownership: everything below "thread-bound" is touched by the worker's thread alone. What others want comes
/// through `submissions`. Stages run as separate steps so that a simulated host can run other threads between
/// any two of them.
package final class Worker: JobThread, @unchecked Sendable {
    // Fixed at creation; any thread.
    package let index: Int
    package let configuration: EngineConfiguration
    package let kernel: any Kernel
    package let accounts: EngineAccounts
    let descriptorReserve: DescriptorReserve
    private let hopTracer: (any HopTracer)?
    let alarm: WatchdogAlarm
    /// For handlers that run on this thread.
    package let executors: Executors
    /// The thread for handlers that are to run beside this one. Set, if at all, before a connection that needs it
    /// is submitted.
    package var partner: Partner?

    // Any thread pushes, this one takes.
    let submissions = TakeAllList<SubmissionLink>()
    let parking = Parking()
    /// The thread takes no more submissions. Set by it as its last act, read by whoever submits.
    let hasEnded = Atomic<Bool>(false)
    /// The end was asked for. Set by the worker, read by handlers that end.
    let isEnding = Atomic<Bool>(false)
    let wakesSent = Atomic<UInt64>(0)
    let wakesAvoided = Atomic<UInt64>(0)
    /// Guards the wake-up descriptor against being signalled while or after it is closed.
    let wakeLock = PosixLock()
    var wakeCounter: Descriptor?

    /// Handlers that have begun and not ended, wherever they run: this thread ends after them.
    let handlers = Atomic<Int>(0)

    /// Frames that the program has taken. Whoever takes them adds.
    package let framesSurfaced = Atomic<UInt64>(0)

    // One writer (this thread), any reader.
    package let counters = WorkerCounters()

    // Thread-bound.
    /// nil once the thread has ended.
    var epoll: Descriptor?
    /// Its number, by which a host knows what this thread sleeps on.
    let epollNumber: Int32
    var stage = Stage.wait
    var sleepsUntil: MonotonicTime?
    var mayBlock = false
    /// Since the last wait, passes that went straight from the recheck to the submissions.
    var passesWithoutWait = 0
    static let passesWithoutWaitMax = 8
    /// What is read in a pass, in connections and in bytes: few enough that it is still in the second-level cache when
    /// handlers look at it and when it is written. What a wait brought beyond that is for the next pass, which begins
    /// without a wait.
    static let connectionsReadMax = 32
    static let bytesReadMax = 256 << 10
    /// What every message passes, in a box (see `Owned`).
    let bound: Owned<Bound>
    package let slabs: SlabPool
    var timers: TimerWheel<TimerTarget>
    let writeBatch = WriteBatch()
    let readiness: ReadinessBatch
    var stillAcceptable = WorkList<Acceptor>()
    /// What other registrations than connections and listeners left over.
    var unfinished = WorkList<Registration>()
    /// Made with the first datagram that comes or goes.
    lazy var inboundDatagrams = InboundDatagrams()
    lazy var outboundDatagrams = OutboundDatagrams()
    /// Not read for want of slab memory.
    var pressed = WorkList<ConnectionCore>()
    var completions = NodeChain<CompletionLink>()
    var completionsSink: CompletionQueue?
    var ending: Ending?

    let jobSignal = JobSignal()

    struct Bound: ~Copyable {
        var now: MonotonicTime
        var memory: InboundMemory
        var table = RegistrationTable()
        var stillReadable = WorkList<ConnectionCore>()
        var toWrite = WorkList<ConnectionCore>()
        /// Submissions of this thread itself.
        var ownSubmissions = NodeChain<SubmissionLink>()

        init(now: MonotonicTime, memory: InboundMemory) {
            self.now = now
            self.memory = memory
        }
    }

    enum Stage {
        case wait, input, timers, publish, submit, run, carryOut, output, settle, announce, recheck, end
    }

    struct Ending {
        var isGraceful: Bool
        let done: @Sendable () -> Void
    }

    /// The token of the wake-up counter: registrations never have it (their generations are not zero).
    static let wakeToken: UInt64 = 0

    init(
        index: Int, configuration: EngineConfiguration, kernel: any Kernel, accounts: EngineAccounts,
        descriptorReserve: DescriptorReserve, alarm: WatchdogAlarm, host: any Host
    ) throws(AIOError) {
        self.index = index
        self.configuration = configuration
        self.kernel = kernel
        self.accounts = accounts
        self.descriptorReserve = descriptorReserve
        self.alarm = alarm
        hopTracer = host.hopTracer
        executors = Executors(host: host, name: "aio-\(index)")
        let now = kernel.now
        slabs = SlabPool(slabByteCount: configuration.slabByteCount, idleSlabsMax: configuration.idleSlabsMax)
        timers = TimerWheel(now: now.nanoseconds)
        readiness = ReadinessBatch(capacity: min(max(configuration.readinessBatchMax, 1), 512))
        bound = Owned(
            Bound(now: now, memory: InboundMemory(byteCountMax: configuration.inboundByteCountMax)))
        let epoll = try kernel.makeEpoll()
        let counter = try kernel.makeEventCounter()
        // Edge-triggered and never read: each signal is an edge of its own, so waking costs one call and not
        // two.
        try kernel.add(counter, to: epoll, interest: .input, token: Self.wakeToken)
        epollNumber = epoll.number
        self.epoll = consume epoll
        wakeCounter = consume counter
    }

    // MARK: The pass

    package func step() -> ThreadStep {
        switch stage {
        case .wait: wait()
        case .input: input()
        case .timers: fireTimers()
        case .publish: publish(then: .submit)
        case .submit: submit()
        case .run: runJobs()
        case .carryOut: takeSubmissions(then: .output)
        case .output: output()
        case .settle: return settle()
        case .announce: announce()
        case .recheck: return recheck()
        case .end: return finish()
        }
        return .proceed
    }

    func wait() {
        let timeout: Duration? =
            if !mayBlock {
                .zero
            } else if let sleepsUntil {
                .nanoseconds(Int64(clamping: sleepsUntil.nanoseconds(since: kernel.now)))
            } else {
                nil
            }
        let result = kernel.wait(on: epoll!, into: readiness, timeout: timeout)
        if mayBlock {
            parking.resumed()
            mayBlock = false
        }
        if let errno = result.errno {
            configuration.report(
                Report(
                    .error, "worker \(index) cannot wait", error: AIOError(errno: errno, call: "epoll_wait")))
        }
        counters.polls.increment()
        passesWithoutWait = 0
        now = kernel.now
        stage = .input
    }

    func input() {
        // A stale token finds nothing: its descriptor was closed earlier in this batch.
        let read = counters.bytesReceived.current
        readiness.take(atMost: Self.connectionsReadMax) { token, readiness, coming in
            // What that one needs comes near while the kernel is busy with this one.
            if let coming { table.prefetch(coming) }
            table[token]?.becameReady(readiness, on: self)
            return counters.bytesReceived.current &- read < UInt64(Self.bytesReadMax)
        }
        if readiness.isEmpty { readLeftovers() }
        stage = .timers
    }

    /// What budgets left over from the pass before, or submissions resumed. What this pass leaves over in
    /// turn waits for the next.
    func readLeftovers() {
        if !stillReadable.isEmpty {
            let round = stillReadable.takeRound()
            for connection in round {
                connection.io.isInReadList = false
                connection.readAvailable(on: self)
            }
            stillReadable.recycle(round)
        }
        if !stillAcceptable.isEmpty {
            let round = stillAcceptable.takeRound()
            for acceptor in round { acceptor.acceptWaiting(on: self) }
            stillAcceptable.recycle(round)
        }
        if !unfinished.isEmpty {
            let round = unfinished.takeRound()
            for registration in round { registration.goOn(on: self) }
            unfinished.recycle(round)
        }
    }

    func fireTimers() {
        while let target = timers.popDue(at: now.nanoseconds) {
            switch target {
            case .registration(let token): table[token]?.deadlineReached(on: self)
            case .timer(let timer): timer.due(on: self)
            case .pressure: resumePressed()
            case .endOfShutdown: endRegistrations(gracefully: false)
            }
        }
        if !pressed.isEmpty, memory.armTimer() {
            _ = timers.insert(.pressure, at: now.advanced(by: .milliseconds(5)).nanoseconds)
        }
        stage = .publish
    }

    func publish(then next: Stage) {
        stage = next
        guard !completions.isEmpty, let sink = completionsSink else { return }
        counters.completions.add(completions.count)
        var published = NodeChain<CompletionLink>()
        swap(&published, &completions)
        switch sink.push(published) {
        case .woke: counters.consumerWakes.increment()
        case .foundAwake: counters.consumerWakesAvoided.increment()
        }
    }

    func submit() {
        takeSubmissions(then: .run)
        if executors.jobs.isEmpty, ownSubmissions.isEmpty { stage = .output }
    }

    func takeSubmissions(then next: Stage) {
        var taken = submissions.takeAll()
        taken.append(contentsOf: takeOwnSubmissions())
        counters.submissions.add(taken.count)
        while let node = taken.popFirst() { node.perform(on: self) }
        stage = next
    }

    func takeOwnSubmissions() -> NodeChain<SubmissionLink> {
        var taken = NodeChain<SubmissionLink>()
        swap(&taken, &ownSubmissions)
        return taken
    }

    func runJobs() {
        alarm.jobsBegin()
        counters.jobs.add(executors.run(atMost: configuration.jobsPerPassMax))
        stage = .carryOut
    }

    func output() {
        if !toWrite.isEmpty {
            let round = toWrite.takeRound()
            for connection in round {
                connection.io.isInWriteList = false
                connection.writeQueued(on: self)
            }
            toWrite.recycle(round)
        }
        publish(then: .settle)
    }

    /// The end of a pass: go round if something is left, else get ready to sleep.
    func settle() -> ThreadStep {
        if isDone, executors.jobs.end() {
            stage = .end
        } else if !readiness.isEmpty {
            stage = .input
        } else if !hasMoreToDo {
            stage = .announce
        } else {
            stage = .wait
        }
        return .proceed
    }

    var hasMoreToDo: Bool {
        !stillReadable.isEmpty || !stillAcceptable.isEmpty || !toWrite.isEmpty || !ownSubmissions.isEmpty
            || !executors.jobs.isEmpty || !unfinished.isEmpty
    }

    /// Nothing is left to look after, and nobody who might bring anything.
    var isDone: Bool {
        ending != nil && table.count == 0 && handlers.load(ordering: .sequentiallyConsistent) == 0
            && ownSubmissions.isEmpty
    }

    func announce() {
        parking.announce()
        stage = .recheck
    }

    func recheck() -> ThreadStep {
        let looksAgain = configuration.plantedFault != .sleepsWithoutSecondLook
        if looksAgain, !submissions.isEmpty(), parking.retract() {
            // A program that submits all the time must not keep the kernel's news, and timers, waiting.
            stage = passesWithoutWait < Self.passesWithoutWaitMax ? .submit : .wait
            passesWithoutWait += 1
            return .proceed
        }
        counters.sleeps.increment()
        mayBlock = true
        sleepsUntil = timers.nextWake().map { MonotonicTime(nanoseconds: $0) }
        stage = .wait
        return .wait(epoll: epollNumber, deadline: sleepsUntil)
    }
}

extension Worker {
    /// Nothing, unless somebody watches. Any thread.
    @inline(__always) func note(_ hop: Hop, of connection: ConnectionCore, byteCount: Int = 0) {
        if let hopTracer { hopTracer.note(hop, connection: connection.id, byteCount: byteCount) }
    }
}

// MARK: - What is in the box

extension Worker {
    package var now: MonotonicTime {
        get { bound.value.now }
        set { bound.value.now = newValue }
    }

    /// Within a pass, for deadlines that begin in the middle of it.
    func lookAtTheClock() { now = kernel.now }

    var memory: InboundMemory {
        _read { yield bound.value.memory }
        _modify { yield &bound.value.memory }
    }

    var table: RegistrationTable {
        _read { yield bound.value.table }
        _modify { yield &bound.value.table }
    }

    var stillReadable: WorkList<ConnectionCore> {
        _read { yield bound.value.stillReadable }
        _modify { yield &bound.value.stillReadable }
    }

    var toWrite: WorkList<ConnectionCore> {
        _read { yield bound.value.toWrite }
        _modify { yield &bound.value.toWrite }
    }

    var ownSubmissions: NodeChain<SubmissionLink> {
        _read { yield bound.value.ownSubmissions }
        _modify { yield &bound.value.ownSubmissions }
    }
}
