// One of those who take turns in a simulation: a thread's body, the network, offloaded work, the tasks of the test, the
// clock. Stepped by the scheduler, one at a time.

package import AIOKernel

/// Somebody who can take a step, now or when time has passed.
///
/// Sendable, unchecked, in all that conform: a simulation and all its parts are used by one thread at a time.
package protocol Runner: AnyObject, Sendable {
    var name: String { get }
    /// Whether a step would do something now.
    var canStep: Bool { get }
    /// When one would, though nobody else does anything; nil if never.
    var deadline: MonotonicTime? { get }
    /// The simulation goes on as long as one of these is there.
    var isAlive: Bool { get }
    func step()
    /// What it waits for, for a person to read; nil if that is nobody's business.
    var waitsFor: String? { get }
}

/// A thread of the engine or of a script, stepped through its body.
final class BodyRunner: Runner, @unchecked Sendable {
    let name: String
    let body: any ThreadBody
    let kernel: SimulatedKernel
    @safe @exclusivity(unchecked) private(set) var state = ThreadStep.proceed

    init(name: String, body: any ThreadBody, kernel: SimulatedKernel) {
        self.name = name
        self.body = body
        self.kernel = kernel
    }

    var isAlive: Bool { state != .finished }

    var canStep: Bool {
        switch state {
        case .proceed: return true
        case .finished: return false
        case .wait(let epoll, let deadline):
            if let deadline, kernel.now >= deadline { return true }
            return kernel.hasSomething(on: epoll)
        }
    }

    var deadline: MonotonicTime? {
        if case .wait(_, let deadline) = state { deadline } else { nil }
    }

    func step() {
        state = body.step()
        switch state {
        case .proceed: break
        case .wait(let epoll, let deadline):
            kernel.trace.note("waits on", Int(epoll), deadline == nil ? 0 : 1)
        case .finished: kernel.trace.note("has finished")
        }
    }

    /// Wakes it though nothing has happened, as a signal may.
    func nudge() {
        guard case .wait = state else { return }
        kernel.mayWakeEarly = true
        state = .proceed
    }

    var waitsFor: String? {
        switch state {
        case .proceed: return "can go on"
        case .finished: return nil
        case .wait(let epoll, nil): return "waits for epoll set \(epoll), without end"
        case .wait(let epoll, let deadline?):
            let left = Double(deadline.nanoseconds(since: kernel.now)) / 1e9
            return "waits for epoll set \(epoll), for \(left) s more"
        }
    }
}

/// Carries what is on the way.
extension SimulatedNetwork: Runner {
    package var name: String { "network" }
    package var canStep: Bool { hasWork }
    package var isAlive: Bool { false }
    package var waitsFor: String? { nil }
    package func step() { deliver() }
}

/// Runs what a machine's engine gave to `offload`, first in, first out.
final class OffloadRunner: Runner, @unchecked Sendable {
    let name: String
    private let time: SimulatedTime
    @safe @exclusivity(unchecked) private var queue: [(offload: SimulatedOffload, due: MonotonicTime)] = []

    init(name: String, time: SimulatedTime) {
        self.name = name
        self.time = time
    }

    var canStep: Bool { !queue.isEmpty && queue.contains { $0.due <= time.now } }
    var deadline: MonotonicTime? { queue.lazy.map(\.due).min() }
    var isAlive: Bool { false }
    var waitsFor: String? { nil }
    func step() {
        guard let index = queue.firstIndex(where: { $0.due <= time.now }) else { return }
        queue.remove(at: index).offload.run()
    }

    /// Work that is done then, or later.
    func add(due: MonotonicTime, _ work: @escaping @Sendable () -> Void) -> any OffloadedWork {
        let offload = SimulatedOffload(work)
        queue.append((offload, due))
        return offload
    }

    func runAll() { while !queue.isEmpty { queue.removeFirst().offload.run() } }
}

/// Offloaded work: a cancelled piece stays in the queue and does nothing. Sendable, unchecked: see `Runner`.
private final class SimulatedOffload: OffloadedWork, @unchecked Sendable {
    private var work: (@Sendable () -> Void)?

    init(_ work: @escaping @Sendable () -> Void) { self.work = work }

    func run() { work.take()?() }

    func cancel() -> Bool { work.take() != nil }
}
