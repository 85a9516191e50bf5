// Waiting with a lock in hand: the pthread condition variable, on the monotonic clock. For threads that may
// block: offload threads and those who join.

internal import CAIOLinux

/// A `pthread_cond_t` at a stable address. Every wait can end for no reason: wait in a loop on what you wait
/// for.
///
/// `@unchecked Sendable`, proof: as for `PosixLock`.
@safe package final class PosixCondition: @unchecked Sendable {
    private let condition: UnsafeMutableRawPointer

    package init() {
        guard let condition = unsafe caio_condition_create() else { fatalError("no memory for a condition") }
        unsafe self.condition = condition
    }

    deinit {
        // SAFETY: no one holds a reference, so no one waits.
        unsafe caio_condition_destroy(condition)
    }

    /// Lets go of `lock`, which the caller holds, waits for a signal, and takes it again.
    package func wait(_ lock: PosixLock) {
        // SAFETY: both were made in their `init` and are alive during the call.
        unsafe caio_condition_wait(condition, lock.mutex)
    }

    /// The same, but no later than `deadline`.
    package func wait(_ lock: PosixLock, until deadline: MonotonicTime) {
        // SAFETY: both were made in their `init` and are alive during the call.
        unsafe caio_condition_wait_until(condition, lock.mutex, deadline.nanoseconds)
    }

    package func signal() {
        // SAFETY: made in `init`, destroyed in `deinit`.
        unsafe caio_condition_signal(condition)
    }

    package func broadcast() {
        // SAFETY: made in `init`, destroyed in `deinit`.
        unsafe caio_condition_broadcast(condition)
    }
}
