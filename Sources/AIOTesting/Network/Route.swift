// One direction between two machines: when what is sent now arrives, and whether anything does. Owned by the network's
// Topology; links and datagrams ask it.

import AIOKernel

/// A direction. Everything between the same two machines shares one.
///
/// Bandwidth is a queue: a write begins to leave when the one before has left, and its last byte has left so much later
/// as it is long. The latency comes on top. A partition cuts a route without forgetting what is on it: what is due in
/// the meantime arrives when the partition has healed.
final class Route {
    let from: IPAddress
    let to: IPAddress
    var conditions: LinkConditions
    /// Partitions that this is cut by.
    var cutCount = 0
    /// When the line has sent what it was given.
    private var freeAt: MonotonicTime
    /// When the latest datagram arrives, of those that keep the order.
    private var lastDatagramDue: MonotonicTime

    init(from: IPAddress, to: IPAddress, conditions: LinkConditions, now: MonotonicTime) {
        self.from = from
        self.to = to
        self.conditions = conditions
        freeAt = now
        lastDatagramDue = now
    }

    var isCut: Bool { cutCount > 0 }

    /// Sends so many bytes; returns when the last of them has left.
    func leave(_ byteCount: Int, now: MonotonicTime) -> MonotonicTime {
        guard let bytesPerSecond = conditions.bytesPerSecond else { return now }
        let (seconds, rest) = byteCount.quotientAndRemainder(dividingBy: bytesPerSecond)
        let nanoseconds = (rest * 1_000_000_000 + bytesPerSecond - 1) / bytesPerSecond
        let duration = Duration.seconds(seconds) + .nanoseconds(nanoseconds)
        freeAt = max(freeAt, now).advanced(by: duration)
        return freeAt
    }

    /// When something arrives that leaves then.
    func arrival(of time: MonotonicTime, chance: inout SeededRandom) -> MonotonicTime {
        let latency = conditions.latency
        return latency.upperBound <= .zero ? time : time.advanced(by: chance.duration(in: latency))
    }

    /// When a packet without payload arrives that leaves now: an end, a reset.
    func arrivalOfControl(now: MonotonicTime) -> MonotonicTime {
        now.advanced(by: conditions.latency.lowerBound)
    }

    /// When a datagram arrives that leaves now, behind those before it unless it is held up.
    func arrivalOfDatagram(
        now: MonotonicTime, chance: inout SeededRandom, deviations: Deviations
    ) -> MonotonicTime {
        let due = arrival(of: now, chance: &chance)
        if chance.happens(conditions.reordering), deviations.takes() {
            return due.advanced(by: chance.duration(in: conditions.reorderingDelay))
        }
        lastDatagramDue = max(lastDatagramDue, due)
        return lastDatagramDue
    }
}

extension SeededRandom {
    /// True with this probability, 0 to 1. Draws nothing if it is 0.
    mutating func happens(_ probability: Double) -> Bool {
        probability > 0 && Double(next() >> 11) * 0x1p-53 < probability
    }

    mutating func duration(in range: ClosedRange<Duration>) -> Duration {
        .nanoseconds(number(in: range.lowerBound.nanoseconds...range.upperBound.nanoseconds))
    }
}

extension Duration {
    fileprivate var nanoseconds: Int {
        Int(components.seconds) * 1_000_000_000 + Int(components.attoseconds / 1_000_000_000)
    }
}
