// The deadlines of one worker: connect timeouts, idle timeouts, sleeps. They come in as monotonic nanoseconds
// from the operations that the worker runs. The worker's loop gives `nextWake` to the kernel as the end of
// its wait, and after the wait calls `popDue` until nil. One thread owns a wheel; there is no clock, lock or
// descriptor inside.

// Theory of operation
//
// Time is counted in ticks since the clock's own zero. A deadline is rounded *up* to a tick and the present
// is rounded *down*, so that a timer fires no earlier than asked, and less than a tick later. A tick number
// is read as digits in base 64, and there is a level for each digit: the slots of level 0 are single ticks,
// those of level 1 are 64 ticks wide, those of level 2 are 4,096, and so on. There are as many levels as the
// last tick of a 64-bit clock has digits (8 for ticks of a millisecond, 11 for nanoseconds), so no deadline
// is too far away to have a slot.
//
// A timer lives at the level of the *highest digit in which its tick differs from the current tick*, in the
// slot that this digit names. (The usual rule, by how far away the deadline is, lets a level wrap around: its
// first slot then depends on where the hand is.) The rule has four consequences, and everything below rests
// on them:
//
// 1. On its level, a timer's digit is above the current tick's digit, or equal if the timer is due now.
//    Nothing wraps, so the first occupied slot of a level is the lowest bit set in that level's bitmap.
// 2. All that is on a level comes before all that is on the levels above it. The first occupied slot of the
//    lowest occupied level thus holds the earliest timer: two bit scans find it, however long the empty
//    stretch before it.
// 3. The current tick may move on to anywhere before the start of that slot without a timer having to move.
//    When it reaches the start and the level is not 0, the slot's timers now agree with it in one digit more,
//    and each goes to a lower level (a cascade). A timer cascades at most once a level in its life, and is
//    then popped.
// 4. Where a timer lives follows from its tick and the current tick. Removal works it out, nothing is stored;
//    and timers of one tick are always in one slot together. Slots are first in, first out, and a cascade
//    keeps their order, so *timers of one tick fire in the order in which they were inserted*.
//
// `popDue` returns one payload a call. Between calls the current tick stands at the tick of what was popped,
// even if `now` is far beyond: a timer that the caller inserts meanwhile takes its place in the order of
// deadlines.
//
// The entries are in one array, linked into their slots, or into a list of free entries, by index. The array
// grows to the most timers that were ever pending together, and never shrinks; other than that, nothing
// allocates. An entry's generation is the number of the insertion that filled it, in 64 bits, and 0 while it
// is free: a handle whose timer has fired or been removed matches nothing, ever after.
//
// Rejected: a heap (logarithmic to remove or put off, which is what happens to nearly every timeout, and in
// need of a back-pointer from each entry); a list for the far future (one more case, to save a few kilobytes
// of slots); a `nextWake` that is always exact (it would have to search the slot. It may name a cascade
// instead, and a timer costs the worker at most one wake-up a level; exact where it costs nothing, when the
// slot has only one timer).

