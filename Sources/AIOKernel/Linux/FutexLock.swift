// A lock of four bytes, for objects of which there are many: one in each connection. Where a lock is waited
// for with a condition, or there are few, PosixLock does.

internal import CAIOLinux
public import Synchronization

/// A mutual exclusion lock on futex(2), in place in the object that it guards.
///
/// Not recursive; never to be held over an `await` or a continuation. Uncontended, locking and unlocking are
/// one atomic instruction each, and no call. The word is 0 (free), 1 (held) or 2 (held, and somebody may be
/// asleep): who finds it held writes 2 before sleeping, so that the holder knows to wake one; who was woken
/// takes it as 2, because there may be others. The thread sanitizer follows it, since acquire and release are
/// ordinary atomics.
package struct FutexLock: ~Copyable, Sendable {
    @usableFromInline let word = Atomic<UInt32>(0)

    package init() {}

    @inlinable package borrowing func lock() {
        if word.compareExchange(expected: 0, desired: 1, ordering: .acquiring).exchanged { return }
        lockContended()
    }

    /// By whoever locked it.
    @inlinable package borrowing func unlock() {
        if word.exchange(0, ordering: .releasing) == 2 { wakeOne() }
    }

    @usableFromInline borrowing func lockContended() {
        while word.exchange(2, ordering: .acquiring) != 0 { sleep() }
    }

    @inlinable package borrowing func withLock<R: ~Copyable, E: Error>(_ body: () throws(E) -> R) throws(E)
        -> R
    {
        lock()
        defer { unlock() }
        return try body()
    }

    private borrowing func sleep() {
        unsafe withAddress { unsafe caio_futex_wait($0, 2) }
    }

    @usableFromInline borrowing func wakeOne() {
        unsafe withAddress { unsafe caio_futex_wake($0, 1) }
    }

    /// SAFETY: the lock is borrowed, and a lock in a class does not move, so the address is that of the word
    /// for as long as `body` runs. An atomic has the layout of what it holds.
    private borrowing func withAddress(_ body: (UnsafeRawPointer) -> Void) {
        unsafe withUnsafePointer(to: word) { unsafe body(UnsafeRawPointer($0)) }
    }
}
