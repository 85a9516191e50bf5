// A thread for handlers alone, one a worker, for programs that want their workers to do nothing but I/O.
// Completions come from the worker; what handlers write goes back to it as submissions.

package import AIOKernel
import Synchronization

/// A worker's partner: takes the worker's completions, resumes who waits for them, and runs their jobs.
///
/// It sleeps like the consumer of any completion list (`Parking`), on an epoll descriptor with one event
/// counter, so that a host can schedule it like a worker. Jobs from other threads come through the same list.
package final class Partner: JobThread, @unchecked Sendable {
    package let executors: Executors
    let completions: CompletionQueue
    private let kernel: any Kernel
    private let configuration: EngineConfiguration
    private let name: String
    private let alarm: WatchdogAlarm
    private let wakeUp: WakeUp
    private let jobSignal = ListNode()

    // Thread-bound.
    private var epoll: Descriptor?
    private let epollNumber: Int32
    private let readiness = ReadinessBatch(capacity: 1)
    private var stage = Stage.drain
    private var ending: (@Sendable () -> Void)?

    private enum Stage { case wait, drain, run, announce, recheck }

    init(of worker: Worker, host: any Host) throws(AIOError) {
        kernel = worker.kernel
        alarm = worker.alarm
        configuration = worker.configuration
        name = "aio-\(worker.index)p"
        executors = Executors(host: host, name: name)
        let epoll = try kernel.makeEpoll()
        let counter = try kernel.makeEventCounter()
        try kernel.add(counter, to: epoll, interest: .input, token: 0)
        epollNumber = epoll.number
        self.epoll = consume epoll
        wakeUp = WakeUp(counter, kernel: kernel)
        completions = CompletionQueue(waker: wakeUp)
    }

    func start(on host: any Host) throws(AIOError) -> any HostThread {
        executors.jobs.begin(on: self)
        do throws(AIOError) {
            return try host.startThread(named: name, self)
        } catch {
            _ = executors.jobs.end()
            throw error
        }
    }

    // MARK: From any thread

    package func jobsArrived() { completions.push(jobSignal) }

    /// Ends the thread once it has no jobs; `done` is the last thing that it calls. After the worker has ended.
    func requestEnd(done: @escaping @Sendable () -> Void) { completions.push(EndRequest(done)) }

    private final class EndRequest: ListNode, @unchecked Sendable {
        let done: @Sendable () -> Void
        init(_ done: @escaping @Sendable () -> Void) { self.done = done }
    }

    // MARK: The pass

    package func step() -> ThreadStep {
        switch stage {
        case .wait: wait()
        case .drain: drain()
        case .run: run()
        case .announce:
            completions.parking.announce()
            stage = .recheck
        case .recheck: return recheck()
        }
        guard stage == .drain, ending != nil, completions.list.isEmpty(), executors.jobs.end() else {
            return .proceed
        }
        return finish()
    }

    private func wait() {
        let result = kernel.wait(on: epoll!, into: readiness, timeout: nil)
        completions.parking.resumed()
        readiness.removeAll()
        if let errno = result.errno {
            let error = AIOError(errno: errno, call: "epoll_wait")
            configuration.report(Report(.error, "\(name) cannot wait", error: error))
        }
        stage = .drain
    }

    private func drain() {
        var taken = completions.list.takeAll()
        while let node = taken.popFirst() {
            switch node {
            case let connection as ConnectionCore: connection.wakeReader()
            case let request as EndRequest: ending = request.done
            case let queue as AcceptQueue: queue.wakeTaker()
            default: executors.jobs.takeRemote()
            }
        }
        stage = .run
    }

    private func run() {
        if !executors.jobs.isEmpty { alarm.jobsBegin() }
        _ = executors.run(atMost: configuration.jobsPerPassMax)
        stage = executors.jobs.isEmpty && completions.list.isEmpty() ? .announce : .drain
        if ending != nil { stage = .drain }
    }

    private func recheck() -> ThreadStep {
        if !completions.list.isEmpty(), completions.parking.retract() {
            stage = .drain
            return .proceed
        }
        stage = .wait
        return .wait(epoll: epollNumber, deadline: nil)
    }

    private func finish() -> ThreadStep {
        wakeUp.close()
        epoll = nil
        completions.abandon()
        ending?()
        ending = nil
        return .finished
    }
}

/// The counter that wakes a partner.
///
/// Sendable, unchecked: `lock` guards the descriptor against being signalled while or after it is closed.
private final class WakeUp: ConsumerWaker, @unchecked Sendable {
    private let kernel: any Kernel
    private let lock = PosixLock()
    private var counter: Descriptor?

    init(_ counter: consuming Descriptor, kernel: any Kernel) {
        self.kernel = kernel
        self.counter = consume counter
    }

    func wakeConsumer() {
        lock.withLock {
            if counter != nil { kernel.signal(counter!) }
        }
    }

    func close() { lock.withLock { counter = nil } }
}
