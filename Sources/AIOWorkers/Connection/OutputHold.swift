// When a peer's bytes are left in the kernel because of what is queued for that peer. Asked before each read
// of a connection whose program may answer what it reads; told by the output stage.

import AIOKernel

/// The rule by which reading waits for writing.
///
/// An event loop has no natural place to wait, so an echo to a peer that does not read would fill its queue
/// to the cap. But leaving a peer unread whenever much is queued for it would dead-lock two peers that flood
/// each other: neither would read, so neither could write. What tells the two apart is whether the queue
/// *grows* with what is read. So the first look above the mark only remembers how much is queued; a later
/// look that finds more begins a hold.
///
/// A hold ends when the queue falls below its low mark. Until then as many bytes may be read as leave the
/// queue: an echo's queue then does not grow, and two peers that flood each other *and* answer what they
/// receive carry each other on. To get those two going, since both hold and neither queue moves, a hold lets
/// a little through when time has passed: half of what is free below the queue's cap, so that an echo never
/// reaches the cap by it, after a time that doubles (docs/decisions/0004).
struct OutputHold {
    /// Bytes queued at the first look above the mark; zero below it.
    private var seen = 0
    /// When the hold lets something through by itself; nil while there is no hold.
    private(set) var nextRelief: MonotonicTime?
    /// Bytes that may be read in spite of the hold.
    private var allowance = 0
    private var time = OutputHold.shortest

    /// Where a connection that needs one has it.
    final class Boxed {
        var value = OutputHold()
    }

    private static let shortest: Duration = .milliseconds(100)
    private static let longest: Duration = .seconds(60)

    enum Answer: Equatable {
        case read(atMost: Int)
        /// A hold has begun; ask `relieve` at this time.
        case leaveUntil(MonotonicTime)
        case leave
    }

    mutating func look(queuedByteCount queued: Int, mark: Int, now: MonotonicTime) -> Answer {
        if nextRelief != nil { return allowance > 0 ? .read(atMost: allowance) : .leave }
        if queued <= mark {
            seen = 0
            return .read(atMost: .max)
        }
        if seen == 0 { seen = queued }
        guard queued > seen else { return .read(atMost: .max) }
        return .leaveUntil(holdOn(from: now))
    }

    mutating func bytesRead(_ byteCount: Int) {
        if nextRelief != nil { allowance = max(0, allowance - byteCount) }
    }

    /// The kernel took this much of the queue. True if that lets reading go on.
    mutating func queueMoved(by byteCount: Int) -> Bool {
        guard nextRelief != nil else { return false }
        allowance += byteCount
        return true
    }

    /// The queue is below its low mark. True if that ends a hold.
    mutating func queueFell() -> Bool {
        defer { self = OutputHold() }
        return nextRelief != nil
    }

    /// Lets a part of what is free below the cap through, if it is time. True if reading goes on by that.
    mutating func relieve(now: MonotonicTime, freeByteCount: Int) -> Bool {
        guard let nextRelief, now >= nextRelief else { return false }
        allowance += max(0, freeByteCount / 2)
        _ = holdOn(from: now)
        return allowance > 0
    }

    private mutating func holdOn(from now: MonotonicTime) -> MonotonicTime {
        let end = now.advanced(by: time)
        nextRelief = end
        time = min(time * 2, Self.longest)
        return end
    }
}
