// How much slab memory a worker's unread input may hold, and what happens as it fills: windows shrink, sparse
// slabs are emptied. Asked by connections before each read, told by the worker when slabs change hands.

/// The worker's inbound budget. Thread-bound, no I/O, no clock.
///
/// The unit of account is memory *held*: a slab counts whole as long as one byte in it has not been taken.
/// Two things keep that near what is really waiting:
///
/// - From three quarters of the budget on, every window is scaled down, to nothing at the end. The
///   connections that hold most find themselves above the smaller window first; one that holds nothing can
///   still be read until the budget is gone.
/// - When the slabs held are four times what is in them, what is left in them is copied together into few
///   slabs, and the others go back to the pool: a thousand peers who have left one byte each pin bytes, not
///   slabs.
struct InboundMemory {
    private let byteCountMax: Int
    private var heldByteCount = 0
    private var slabsTakenAtLastLook = 0
    private var timerIsArmed = false

    init(byteCountMax: Int) { self.byteCountMax = max(byteCountMax, 1) }

    mutating func update(heldByteCount: Int) { self.heldByteCount = heldByteCount }

    /// True once for each slab begun: holdings change by slabs, and looking costs a walk over them.
    mutating func isDueForALook(slabsTaken: Int) -> Bool {
        guard slabsTaken != slabsTakenAtLastLook else { return false }
        slabsTakenAtLastLook = slabsTaken
        return true
    }

    func window(_ window: Int) -> Int {
        let quarter = byteCountMax / 4
        let left = byteCountMax - heldByteCount
        if left <= 0 { return 0 }
        if left >= quarter { return window }
        return max(1, Int(Double(window) * Double(left) / Double(quarter)))
    }

    func shouldCompact(_ slabBytes: Int, holding undelivered: Int, slab: Int) -> Bool {
        slabBytes > 4 * undelivered + 4 * slab
    }

    // MARK: The timer that looks again

    /// True if the timer was not armed yet: then the caller arms it.
    mutating func armTimer() -> Bool {
        defer { timerIsArmed = true }
        return !timerIsArmed
    }

    mutating func timerFired() { timerIsArmed = false }
}
