// The half of a slab pool that every thread may touch: the blocks that nobody uses just now. Slabs give
// their block back here when their last slice goes, on whatever thread that happens; the pool's owner takes
// them out again in `SlabPool`. It lives until the pool and its last slab are both gone.

import Synchronization

// Theory of operation
//
// A block that is given back becomes a list node: its first word holds the next block. Giving back pushes
// by compare-exchange; the owner takes *all* of them with one exchange and then has a list of its own.
// Nobody ever pops a single element from the shared list, so the ABA problem cannot arise, and no node is
// read while it is on the shared list.
//
// `idle` counts the blocks on the shared list and on the owner's list together, and is raised before the
// push. So it is never below the truth, and a pool whose owner sleeps cannot hoard: whoever finds it above
// the limit frees the block at once. It also means that a burst may free a block which, a moment later,
// would have found room; that costs one malloc.
//
// When the pool ends it closes this object: blocks are freed as they come. One that was on its way to the
// list at that moment is freed in `deinit`, after the last slab. Rejected: weak references to the pool (a
// lock and a side table for each slab), and a pool kept alive by its slabs (a dead worker would keep its
// idle blocks).

/// The idle blocks of one pool, and the counts of all of them.
@safe
package final class SlabBlocks: @unchecked Sendable {
    // Proof for @unchecked Sendable: every field is a constant or an atomic. The compiler only objects to
    // the pointer inside `returned`: a block on that list belongs to the list alone, since its slab is
    // gone, and passes to whoever takes the list.

    package let blockByteCount: Int
    private let idleBlocksMax: Int

    /// The head of the shared list. Pushed by any thread (releasing: the node's next pointer, and all reads
    /// of the block made before); taken whole by the owner (acquiring), or by `deinit`.
    private let returned = unsafe Atomic<UnsafeMutableRawPointer?>(nil)

    /// Blocks on both lists. Raised by any thread in `giveBack`, lowered by the owner and by a refused
    /// `giveBack`. Relaxed: the list's own ordering carries the blocks.
    private let idle = Atomic<Int>(0)

    /// Blocks that are slabs now. Raised by the owner, lowered by any thread. Relaxed: statistics.
    private let live = Atomic<Int>(0)

    /// Set once, by the owner, when the pool ends; read by `giveBack`. Relaxed: a `giveBack` that misses it
    /// leaves its block to `deinit`.
    private let isClosed = Atomic<Bool>(false)

    package init(blockByteCount: Int, idleBlocksMax: Int) {
        self.blockByteCount = blockByteCount
        self.idleBlocksMax = idleBlocksMax
    }

    deinit {
        // SAFETY: each slab retains this object, so none is left that could push, and the pool has ended.
        unsafe _ = free(list: takeReturned())
    }

    /// Slabs in existence: the one being filled, and all that the engine or the user still holds slices of.
    package var liveCount: Int { live.load(ordering: .relaxed) }

    /// Blocks waiting to be used again.
    package var idleCount: Int { idle.load(ordering: .relaxed) }

    // MARK: any thread

    /// Takes back the block of a slab that has died. Any thread; lock-free.
    @unsafe
    package func giveBack(_ block: UnsafeMutableRawPointer) {
        live.subtract(1, ordering: .relaxed)
        if isClosed.load(ordering: .relaxed) {
            unsafe block.deallocate()
            return
        }
        guard idle.add(1, ordering: .relaxed).newValue <= idleBlocksMax else {
            idle.subtract(1, ordering: .relaxed)
            unsafe block.deallocate()
            return
        }
        var head = unsafe returned.load(ordering: .relaxed)
        while true {
            // SAFETY: the block is ours until the exchange succeeds; blocks are larger than a pointer.
            unsafe node(block).pointee = head
            let (exchanged, now) = unsafe returned.weakCompareExchange(
                expected: head, desired: block, successOrdering: .releasing, failureOrdering: .relaxed)
            if exchanged { return }
            unsafe head = now
        }
    }

    // MARK: the owner

    /// Takes every block on the shared list, as a list. They stay counted as idle.
    @unsafe
    func takeReturned() -> UnsafeMutableRawPointer? {
        unsafe returned.exchange(nil, ordering: .acquiring)
    }

    /// A block to fill: the first of `list`, or of the shared list, or a new one.
    @unsafe
    package func takeBlock(from list: inout UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer {
        live.add(1, ordering: .relaxed)
        if unsafe list == nil {
            unsafe list = takeReturned()
        }
        guard let block = unsafe list else {
            return UnsafeMutableRawPointer.allocate(byteCount: blockByteCount, alignment: 16)
        }
        // SAFETY: a block on a list begins with its next pointer.
        unsafe list = node(block).pointee
        idle.subtract(1, ordering: .relaxed)
        return unsafe block
    }

    /// Frees the blocks of `list` and those on the shared list.
    @unsafe
    package func trim(_ list: inout UnsafeMutableRawPointer?) {
        let freed = unsafe free(list: list) + free(list: takeReturned())
        unsafe list = nil
        idle.subtract(freed, ordering: .relaxed)
    }

    /// The pool ends: from here on, blocks are freed as they come back.
    func close() {
        isClosed.store(true, ordering: .relaxed)
    }

    /// The first word of an idle block: the next block. Typed, not `load` and `storeBytes`, because the
    /// thread sanitizer sees typed accesses only, and this word is what it must watch.
    @unsafe
    private func node(_ block: UnsafeMutableRawPointer) -> UnsafeMutablePointer<UnsafeMutableRawPointer?> {
        // SAFETY: an idle block is used for nothing else; `Slab.makePooled` binds it to UInt8 again.
        unsafe block.bindMemory(to: UnsafeMutableRawPointer?.self, capacity: 1)
    }

    @unsafe
    private func free(list: UnsafeMutableRawPointer?) -> Int {
        var count = 0
        var rest = unsafe list
        while let block = unsafe rest {
            // SAFETY: as in `takeBlock`; the next pointer is read before the block is freed.
            unsafe rest = node(block).pointee
            unsafe block.deallocate()
            count += 1
        }
        return count
    }
}
