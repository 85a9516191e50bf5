// The program of a simulated run: takes completions off a queue, sends back what comes, goes to sleep when
// there is nothing. Every move of the parking protocol is a step of its own, so that the schedule can get in
// between.

import AIOBytes
import AIOKernel
@testable import AIOTesting
@testable import AIOWorkers
import Synchronization

/// Wakes a sleeping consumer with an event counter, so that waking is a kernel call like the worker's own.
///
/// Sendable, unchecked: a simulation and all its parts are used by the one thread that runs the test.
final class CounterWaker: ConsumerWaker, @unchecked Sendable {
    private let kernel: SimulatedKernel
    var counter: Descriptor?

    init(kernel: SimulatedKernel) throws(AIOError) {
        self.kernel = kernel
        counter = try kernel.makeEventCounter()
    }

    func wakeConsumer() {
        guard counter != nil else { return kernel.trace.violation("a consumer was woken that is gone") }
        kernel.signal(counter!)
    }
}

/// What a consumer does wrong on purpose.
enum ConsumerFault {
    case none
    /// Sleeps right after the announcement, without a second look at the list.
    case skipsSecondLook
    /// Takes bytes and never gives their credit back.
    case keepsCredit
    /// Gives credit back and does not look whether the worker has paused.
    case ignoresPause
}

/// What one connection's program has seen.
struct ConnectionLog {
    let id: UInt64
    var openings = 0
    var endings = 0
    var byteCount = 0
    var reasons: [CloseReason] = []
}

/// An echo server over a completion queue, as a thread body.
///
/// Sendable, unchecked: a simulation and all its parts are used by the one thread that runs the test.
final class EchoConsumer: ThreadBody, @unchecked Sendable {
    /// Posted when the engine has ended: the last node of all.
    struct EngineEnded: Sendable {}

    let queue: CompletionQueue
    /// Called after each `closed`.
    var onClosed: () -> Void = {}
    private(set) var logs: [ConnectionLog] = []
    private(set) var refusals = 0
    private(set) var drains = 0

    private let kernel: SimulatedKernel
    private let accounts: EngineAccounts
    private let fault: ConsumerFault
    private let waker: CounterWaker
    private var random: SeededRandom
    private var epoll: Descriptor?
    private let epollNumber: Int32
    private let readiness = ReadinessBatch(capacity: 1)
    private var stage = Stage.take
    private var nodes = NodeChain<CompletionLink>()
    private var connection: ConnectionCore?
    /// What is left to tell of it.
    private var signals: ConnectionSignals = []
    private var bytes = ByteQueue()
    private var engineHasEnded = false

    private enum Stage { case take, handle, announce, secondLook, sleep, awake }

    init(
        kernel: SimulatedKernel, waker: CounterWaker, queue: CompletionQueue, accounts: EngineAccounts,
        fault: ConsumerFault, random: SeededRandom
    ) throws(AIOError) {
        self.kernel = kernel
        self.waker = waker
        self.queue = queue
        self.accounts = accounts
        self.fault = fault
        self.random = random
        let epoll = try kernel.makeEpoll()
        try kernel.add(waker.counter!, to: epoll, interest: [.readable, .edgeTriggered], token: 0)
        epollNumber = epoll.number
        self.epoll = consume epoll
    }

    // MARK: Steps

    func step() -> ThreadStep {
        switch stage {
        case .take:
            nodes = queue.list.takeAll()
            kernel.trace.note("takes nodes", nodes.count)
            stage = nodes.isEmpty ? .announce : .handle
        case .handle:
            return handle()
        case .announce:
            queue.parking.announce()
            stage = fault == .skipsSecondLook ? .sleep : .secondLook
        case .secondLook:
            let sawSomething = !queue.list.isEmpty()
            stage = sawSomething && queue.parking.retract() ? .take : .sleep
        case .sleep:
            stage = .awake
            return .wait(epoll: epollNumber, deadline: nil)
        case .awake:
            _ = kernel.wait(on: epoll!, into: readiness, timeout: nil)
            queue.parking.resumed()
            stage = .take
        }
        return .proceed
    }

    /// One event of one connection; the next node when there are no more.
    private func handle() -> ThreadStep {
        if let connection {
            if !handleEvent(of: connection) { self.connection = nil }
            return .proceed
        }
        guard let node = nodes.popFirst() else {
            if engineHasEnded { return finish() }
            stage = .take
            return .proceed
        }
        switch node {
        case let core as ConnectionCore:
            connection = core
            signals = core.take(bytes: &bytes)
            kernel.trace.note("takes connection", Int(core.id), bytes.byteCount)
        case is ValueNode<EngineEnded>:
            engineHasEnded = true
        default:
            kernel.trace.violation("a node of an unknown kind: \(type(of: node))")
        }
        return .proceed
    }

    private func finish() -> ThreadStep {
        if !queue.list.isEmpty() { kernel.trace.violation("a completion came after the engine's end") }
        epoll = nil
        waker.counter = nil
        return .finished
    }

    // MARK: Events, in the order in which AIO's EventCursor tells them

    private func handleEvent(of core: ConnectionCore) -> Bool {
        let index = log(of: core)
        if signals.isEmpty, bytes.isEmpty { return false }
        if !logs[index].reasons.isEmpty {
            kernel.trace.violation("connection \(core.id) speaks after its end")
        }
        if signals.remove(.opened) != nil {
            accounts.acceptedWasSeen()
            logs[index].openings += 1
        } else if let next = bytes.popFirst() {
            logs[index].byteCount += next.count
            echo(next, on: core)
        } else if signals.remove(.drained) != nil {
            drains += 1
        } else if signals.remove(.peerEnded) != nil {
            logs[index].endings += 1
            // Both are ways to end after the last byte; the program may choose either.
            if random.isOne(in: 2) { core.finish() } else { core.close() }
        } else if signals.remove(.closed) != nil {
            accounts.closedWasSeen()
            logs[index].reasons.append(core.closeReason ?? .local)
            kernel.trace.note("sees the end of connection", Int(core.id))
            onClosed()
        }
        return true
    }

    private func log(of core: ConnectionCore) -> Int {
        if let index = logs.firstIndex(where: { $0.id == core.id }) { return index }
        logs.append(ConnectionLog(id: core.id))
        return logs.count - 1
    }

    private func echo(_ bytes: Bytes, on core: ConnectionCore) {
        let returnsCreditFirst = random.isOne(in: 2)
        if returnsCreditFirst { returnCredit(for: bytes, on: core) }
        if case .refused = core.send(parts(of: bytes)) { refusals += 1 }
        if !returnsCreditFirst { returnCredit(for: bytes, on: core) }
    }

    /// Now and then byte by byte, in memory of their own: more parts than one call of the kernel carries.
    private func parts(of bytes: Bytes) -> [Bytes] {
        random.isOne(in: 8) ? bytes.map { Bytes([$0]) } : [bytes]
    }

    private func returnCredit(for bytes: Bytes, on core: ConnectionCore) {
        switch fault {
        case .none, .skipsSecondLook:
            core.returnCredit(for: bytes)
        case .keepsCredit:
            bytes.delivered()
        case .ignoresPause:
            bytes.delivered()
            core.held.wrappingSubtract(bytes.count, ordering: .sequentiallyConsistent)
        }
    }
}
