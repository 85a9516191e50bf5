// Threads of tests: they start together, are joined, and sleep on a wake-up that cannot be missed but can be
// found missing.

import AIOKernel
import Glibc

/// Runs `body` on `count` threads at once, and `meanwhile` on this one; returns when all are done.
func onThreads(
    _ count: Int, _ body: @escaping @Sendable (_ index: Int) -> Void, meanwhile: () -> Void = {}
) throws {
    let gate = WakeUp()
    let threads = try (0..<count).map { index in
        try PthreadThread(named: "test-\(index)") {
            _ = gate.wait()
            body(index)
        }
    }
    for _ in threads { gate.post() }
    meanwhile()
    for thread in threads { thread.join() }
}

/// Lets another thread run: for loops that wait on something another thread is about to do.
func letOthersRun() { _ = sched_yield() }

/// A counting semaphore that the thread sanitizer understands.
final class WakeUp: Sendable {
    /// After this long a wake-up is lost: no test comes near it.
    private static let patience: Duration = .seconds(60)

    private let lock = PosixLock()
    private let changed = PosixCondition()
    private let clock = LinuxKernel()
    /// Posted and not yet taken. Any thread, under `lock` and never without: that is the proof for `unsafe`.
    private nonisolated(unsafe) var count = 0

    func post() {
        // SAFETY: `lock` is held, here and below.
        lock.withLock { unsafe count += 1 }
        changed.signal()
    }

    /// Sleeps until there is a post to take. False if none came.
    func wait() -> Bool {
        let deadline = clock.now.advanced(by: Self.patience)
        return lock.withLock {
            while unsafe count == 0 {
                if clock.now >= deadline { return false }
                changed.wait(lock, until: deadline)
            }
            unsafe count -= 1
            return true
        }
    }

    /// Posts that nobody has taken.
    var pendingCount: Int { lock.withLock { unsafe count } }
}
