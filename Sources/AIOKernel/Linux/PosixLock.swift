// A lock that the thread sanitizer understands. `Synchronization.Mutex` is built on priority-inheriting
// futexes, whose hand-over it cannot see: it reports races that are none.

internal import CAIOLinux

/// A `pthread_mutex_t` at a stable address. Not recursive; never to be held over an `await` or a
/// continuation.
///
/// `@unchecked Sendable`, proof: the only field never changes, and what it points to is the mutex itself,
/// made for use by any thread.
@safe package final class PosixLock: @unchecked Sendable {
    let mutex: UnsafeMutableRawPointer

    package init() {
        guard let mutex = unsafe caio_mutex_create() else { fatalError("no memory for a lock") }
        unsafe self.mutex = mutex
    }

    deinit {
        // SAFETY: no one holds a reference, so no one holds the lock or waits for it.
        unsafe caio_mutex_destroy(mutex)
    }

    package func lock() {
        // SAFETY: made in `init`, destroyed in `deinit`.
        unsafe caio_mutex_lock(mutex)
    }

    /// By the thread that locked it.
    package func unlock() {
        // SAFETY: made in `init`, destroyed in `deinit`.
        unsafe caio_mutex_unlock(mutex)
    }

    @inlinable package func withLock<R: ~Copyable, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        lock()
        defer { unlock() }
        return try body()
    }
}
