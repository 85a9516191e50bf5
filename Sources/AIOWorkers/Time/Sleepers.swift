// Tasks that wait for a time: each has a timer on a worker. Behind the clock of the API; woken by the timer, by
// the task's cancellation, or by the engine's end.

package import AIOKernel

/// All tasks that sleep on an engine's clock.
///
/// A worker that ends forgets its timers, so whoever still sleeps then is woken by the engine once all workers have ended.
///
/// Sendable, unchecked: what changes is under `lock`.
final class Sleepers: @unchecked Sendable {
    private let lock = PosixLock()
    // Under `lock`.
    private var sleeping: [UInt64: Sleeper] = [:]
    private var lastNumber: UInt64 = 0
    private var hasEnded = false

    /// False after the end.
    func add(_ sleeper: Sleeper) -> Bool {
        lock.withLock {
            guard !hasEnded else { return false }
            lastNumber += 1
            sleeper.number = lastNumber
            sleeping[lastNumber] = sleeper
            return true
        }
    }

    func remove(_ sleeper: Sleeper) { lock.withLock { sleeping[sleeper.number] = nil } }

    /// Wakes all, in the order in which they fell asleep; later ones are not taken.
    func end() {
        let left = lock.withLock { () -> [Sleeper] in
            hasEnded = true
            defer { sleeping = [:] }
            return sleeping.sorted { $0.key < $1.key }.map(\.value)
        }
        for sleeper in left { sleeper.wake(.ended) }
    }
}

/// One task that waits for a time. Woken once, by whoever comes first.
///
/// Sendable, unchecked: what changes is under `lock`, but for `number`, which `Sleepers` sets before others see it.
@safe final class Sleeper: @unchecked Sendable {
    enum Wake: Sendable { case timeHasCome, cancelled, ended }

    private let lock = PosixLock()
    // Under `lock`.
    private var outcome: Wake?
    private var continuation: UnsafeContinuation<Wake, Never>?
    fileprivate(set) var number: UInt64 = 0

    func wait() async -> Wake {
        unsafe await withUnsafeContinuation { continuation in
            lock.lock()
            let outcome = outcome
            if outcome == nil { unsafe self.continuation = continuation }
            lock.unlock()
            if let outcome { unsafe continuation.resume(returning: outcome) }
        }
    }

    func wake(_ wake: Wake) {
        lock.lock()
        guard outcome == nil else { return lock.unlock() }
        outcome = wake
        let continuation = unsafe continuation.take()
        lock.unlock()
        unsafe continuation?.resume(returning: wake)
    }
}

extension Worker {
    /// Suspends until `deadline` or a little later, a millisecond as a rule: the wheel ticks in those. Any thread.
    /// - Throws: `CancellationError`; `.shutDown` if the engine ends before.
    package func sleep(until deadline: MonotonicTime) async throws {
        try Task.checkCancellation()
        let sleepers = accounts.sleepers
        let sleeper = Sleeper()
        guard sleepers.add(sleeper) else { throw AIOError(.shutDown, call: "sleep") }
        defer { sleepers.remove(sleeper) }
        let timer = call(at: deadline) { sleeper.wake(.timeHasCome) }
        let wake = await withTaskCancellationHandler {
            await sleeper.wait()
        } onCancel: {
            sleeper.wake(.cancelled)
        }
        switch wake {
        case .timeHasCome: return
        case .cancelled:
            _ = timer.cancel()
            throw CancellationError()
        case .ended: throw AIOError(.shutDown, call: "sleep")
        }
    }
}
