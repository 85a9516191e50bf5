// How tests are told that something has happened, and so often: a handler has come to a gate, an object is gone.

import AIO
import AIOKernel

/// Counts what happens, and tells those who wait for so many.
///
/// Sendable, unchecked: everything that changes is under `lock`.
final class Arrivals: @unchecked Sendable {
    private let lock = PosixLock()
    private var count = 0
    private var waiting: [Wait] = []

    /// Sendable, unchecked: what changes is under the lock of `Arrivals`.
    private final class Wait: @unchecked Sendable {
        let count: Int
        /// nil before it is there, and once it is resumed.
        var continuation: CheckedContinuation<Void, Never>?
        var isCancelled = false
        init(_ count: Int) { self.count = count }
    }

    func note() {
        lock.withLock { count += 1 }
        resumeThose { $0.count <= $1 }
    }

    /// Returns once there are so many.
    /// - Throws: `CancellationError`, as when the test has taken too long.
    func reached(_ count: Int) async throws {
        let wait = Wait(count)
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                lock.withLock {
                    wait.continuation = continuation
                    waiting.append(wait)
                }
                resumeThose { $0.count <= $1 || $0.isCancelled }
            }
        } onCancel: {
            lock.withLock { wait.isCancelled = true }
            resumeThose { wait, _ in wait.isCancelled }
        }
        // Under the lock again, which is what orders this with `note` for the thread sanitizer.
        let isReached = lock.withLock { self.count >= count }
        if !isReached { throw CancellationError() }
    }

    private func resumeThose(which mayGoOn: (Wait, Int) -> Bool) {
        let resumed = lock.withLock {
            let resumed = waiting.filter { mayGoOn($0, count) }
            waiting.removeAll { mayGoOn($0, count) }
            return resumed.map(\.continuation)
        }
        for continuation in resumed { continuation?.resume() }
    }
}

/// Its end is noted.
final class Canary: Sendable {
    private let ends: Arrivals
    init(_ ends: Arrivals) { self.ends = ends }
    deinit { ends.note() }
}

extension Proactor.Configuration {
    /// The engine and all its threads hold `canary`.
    static func holding(_ canary: Canary, _ change: (inout Self) -> Void = { _ in }) -> Self {
        .testing {
            $0.report = { _ in withExtendedLifetime(canary) {} }
            change(&$0)
        }
    }
}
