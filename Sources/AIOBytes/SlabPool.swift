// Where received bytes get their memory. A worker owns one pool and calls `receive` when a socket is
// readable; the kernel writes into the current slab, and the slice that comes back goes on to the framer.
// Later, what nobody took is copied out of nearly empty slabs by `copyOut`, through `ByteQueue.compact`.

// Theory of operation
//
// There is one current slab and a cursor in it. Each receive offers the free tail to the kernel and moves
// the cursor past what was filled, so that many small messages share one slab and a receive allocates
// nothing; when the tail is too short the slab is *retired*: the pool lets go of it, and it lives on in its
// slices alone. What is lost is the tail of a retired slab, less than the `expecting` of the receive that
// retired it.
//
// The unit of account is memory held. A slab with one undelivered byte in it holds all of its memory, so
// `holdings` counts slabs whole; what has been delivered is the user's to hold and does not count. The pool
// remembers the account, not the slab, of each retired slab, and forgets it when it is at zero: a retired
// slab is never charged again. Accounts at zero are swept out by `holdings`, and when their number has
// doubled since the last sweep, so the list stays proportional to the slabs held even if nobody asks.

/// The slabs of one worker. Only the worker's thread uses it, so it is not `Sendable`; slices of its slabs,
/// and `blocks` with the counts, may be on any thread and may outlive it.
@safe
package final class SlabPool {
    package static let slabByteCountDefault = 65_536
    package static let slabByteCountMin = 4_096
    package static let idleSlabsMaxDefault = 16

    /// The part that every thread may touch: idle blocks, and counts for statistics.
    package let blocks: SlabBlocks

    /// The slab being filled. In a box, since every read passes here (see `Owned`).
    private let filling = Owned(Filling())
    /// Idle blocks that have been taken off the shared list: a list through their first words.
    private var ready: UnsafeMutableRawPointer?
    /// Accounts of retired slabs; those at zero are yet to be swept out.
    private var retired: [SlabAccount] = []
    private var sweepAtCount = SlabPool.sweepAtCountMin
    /// Slabs begun so far. Who watches holdings looks again when it changes.
    package private(set) var slabsTaken = 0

    private static let sweepAtCountMin = 32

    private struct Filling: ~Copyable {
        var current: Slab?
        /// The offset in `current` of the first byte not yet used.
        var cursor = 0
        /// A fill closure runs.
        var isUnderWay = false
    }

    private var current: Slab? { filling.value.current }

    private var cursor: Int {
        get { filling.value.cursor }
        set { filling.value.cursor = newValue }
    }

    private var isFilling: Bool {
        get { filling.value.isUnderWay }
        set { filling.value.isUnderWay = newValue }
    }

    package init(
        slabByteCount: Int = SlabPool.slabByteCountDefault,
        idleSlabsMax: Int = SlabPool.idleSlabsMaxDefault
    ) {
        precondition(slabByteCount >= SlabPool.slabByteCountMin, "a slab has at least 4096 bytes")
        precondition(idleSlabsMax >= 0)
        blocks = SlabBlocks(blockByteCount: slabByteCount, idleBlocksMax: idleSlabsMax)
    }

    deinit {
        blocks.close()
        trim()
    }

    package var slabByteCount: Int { blocks.blockByteCount }

    /// Slabs in existence, the current one and those that users hold included. For statistics.
    package var liveSlabCount: Int { blocks.liveCount }

    /// Blocks waiting to be used again; at most `idleSlabsMax`.
    package var idleSlabCount: Int { blocks.idleCount }

    // MARK: filling

    /// Has up to `n` bytes written into the current slab, and returns them as a slice.
    ///
    /// The slice is charged to its slab's account until `Bytes.delivered()` is called for it.
    /// - Parameters:
    ///   - n: offer no more than this; at least 1.
    ///   - hint: offer at least this, or `n` if that is less, taking a new slab if the current one has less
    ///     room. More than a slab counts as a slab.
    ///   - fill: appends to the span and returns how many bytes it appended (0: end of stream), or a negative
    ///     number, an errno say, which is passed through; then nothing is consumed, whatever was appended.
    ///     It must not use the pool.
    package func receive(
        atMost n: Int, expecting hint: Int, _ fill: (inout OutputRawSpan) -> Int
    ) -> (filled: Int, bytes: Bytes) {
        precondition(n > 0, "a receive of nothing looks like the end of the stream")
        precondition(!isFilling, "a fill closure must not use the pool")
        isFilling = true
        defer { isFilling = false }

        let slab = slab(withRoomFor: max(1, min(n, hint, slabByteCount)))
        let offered = min(n, slab.byteCount - cursor)
        // SAFETY: from the cursor on the slab is ours alone (the invariant in Slab.swift) and `offered`
        // fits.
        let tail = unsafe UnsafeMutableRawBufferPointer(start: slab.base + cursor, count: offered)
        var span = unsafe OutputRawSpan(buffer: tail, initializedCount: 0)
        let said = fill(&span)
        let appended = unsafe span.finalize(for: tail)
        guard said >= 0 else { return (said, Bytes()) }
        precondition(said == appended, "a fill closure must append what it says")
        return (appended, publish(appended, of: slab))
    }

    /// A dense copy of `bytes` in the current slab, charged to its account, so that the slab which `bytes`
    /// was in can go. Copies made one after another are adjacent. What is longer than a slab gets its own
    /// storage.
    ///
    /// The original stays charged: call `delivered()` on it once it is replaced.
    package func copyOut(_ bytes: Bytes) -> Bytes {
        precondition(!isFilling, "a fill closure must not use the pool")
        let byteCount = bytes.count
        guard byteCount > 0 else { return Bytes() }
        guard byteCount <= slabByteCount else { return copyOutPrivately(bytes) }
        let slab = slab(withRoomFor: byteCount)
        // SAFETY: from the cursor on the slab is ours alone, and there is room for `byteCount`.
        unsafe bytes.withUnsafeBytes { source in
            unsafe (slab.base + cursor).copyMemory(from: source.baseAddress!, byteCount: byteCount)
        }
        return publish(byteCount, of: slab)
    }

    /// Whether copying `bytes` out would free nothing: they are in the current slab, which stays anyway, or
    /// in storage of their exact size.
    package func holdsDensely(_ bytes: Bytes) -> Bool {
        guard let storage = bytes.storage else { return true }
        return storage === current || storage.byteCount == bytes.count
    }

    // MARK: accounting

    /// The memory that undelivered bytes hold, and how many bytes they are.
    ///
    /// A slab counts whole while one byte in it is undelivered, and not at all afterwards, even if the user
    /// keeps slices of it. The cost is proportional to the slabs held.
    package func holdings() -> (slabBytes: Int, undeliveredBytes: Int) {
        var slabBytes = 0
        var undeliveredBytes = 0
        func add(_ account: SlabAccount) -> Bool {
            let undelivered = account.undeliveredByteCount
            guard undelivered > 0 else { return false }
            slabBytes += account.capacity
            undeliveredBytes += undelivered
            return true
        }
        if let account = current?.account {
            _ = add(account)
        }
        retired.removeAll { !add($0) }
        return (slabBytes, undeliveredBytes)
    }

    /// Accounts of retired slabs that the pool remembers: those of slabs held, and some at zero.
    package var rememberedAccountCount: Int { retired.count }

    /// Frees the idle blocks.
    package func trim() {
        // SAFETY: `ready` is a list of blocks that this pool owns.
        unsafe blocks.trim(&ready)
    }

    // MARK: private parts

    /// The current slab if it has room, or a new one in its place.
    private func slab(withRoomFor byteCount: Int) -> Slab {
        if let current, current.byteCount - cursor >= byteCount { return current }
        if let account = current?.account {
            remember(account)
        }
        // SAFETY: the block is a fresh one, or came off a list, and belongs to nobody else.
        let block = unsafe blocks.takeBlock(from: &ready)
        let account = SlabAccount(capacity: slabByteCount)
        let slab = unsafe Slab.makePooled(block: block, home: blocks, account: account)
        filling.value.current = slab
        cursor = 0
        slabsTaken += 1
        return slab
    }

    /// The next `byteCount` bytes of the current slab as a charged slice; moves the cursor past them.
    private func publish(_ byteCount: Int, of slab: Slab) -> Bytes {
        guard byteCount > 0 else { return Bytes() }
        slab.charge(byteCount)
        // SAFETY: these bytes have just been written, and from here on nobody writes them.
        let bytes = unsafe Bytes(storage: slab, first: slab.base + cursor, count: byteCount)
        cursor += byteCount
        return bytes
    }

    private func copyOutPrivately(_ bytes: Bytes) -> Bytes {
        let account = SlabAccount(capacity: bytes.count)
        account.charge(bytes.count)
        remember(account)
        return Bytes(copying: bytes, account: account)
    }

    private func remember(_ account: SlabAccount) {
        guard account.undeliveredByteCount > 0 else { return }
        if retired.count >= sweepAtCount {
            retired.removeAll { $0.undeliveredByteCount == 0 }
            sweepAtCount = max(SlabPool.sweepAtCountMin, 2 * retired.count)
        }
        retired.append(account)
    }
}
