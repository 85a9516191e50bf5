// One I/O thread: what it owns, and the pass it makes over and over. Readiness comes in from the kernel,
// finished I/O goes out to the completion queues; submissions come in from the program, writes go out to the
// kernel.

package import AIOBytes
package import AIOKernel
import Synchronization

/// An I/O worker: a raw pthread that does all I/O of its connections, and nothing else.
///
/// Theory of operation. The thread repeats one pass, each line a stage and a step of its own for the host:
///
/// ```
///   wait       epoll; blocks only if the pass before found nothing left to do
///   input      readiness → accept, recv; connections with a budget left over from last time
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
    let alarm: WatchdogAlarm
    /// For handlers that run on this thread.
    package let executors: Executors
    /// The thread for handlers that are to run beside this one. Set, if at all, before a connection that needs it
    /// is submitted.
    package private(set) var partner: Partner?

    // Any thread pushes, this one takes.
    private let submissions = TakeAllList<SubmissionLink>()
    private let parking = Parking()
    /// The thread takes no more submissions. Set by it as its last act, read by whoever submits.
    private let hasEnded = Atomic<Bool>(false)
    /// The end was asked for. Set by the worker, read by handlers that end.
    private let isEnding = Atomic<Bool>(false)
    private let wakesSent = Atomic<UInt64>(0)
    private let wakesAvoided = Atomic<UInt64>(0)
    /// Guards the wake-up descriptor against being signalled while or after it is closed.
    private let wakeLock = PosixLock()
    private var wakeCounter: Descriptor?

    /// Handlers that have begun and not ended, wherever they run: this thread ends after them.
    private let handlers = Atomic<Int>(0)

    // One writer (this thread), any reader.
    package let counters = WorkerCounters()

    // Thread-bound.
    /// nil once the thread has ended.
    var epoll: Descriptor?
    /// Its number, by which a host knows what this thread sleeps on.
    private let epollNumber: Int32
    private var stage = Stage.wait
    private var sleepsUntil: MonotonicTime?
    private var mayBlock = false
    /// Since the last wait, passes that went straight from the recheck to the submissions.
    private var passesWithoutWait = 0
    private static let passesWithoutWaitMax = 8
    /// What every message passes, in a box (see `Owned`).
    private let bound: Owned<Bound>
    package let slabs: SlabPool
    var timers: TimerWheel<TimerTarget>
    let writeBatch = WriteBatch()
    private let readiness: ReadinessBatch
    private var stillAcceptable = WorkList<Acceptor>()
    /// What other registrations than connections and listeners left over.
    private var unfinished = WorkList<Registration>()
    /// Made with the first datagram that comes or goes.
    lazy var inboundDatagrams = InboundDatagrams()
    lazy var outboundDatagrams = OutboundDatagrams()
    /// Not read for want of slab memory.
    private var pressed = WorkList<ConnectionCore>()
    private var completions = NodeChain<CompletionLink>()
    private var completionsSink: CompletionQueue?
    private var ending: Ending?

    private let jobSignal = JobSignal()
    /// Jobs run in a pass before the kernel is asked for news.
    private static let jobBudget = 512

    private struct Bound: ~Copyable {
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

    private enum Stage {
        case wait, input, timers, publish, submit, run, carryOut, output, settle, announce, recheck, end
    }

    private struct Ending {
        var isGraceful: Bool
        let done: @Sendable () -> Void
    }

    /// The token of the wake-up counter: registrations never have it (their generations are not zero).
    private static let wakeToken: UInt64 = 0

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
        try kernel.add(counter, to: epoll, interest: [.readable, .edgeTriggered], token: Self.wakeToken)
        epollNumber = epoll.number
        self.epoll = consume epoll
        wakeCounter = consume counter
    }

    // MARK: From any thread

    /// Hands a node to this worker, and wakes it if it sleeps.
    package func submit(_ node: ListNode) {
        if executors.jobs.isCurrent {
            ownSubmissions.append(node)
            return
        }
        let wasEmpty = submissions.push(node)
        // Nobody will take it: nodes hold their worker and the worker its nodes, so one that stayed would
        // keep both.
        if hasEnded.load(ordering: .sequentiallyConsistent) { _ = submissions.takeAll() }
        guard wasEmpty, parking.claimWake() else {
            wakesAvoided.wrappingAdd(1, ordering: .relaxed)
            return
        }
        wakesSent.wrappingAdd(1, ordering: .relaxed)
        wakeLock.withLock {
            if wakeCounter != nil { kernel.signal(wakeCounter!) }
        }
    }

    package var wakeCounts: (sent: UInt64, avoided: UInt64) {
        (wakesSent.load(ordering: .relaxed), wakesAvoided.load(ordering: .relaxed))
    }

    /// Runs `body` on the worker's thread with each of its open connections that this observer has.
    package func visitConnections(
        of observer: any ConnectionObserver, _ body: @escaping @Sendable (ConnectionCore) -> Void
    ) {
        submit(Visit(observer, body))
    }

    private final class Visit: ListNode, @unchecked Sendable {
        let observer: any ConnectionObserver
        let body: @Sendable (ConnectionCore) -> Void

        init(_ observer: any ConnectionObserver, _ body: @escaping @Sendable (ConnectionCore) -> Void) {
            self.observer = observer
            self.body = body
        }

        override func perform(on worker: Worker) {
            for case let connection as ConnectionCore in worker.table.all()
            where connection.sink.observer === observer { body(connection) }
        }
    }

    /// Ends this worker's listeners; `done` is called on the worker's thread. Asked of all workers before any
    /// is ended.
    package func requestListenersEnd(gracefully: Bool, done: @escaping @Sendable () -> Void) {
        submit(ListenersEndRequest(gracefully: gracefully, done: done))
    }

    /// Ends the worker: listeners close, connections end gracefully until the shutdown timeout, or at once.
    /// `done` is called on the worker's thread as the last thing it does.
    package func requestEnd(gracefully: Bool, done: @escaping @Sendable () -> Void) {
        submit(EndRequest(gracefully: gracefully, done: done))
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

    private func wait() {
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

    private func input() {
        // A stale token finds nothing: its descriptor was closed earlier in this batch.
        readiness.forEach { token, readiness in table[token]?.becameReady(readiness, on: self) }
        readiness.removeAll()
        readLeftovers()
        stage = .timers
    }

    /// What budgets left over from the pass before, or submissions resumed. What this pass leaves over in
    /// turn waits for the next.
    private func readLeftovers() {
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

    private func fireTimers() {
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

    private func publish(then next: Stage) {
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

    private func submit() {
        takeSubmissions(then: .run)
        if executors.jobs.isEmpty, ownSubmissions.isEmpty { stage = .output }
    }

    private func takeSubmissions(then next: Stage) {
        var taken = submissions.takeAll()
        taken.append(contentsOf: takeOwnSubmissions())
        counters.submissions.add(taken.count)
        while let node = taken.popFirst() { node.perform(on: self) }
        stage = next
    }

    private func takeOwnSubmissions() -> NodeChain<SubmissionLink> {
        var taken = NodeChain<SubmissionLink>()
        swap(&taken, &ownSubmissions)
        return taken
    }

    private func runJobs() {
        alarm.jobsBegin()
        counters.jobs.add(executors.run(atMost: Self.jobBudget))
        stage = .carryOut
    }

    private func output() {
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
    private func settle() -> ThreadStep {
        if isDone, executors.jobs.end() {
            stage = .end
        } else if !hasMoreToDo {
            stage = .announce
        } else {
            stage = .wait
        }
        return .proceed
    }

    private var hasMoreToDo: Bool {
        !stillReadable.isEmpty || !stillAcceptable.isEmpty || !toWrite.isEmpty || !ownSubmissions.isEmpty
            || !executors.jobs.isEmpty || !unfinished.isEmpty
    }

    /// Nothing is left to look after, and nobody who might bring anything.
    private var isDone: Bool {
        ending != nil && table.count == 0 && handlers.load(ordering: .sequentiallyConsistent) == 0 && ownSubmissions.isEmpty
    }

    private func announce() {
        parking.announce()
        stage = .recheck
    }

    private func recheck() -> ThreadStep {
        if !submissions.isEmpty(), parking.retract() {
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

// MARK: - What is in the box

extension Worker {
    package private(set) var now: MonotonicTime {
        get { bound.value.now }
        set { bound.value.now = newValue }
    }

    private var memory: InboundMemory {
        _read { yield bound.value.memory }
        _modify { yield &bound.value.memory }
    }

    private var table: RegistrationTable {
        _read { yield bound.value.table }
        _modify { yield &bound.value.table }
    }

    private var stillReadable: WorkList<ConnectionCore> {
        _read { yield bound.value.stillReadable }
        _modify { yield &bound.value.stillReadable }
    }

    private var toWrite: WorkList<ConnectionCore> {
        _read { yield bound.value.toWrite }
        _modify { yield &bound.value.toWrite }
    }

    private var ownSubmissions: NodeChain<SubmissionLink> {
        _read { yield bound.value.ownSubmissions }
        _modify { yield &bound.value.ownSubmissions }
    }
}

// MARK: - Handlers, from any thread

extension Worker {
    /// Once, by the engine, under its lock.
    func take(partner: Partner) { self.partner = partner }

    /// Calls `body` on this thread once `delay` has passed; never if the thread ends before.
    package func call(after delay: Duration, _ body: @escaping @Sendable () -> Void) -> TimerNode {
        let timer = TimerNode(deadline: kernel.now.advanced(by: delay), worker: self, body)
        timer.schedule()
        return timer
    }

    package func jobsArrived() { submit(jobSignal) }

    /// A handler of one of this worker's connections begins.
    package func handlerBegan() { handlers.wrappingAdd(1, ordering: .relaxed) }

    package func handlerEnded() {
        let left = handlers.wrappingSubtract(1, ordering: .sequentiallyConsistent).newValue
        // A worker that is ending may be waiting for this.
        if left == 0, isEnding.load(ordering: .sequentiallyConsistent) { submit(WakeRequest()) }
    }

    package var handlerCount: Int { handlers.load(ordering: .relaxed) }

    /// Whether the calling thread is this worker's.
    package var isCurrent: Bool { executors.jobs.isCurrent }

    /// Takes jobs of other threads. In the submission list at most once: the queue asks when the first comes.
    private final class JobSignal: ListNode, @unchecked Sendable {
        override func perform(on worker: Worker) { worker.executors.jobs.takeRemote() }
    }

    /// Has the worker make a pass.
    private final class WakeRequest: ListNode, @unchecked Sendable {
        override func perform(on worker: Worker) {}
    }
}

// MARK: - For registrations, on this thread

extension Worker {
    /// Adds a node to the completions of this pass.
    func complete(_ node: ListNode, to sink: CompletionQueue) {
        if completionsSink !== sink {
            publish(then: stage)
            completionsSink = sink
        }
        completions.append(node)
    }

    func isStillReadable(_ connection: ConnectionCore) {
        guard !connection.io.isInReadList else { return }
        connection.io.isInReadList = true
        stillReadable.append(connection)
    }

    func isStillAcceptable(_ acceptor: Acceptor) { stillAcceptable.append(acceptor) }

    /// `goOn` is called in the next pass. Once a pass: the caller sees to it.
    func isUnfinished(_ registration: Registration) { unfinished.append(registration) }

    func needsWriting(_ connection: ConnectionCore) {
        guard !connection.io.isInWriteList else { return }
        connection.io.isInWriteList = true
        toWrite.append(connection)
    }

    func takeIn(_ connection: ConnectionCore) {
        connection.io.token = table.insert(connection)
        counters.openConnections.increment()
        if let ending { connection.workerIsEnding(on: self, gracefully: ending.isGraceful) }
    }

    func takeIn(listener: Acceptor) -> UInt64 { table.insert(listener) }
    func takeIn(socket: DatagramCore) -> UInt64 { table.insert(socket) }

    func takeIn(attempt: DialAttempt) -> UInt64 { table.insert(attempt) }

    func letGo(of token: UInt64) { table.remove(token) }

    func letGo(of connection: ConnectionCore) {
        table.remove(connection.io.token)
        if let timer = connection.io.timer { timers.remove(timer) }
        connection.io.timer = nil
        counters.openConnections.subtract(1)
    }

    /// Out of the epoll set and closed, explicitly in this order: a duplicate of the descriptor would stay in
    /// the set.
    func forgetDescriptor(of connection: ConnectionCore) {
        kernel.remove(connection.io.descriptor!, from: epoll!)
        connection.io.descriptor = nil
    }

    func change(interest: Interest, of connection: ConnectionCore) {
        do {
            let token = connection.io.token
            try kernel.modify(connection.io.descriptor!, in: epoll!, interest: interest, token: token)
        } catch {
            connection.apply(connection.io.machine.failed(error), on: self)
        }
    }

    func setTimer(of connection: ConnectionCore, at deadline: MonotonicTime) {
        if let timer = connection.io.timer, timers.reschedule(timer, at: deadline.nanoseconds) { return }
        connection.io.timer = timers.insert(.registration(connection.io.token), at: deadline.nanoseconds)
    }

    func setTimer(token: UInt64, at deadline: MonotonicTime) {
        _ = timers.insert(.registration(token), at: deadline.nanoseconds)
    }

    // MARK: Memory

    /// The window that a connection may have now: its own, or less when slab memory is nearly used up.
    func window(_ window: Int) -> Int { memory.window(window) }

    /// Reading of this connection waits until there is memory.
    func isPressed(_ connection: ConnectionCore) { pressed.append(connection) }

    /// Bytes came in: look at what they hold, if a slab was begun for them.
    func slabMemoryChanged() {
        if memory.isDueForALook(slabsTaken: slabs.slabsTaken) { lookAtMemory() }
    }

    private func lookAtMemory() {
        let holdings = slabs.holdings()
        memory.update(heldByteCount: holdings.slabBytes)
        if memory.shouldCompact(
            holdings.slabBytes, holding: holdings.undeliveredBytes, slab: slabs.slabByteCount)
        {
            counters.compactions.increment()
            for registration in table.all() {
                (registration as? ConnectionCore)?.compactInbox(into: slabs)
                (registration as? DatagramCore)?.compactInbox(into: slabs)
            }
            memory.update(heldByteCount: slabs.holdings().slabBytes)
        }
    }

    /// While connections wait for memory a timer looks whether there is some: what the program takes is given
    /// back slab by slab, on whatever thread drops the last slice, and none of those threads knows that it
    /// matters.
    private func resumePressed() {
        memory.timerFired()
        lookAtMemory()
        let round = pressed.takeRound()
        for connection in round { connection.resumeReading(on: self) }
        pressed.recycle(round)
    }

    // MARK: Ending

    /// Asks the worker to end; a second, less patient request hurries the first.
    private final class EndRequest: ListNode, @unchecked Sendable {
        let isGraceful: Bool
        let done: @Sendable () -> Void

        init(gracefully: Bool, done: @escaping @Sendable () -> Void) {
            isGraceful = gracefully
            self.done = done
        }

        override func perform(on worker: Worker) { worker.begin(end: self) }
    }

    private final class ListenersEndRequest: ListNode, @unchecked Sendable {
        let isGraceful: Bool
        let done: @Sendable () -> Void

        init(gracefully: Bool, done: @escaping @Sendable () -> Void) {
            isGraceful = gracefully
            self.done = done
        }

        override func perform(on worker: Worker) {
            for case let acceptor as Acceptor in worker.table.all() {
                acceptor.workerIsEnding(on: worker, gracefully: isGraceful)
            }
            done()
        }
    }

    private func begin(end request: EndRequest) {
        if ending == nil {
            isEnding.store(true, ordering: .sequentiallyConsistent)
            ending = Ending(isGraceful: request.isGraceful, done: request.done)
            let deadline = now.advanced(by: configuration.shutdownTimeout)
            _ = timers.insert(.endOfShutdown, at: deadline.nanoseconds)
        }
        endRegistrations(gracefully: request.isGraceful)
    }

    private func endRegistrations(gracefully: Bool) {
        if !gracefully { ending?.isGraceful = false }
        for registration in table.all() { registration.workerIsEnding(on: self, gracefully: gracefully) }
    }

    /// The thread's last step. Whoever claimed a wake-up just now finds the counter gone and does nothing.
    private func finish() -> ThreadStep {
        publish(then: .end)
        wakeLock.withLock { wakeCounter = nil }
        epoll = nil
        slabs.trim()
        // Timers of the program that will not come any more hold their worker, as submissions do.
        timers = TimerWheel(now: now.nanoseconds)
        // What was left for a pass that will not come holds its worker too.
        stillReadable = WorkList()
        stillAcceptable = WorkList()
        toWrite = WorkList()
        pressed = WorkList()
        unfinished = WorkList()
        hasEnded.store(true, ordering: .sequentiallyConsistent)
        _ = submissions.takeAll()
        let done = ending?.done
        ending = nil
        // Handlers have ended, so the partner has at most jobs left that nobody counts.
        if let partner, let done { partner.requestEnd(done: done) } else { done?() }
        return .finished
    }
}
