// Time for the checks of a transport: virtual in a simulation, real elsewhere.

import AIO
import AIOKernel

enum CheckTime {
    /// What tasks that are no child tasks prefer, so that they stay in the simulation; nil where there is
    /// none.
    static var executor: (any TaskExecutor)? { Simulation.current?.taskExecutor }

    /// Suspends for so long.
    /// - Throws: `CancellationError`; `SimulationError`, if the simulation broke down.
    static func pass(_ duration: Duration) async throws {
        if let simulation = Simulation.current {
            try await simulation.clock.sleep(for: duration)
        } else {
            try await Task.sleep(for: duration)
        }
    }

    static func pause(_ options: TransportCheckOptions) async throws {
        let usual: Duration = Simulation.current == nil ? .milliseconds(20) : .milliseconds(100)
        try await pass(options.pause ?? usual)
    }

    /// A moment, or none: so that two things that happen at the same time happen in another order each time.
    static func dawdle(_ random: inout SeededRandom) async throws {
        switch random.number(below: 4) {
        case 0: return
        case 1, 2: for _ in 0..<random.number(in: 1...6) { await Task.yield() }
        default: try await pass(.microseconds(random.number(in: 1...300)))
        }
    }

    /// Waits for `task` to end, but no longer than `limit`; false if it has not. Cancelling does not stop the
    /// waiting.
    /// - Throws: `SimulationError`, if the simulation broke down meanwhile.
    static func hasEnded<Value>(_ task: Task<Value, any Error>, within limit: Duration) async throws -> Bool {
        let executor = executor
        return try await withCheckedThrowingContinuation { continuation in
            let first = FirstAnswer(continuation)
            let timer = Task(executorPreference: executor) {
                do {
                    try await pass(limit)
                    first.give(.success(false))
                } catch {
                    // Of no account if it was cancelled, as it is when there is an answer.
                    first.give(.failure(error))
                }
            }
            Task(executorPreference: executor) {
                _ = await task.result
                first.give(.success(true))
                timer.cancel()
            }
        }
    }
}

/// Sendable, unchecked: what changes is under `lock`.
private final class FirstAnswer: @unchecked Sendable {
    private let lock = PosixLock()
    private var continuation: CheckedContinuation<Bool, any Error>?

    init(_ continuation: CheckedContinuation<Bool, any Error>) { self.continuation = continuation }

    func give(_ answer: Result<Bool, any Error>) {
        let waiting = lock.withLock { continuation.take() }
        waiting?.resume(with: answer)
    }
}
