// A worker that stands still: queues towards it fill up, and nothing happens until the test says so.

import AIO
import AIOKernel
import AIOWorkers

/// Stops a worker between two submissions until `release()`.
final class BlockedWorker: @unchecked Sendable {
    private let lock = PosixLock()
    private let changed = PosixCondition()
    // Under `lock`.
    private var isReleased = false
    private var isBlocking = false

    /// Returns when the worker stands still.
    init(_ worker: Worker) async {
        // The one submission that runs a closure on the worker; it has no listeners to end here.
        worker.requestListenersEnd(gracefully: true) { self.standStill() }
        _ = await eventually { lock.withLock { isBlocking } }
    }

    private func standStill() {
        lock.lock()
        isBlocking = true
        while !isReleased { changed.wait(lock) }
        lock.unlock()
    }

    func release() {
        lock.withLock { isReleased = true }
        changed.broadcast()
    }
}
