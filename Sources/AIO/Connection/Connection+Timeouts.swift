// A limit in time for any block of code on a connection.

import AIOKernel
import AIOWorkers
import Synchronization

extension Connection {
    /// Runs `body`, and cancels it if it has not ended once `timeout` has passed.
    ///
    /// `body` runs in a child task, where the caller runs: what it awaits, on this connection or on anything else,
    /// sees the cancellation that it would see of any task. Nothing is lost by it: bytes that a cancelled read
    /// waited for stay for the next read, and a cancelled write has written nothing. Time limits nest; the
    /// earliest counts.
    ///
    /// Suspends until `body` has ended, also when the time is over: a body that ignores cancellation is waited
    /// for. If it ends in time, or ends with a result in spite of the cancellation, that is the result.
    /// - Throws: what `body` throws; `AIOError(.timedOut)` in place of a `CancellationError` if it was the time
    ///   that ended it; `CancellationError` if the caller's task was cancelled.
    public func withTimeout<Result: Sendable>(
        _ timeout: Duration, isolation: isolated (any Actor)? = #isolation,
        _ body: @Sendable @escaping () async throws -> Result
    ) async throws -> Result {
        if Task.isCancelled { throw CancellationError() }
        let limit = TimeLimit()
        let task = Task(executorPreference: core.preferredExecutor) { try await body() }
        let timer = core.worker.call(after: timeout) {
            limit.pass()
            task.cancel()
        }
        defer { _ = timer.cancel() }
        do {
            return try await withTaskCancellationHandler {
                try await task.value
            } onCancel: {
                task.cancel()
            }
        } catch is CancellationError where limit.hasPassed && !Task.isCancelled {
            throw AIOError(.timedOut, call: "withTimeout", detail: "\(timeout)")
        }
    }

    /// Runs `body`, and cancels it if it has not ended at `deadline`, an instant of `clock`. See `withTimeout`.
    public func withDeadline<Result: Sendable>(
        _ deadline: AIOClock.Instant, isolation: isolated (any Actor)? = #isolation,
        _ body: @Sendable @escaping () async throws -> Result
    ) async throws -> Result {
        let left = clock.now.duration(to: deadline)
        return try await withTimeout(max(left, .zero), isolation: isolation, body)
    }

    /// The clock of the connection's deadlines: `Proactor.clock`.
    public var clock: AIOClock { AIOClock(core.worker) }
}

/// Whether the time is over.
private final class TimeLimit: Sendable {
    private let passed = Atomic<Bool>(false)
    func pass() { passed.store(true, ordering: .releasing) }
    var hasPassed: Bool { passed.load(ordering: .acquiring) }
}

extension ConnectionCore {
    /// For tasks made on behalf of a handler: where that runs.
    fileprivate var preferredExecutor: any TaskExecutor { worker.taskExecutor(for: sink.place) }
}
