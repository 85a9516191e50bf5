// How many bytes of one slab the engine holds and nobody has taken yet. `SlabPool` charges an account when
// it fills a slab, `Bytes.delivered()` discharges it on whatever thread takes the bytes, and
// `SlabPool.holdings()` adds the accounts up for the worker's inbound budget.

import Synchronization

/// The account of one slab: a slab counts as held, whole, while one undelivered byte is in it.
///
/// It is an object apart from the slab, so that the pool can watch the account without keeping the slab
/// alive.
package final class SlabAccount: Sendable {
    /// The size of the slab: what is held while `undelivered` is not zero.
    package let capacity: Int

    /// Charged by the pool's owner, discharged by any thread, read by the owner. Relaxed throughout: it is
    /// a number and publishes nothing. It cannot be seen below zero, because bytes are charged before their
    /// slice is handed on, and whatever orders the slice orders the charge.
    private let undelivered = Atomic<Int>(0)

    package init(capacity: Int) {
        self.capacity = capacity
    }

    package var undeliveredByteCount: Int { undelivered.load(ordering: .relaxed) }

    func charge(_ byteCount: Int) {
        undelivered.add(byteCount, ordering: .relaxed)
    }

    func discharge(_ byteCount: Int) {
        let left = undelivered.subtract(byteCount, ordering: .relaxed).newValue
        assert(left >= 0, "bytes were delivered twice, or were never charged")
    }

    /// The slab is gone: nothing can be held in it.
    func settle() {
        undelivered.store(0, ordering: .relaxed)
    }
}