/// Timers in order of their deadlines; a pure data structure that is told the time.
///
/// Instants are nanoseconds of one monotonic clock, whose zero does not matter. Inserting, removing and
/// rescheduling take constant time; popping takes constant time besides the cascades, at most one a level for
/// each timer.
package struct TimerWheel<Payload>: ~Copyable {
    /// Names one inserted timer, to the wheel that inserted it. Once the timer has fired or been removed, it
    /// names nothing, and is harmless.
    package struct Handle: Hashable, Sendable {
        fileprivate let index: Int32
        fileprivate let generation: UInt64
    }

    /// How many timers are pending.
    package private(set) var count = 0
    /// How many levels there are: the most times that the worker wakes up for one timer.
    package let levelCount: Int

    private let tickNanoseconds: UInt64
    private let lastTick: UInt64

    /// The latest instant that the wheel was told. It never goes back.
    private var latestInstant: UInt64
    /// Where the wheel stands: at most the tick of every pending timer, and at most the tick of
    /// `latestInstant`.
    private var currentTick: UInt64

    private var entries: [Entry] = []
    private var firstFree = Entry.none
    private var lastGeneration: UInt64 = 0

    /// All slots, level by level.
    private var slots: [Slot]
    /// For each level, a bit for each slot that has timers.
    private var occupiedSlots: [UInt64]
    /// A bit for each level that has timers.
    private var occupiedLevels: UInt64 = 0

    /// An empty wheel that stands at `now`. A deadline is met to within `tickNanoseconds`, which is at least
    /// 1.
    package init(now: UInt64, tickNanoseconds: UInt64 = 1_000_000) {
        precondition(tickNanoseconds > 0, "a tick lasts at least a nanosecond")
        self.tickNanoseconds = tickNanoseconds
        lastTick = Self.roundedUp(.max, tickNanoseconds)
        let significantBits = UInt64.bitWidth - lastTick.leadingZeroBitCount
        levelCount = (significantBits + Place.bitsPerLevel - 1) / Place.bitsPerLevel
        slots = Array(repeating: Slot(), count: levelCount * Place.slotsPerLevel)
        occupiedSlots = Array(repeating: 0, count: levelCount)
        latestInstant = now
        currentTick = now == .max ? lastTick : now / tickNanoseconds
    }

    /// Adds a timer that is due once the clock has reached `deadline` rounded up to a tick; if the wheel was
    /// told already of an instant at or after `deadline`, it is due at the next `popDue`.
    ///
    /// If timers of later ticks than its own were popped before, it is ordered as one of the latest of these
    /// ticks.
    package mutating func insert(_ payload: Payload, at deadline: UInt64) -> Handle {
        lastGeneration += 1
        let entry = Entry(payload: payload, tick: dueTick(deadline), generation: lastGeneration)
        let index: Int32
        if firstFree != Entry.none {
            index = firstFree
            firstFree = entries[Int(index)].next
            entries[Int(index)] = entry
        } else {
            precondition(entries.count < Int(Int32.max), "more than 2^31 timers")
            index = Int32(entries.count)
            entries.append(entry)
        }
        append(index)
        count += 1
        return Handle(index: index, generation: lastGeneration)
    }

    /// Takes a timer out before it fires, and returns its payload; nil if it is no longer there.
    @discardableResult
    package mutating func remove(_ handle: Handle) -> Payload? {
        guard isPending(handle) else { return nil }
        return takeOut(handle.index)
    }

    /// Gives a timer another deadline, sooner or later; false if it is no longer there. The handle remains
    /// good.
    ///
    /// Among the timers of its new tick it is the last. If the tick is what it was, it keeps its place, and
    /// the call has cost next to nothing: an idle timeout is put off at every read.
    package mutating func reschedule(_ handle: Handle, at deadline: UInt64) -> Bool {
        guard isPending(handle) else { return false }
        let tick = dueTick(deadline)
        guard tick != entries[Int(handle.index)].tick else { return true }
        unlink(handle.index)
        entries[Int(handle.index)].tick = tick
        append(handle.index)
        return true
    }

    /// Takes out the next timer that is due at `now`, in order of deadline tick, and within a tick in the
    /// order of insertion; nil once there is none. Call it until nil, or fewer times to bound the work: what
    /// is left remains due. A `now` before an earlier one is taken for the latest.
    ///
    /// Between two calls, timers may come and go. One that is inserted in the past is due in the same round,
    /// so it is for the caller to bound a round in which every timer inserts another.
    package mutating func popDue(at now: UInt64) -> Payload? {
        latestInstant = max(latestInstant, now)
        let presentTick = tick(atOrBefore: latestInstant)
        while let place = firstPlace {
            let start = startTick(of: place)
            guard start <= presentTick else { break }
            currentTick = start
            if place.level == 0 { return takeOut(slots[place.index].head) }
            cascade(place)
        }
        currentTick = presentTick
        return nil
    }

    /// When to call `popDue` again; nil if no timer is pending.
    ///
    /// Never later than the earliest deadline rounded up to its tick. It may be earlier, because of a
    /// cascade, and `popDue` then returns nil. Once `popDue` has returned nil, it is in the future until a
    /// timer that is due already is inserted: a loop that waits for it does not spin.
    package func nextWake() -> UInt64? {
        guard let place = firstPlace else { return nil }
        let slot = slots[place.index]
        return instant(of: slot.head == slot.tail ? entries[Int(slot.head)].tick : startTick(of: place))
    }

    /// How many entries there are, free ones included: the most timers that were ever pending together.
    package var peakCount: Int { entries.count }
}

// MARK: - Ticks and instants

extension TimerWheel {
    private static func roundedUp(_ instant: UInt64, _ tickNanoseconds: UInt64) -> UInt64 {
        let (quotient, remainder) = instant.quotientAndRemainder(dividingBy: tickNanoseconds)
        // No overflow: there is no remainder if a tick is one nanosecond, and the quotient is halved if it is
        // more.
        return remainder == 0 ? quotient : quotient + 1
    }

    /// The last tick that has begun at `instant`. The last tick of all, which a 64-bit clock need not reach,
    /// begins for our purposes at the last instant, so that a deadline there is met and `nextWake` keeps its
    /// word.
    private func tick(atOrBefore instant: UInt64) -> UInt64 {
        instant == .max ? lastTick : instant / tickNanoseconds
    }

    /// When a tick begins; see `tick(atOrBefore:)` for the last one.
    private func instant(of tick: UInt64) -> UInt64 {
        let (product, overflow) = tick.multipliedReportingOverflow(by: tickNanoseconds)
        return overflow ? .max : product
    }

