// What scripts wait for: each a condition that is looked at between steps, with a deadline in virtual time. No wake-ups to
// forget, and a list of who waits for what when nobody can go on.

import AIOKernel

/// The waits of one simulation. Sendable, unchecked: see `Runner`.
final class Waits: Runner, @unchecked Sendable {
    let name = "script"
    private let time: SimulatedTime
    @safe @exclusivity(unchecked) private var waiting: [Wait] = []
    private var lastNumber = 0

    init(time: SimulatedTime) { self.time = time }

    enum Outcome { case ready, timedOut, cancelled, failed(SimulationFailure) }

    private final class Wait {
        let number: Int
        let what: () -> String
        let deadline: MonotonicTime?
        let isReady: () -> Bool
        var continuation: CheckedContinuation<Outcome, Never>?
        var isCancelled = false

        init(
            number: Int, what: @escaping () -> String, deadline: MonotonicTime?, isReady: @escaping () -> Bool
        ) {
            self.number = number
            self.what = what
            self.deadline = deadline
            self.isReady = isReady
        }
    }

    /// Suspends until `isReady` is true, or the deadline has come, or the task is cancelled, or the simulation cannot go
    /// on. On the simulation's thread.
    func wait(
        for what: @escaping () -> String, until deadline: MonotonicTime? = nil,
        isReady: @escaping () -> Bool
    ) async -> Outcome {
        if isReady() { return .ready }
        lastNumber += 1
        let wait = Wait(number: lastNumber, what: what, deadline: deadline, isReady: isReady)
        let number = lastNumber
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                wait.continuation = continuation
                if Task.isCancelled { wait.isCancelled = true }
                waiting.append(wait)
            }
        } onCancel: {
            self.cancel(number)
        }
    }

    private func cancel(_ number: Int) {
        for wait in waiting where wait.number == number { wait.isCancelled = true }
    }

    // MARK: Steps

    private func outcome(of wait: Wait) -> Outcome? {
        if wait.isReady() { return .ready }
        if wait.isCancelled { return .cancelled }
        if let deadline = wait.deadline, deadline <= time.now { return .timedOut }
        return nil
    }

    var canStep: Bool { waiting.contains { outcome(of: $0) != nil } }
    var deadline: MonotonicTime? { waiting.compactMap(\.deadline).min() }
    var isAlive: Bool { false }

    func step() {
        for index in waiting.indices {
            guard let outcome = outcome(of: waiting[index]) else { continue }
            waiting.remove(at: index).continuation?.resume(returning: outcome)
            return
        }
    }

    /// Ends all waits; false if there are none.
    func fail(_ failure: SimulationFailure) -> Bool {
        let ended = waiting
        waiting = []
        for wait in ended { wait.continuation?.resume(returning: .failed(failure)) }
        return !ended.isEmpty
    }

    var waitsFor: String? {
        waiting.isEmpty ? nil : waiting.map { "waits for \($0.what())" }.joined(separator: "\n    \(name) ")
    }
}