    /// The tick at which a timer with this deadline is due: not before where the wheel stands, and not after
    /// the present if the deadline has passed.
    private func dueTick(_ deadline: UInt64) -> UInt64 {
        var tick = Self.roundedUp(deadline, tickNanoseconds)
        if deadline <= latestInstant { tick = min(tick, self.tick(atOrBefore: latestInstant)) }
        return max(tick, currentTick)
    }
}

// MARK: - Places

extension TimerWheel {
    /// A slot of a level.
    private struct Place {
        static var bitsPerLevel: Int { 6 }
        static var slotsPerLevel: Int { 64 }

        let level: Int
        let digit: Int

        var index: Int { level * Self.slotsPerLevel + digit }
        var bit: UInt64 { 1 << UInt64(digit) }
    }

    /// Where the timers of a tick live, the tick being the current one or a later one.
    private func place(of tick: UInt64) -> Place {
        let differing = tick ^ currentTick
        let level = differing == 0 ? 0 : (63 - differing.leadingZeroBitCount) / Place.bitsPerLevel
        let digit = (tick >> UInt64(level * Place.bitsPerLevel)) & 63
        return Place(level: level, digit: Int(digit))
    }

    /// The place of the earliest timer, or nil if there is none.
    private var firstPlace: Place? {
        guard occupiedLevels != 0 else { return nil }
        let level = occupiedLevels.trailingZeroBitCount
        return Place(level: level, digit: occupiedSlots[level].trailingZeroBitCount)
    }

    /// The first tick of a slot: the current tick's digits above the slot's level, the slot's digit, and
    /// zeros.
    private func startTick(of place: Place) -> UInt64 {
        let shift = UInt64(place.level * Place.bitsPerLevel)
        let above = shift + UInt64(Place.bitsPerLevel)
        // At the highest level there may be no digits above; shifting out all 64 bits leaves 0, as it should.
        return (currentTick >> above) << above | UInt64(place.digit) << shift
    }
}

// MARK: - Entries and their lists

extension TimerWheel {
    /// A timer, or a free entry: then `payload` is nil, `generation` 0, and `next` links the free list.
    private struct Entry {
        static var none: Int32 { -1 }

        var payload: Payload?
        var tick: UInt64
        var generation: UInt64
        var previous = Self.none
        var next = Self.none
    }

    /// The ends of a slot's list; both `Entry.none` if it is empty.
    private struct Slot {
        var head = Entry.none
        var tail = Entry.none
    }

    private func isPending(_ handle: Handle) -> Bool {
        // The bound matters only for the handle of another wheel, which should not be here, but must not
        // trap.
        Int(handle.index) < entries.count && entries[Int(handle.index)].generation == handle.generation
    }

    /// Puts an entry at the end of the slot where its tick belongs.
    private mutating func append(_ index: Int32) {
        let place = place(of: entries[Int(index)].tick)
        let tail = slots[place.index].tail
        entries[Int(index)].previous = tail
        entries[Int(index)].next = Entry.none
        slots[place.index].tail = index
        if tail != Entry.none {
            entries[Int(tail)].next = index
        } else {
            slots[place.index].head = index
            occupiedSlots[place.level] |= place.bit
            occupiedLevels |= 1 << UInt64(place.level)
        }
    }

    /// Takes an entry out of its slot; it is then in no list.
    private mutating func unlink(_ index: Int32) {
        let place = place(of: entries[Int(index)].tick)
        let previous = entries[Int(index)].previous
        let next = entries[Int(index)].next
        if previous == Entry.none {
            slots[place.index].head = next
        } else {
            entries[Int(previous)].next = next
        }
        if next == Entry.none {
            slots[place.index].tail = previous
        } else {
            entries[Int(next)].previous = previous
        }
        if previous == Entry.none && next == Entry.none { markEmpty(place) }
    }

    /// Empties a slot whose first tick has become the current one: its timers move to lower levels, in their
    /// order.
    private mutating func cascade(_ place: Place) {
        var next = slots[place.index].head
        slots[place.index] = Slot()
        markEmpty(place)
        while next != Entry.none {
            let index = next
            next = entries[Int(index)].next
            append(index)
        }
    }

    private mutating func markEmpty(_ place: Place) {
        occupiedSlots[place.level] &= ~place.bit
        if occupiedSlots[place.level] == 0 { occupiedLevels &= ~(1 << UInt64(place.level)) }
    }

    /// Frees a pending entry. The wheel keeps no reference to the payload.
    private mutating func takeOut(_ index: Int32) -> Payload? {
        unlink(index)
        let payload = entries[Int(index)].payload.take()
        entries[Int(index)].generation = 0
        entries[Int(index)].next = firstFree
        firstFree = index
        count -= 1
        return payload
    }
}
