// One direction of a simulated connection: what was sent and is under way, what has arrived, and in which pieces the
// one becomes the other.

import AIOKernel
import SystemPackage

/// In which pieces what a socket sends arrives at the other end.
public enum Arrival: Sendable, Hashable {
    /// In pieces that are drawn from the seed; what is sent together may arrive apart, and the other way round.
    case drawn
    /// All that has been sent, as far as there is room.
    case together
    /// What one write sent arrives as one piece, and only once the piece before was read: a read of its own.
    case asSent
    /// A byte, and only once the one before was read.
    case oneByteAtATime
    /// As sent, but that no piece reaches across this position of the stream, counted from its first byte.
    case split(at: Int)
    /// As sent, and then again for each place at which it can be split, one after the other: `withMockPeer` and
    /// `withMockServer` run their body as often as that takes, at most 4,096 times. The body must be able to run more than once.
    case everySplit
    /// Whatever TCP and the system calls may do, often: single bytes among pieces that are drawn, pauses of up to five
    /// milliseconds between them; and at the end that receives them, reads and writes that do less than they could, or nothing.
    case chaos
}

/// One direction of a connection.
///
/// Sent bytes first lie in the sender's buffer. The network moves some of them into the receiver's, as far as
/// there is room, and the end behind the last of them. A reset overtakes what lies in the sender's buffer,
/// but not what has arrived.
final class StreamLink {
    unowned let sender: SimulatedStream
    unowned let receiver: SimulatedStream
    let route: Route
    @safe @exclusivity(unchecked) private(set) var sent: [UInt8] = []
    /// The lengths of the writes that `sent` consists of, and when each may arrive.
    @safe @exclusivity(unchecked) private var writes: [(byteCount: Int, due: MonotonicTime)] = []
    @safe @exclusivity(unchecked) var arrived: [UInt8] = []
    @safe @exclusivity(unchecked) var arrival = Arrival.drawn
    /// Bytes that have arrived since the beginning.
    private var arrivedCount = 0
    /// In chaos: the next piece comes no earlier.
    private var pausedUntil = MonotonicTime(nanoseconds: 0)
    /// The sender ended its side, and whether the receiver knows.
    @safe @exclusivity(unchecked) private(set) var hasEnd = false
    private(set) var endDue = MonotonicTime(nanoseconds: 0)
    @safe @exclusivity(unchecked) var endArrived = false
    private(set) var endIsError = false
    /// The sender reset the connection.
    @safe @exclusivity(unchecked) private(set) var hasReset = false
    private(set) var resetDue = MonotonicTime(nanoseconds: 0)
    /// Nothing more will come of it.
    @safe @exclusivity(unchecked) var isDead = false

    init(from sender: SimulatedStream, to receiver: SimulatedStream, by route: Route) {
        self.sender = sender
        self.receiver = receiver
        self.route = route
    }

    func send(_ bytes: some Collection<UInt8>, due: MonotonicTime) {
        sent.append(contentsOf: bytes)
        writes.append((bytes.count, due))
    }

    /// Behind what was sent; as an error, once, before the end, if so said.
    func end(now: MonotonicTime, isError: Bool = false) {
        hasEnd = true
        endIsError = isError
        if isError, endArrived { receiver.pendingError = .connectionReset }
        endDue = route.arrivalOfControl(now: now)
    }

    func reset(now: MonotonicTime) {
        guard !isDead else { return }
        discard()
        hasReset = true
        resetDue = route.arrivalOfControl(now: now)
    }

    /// Whether it matters to the receiver what was one write.
    var keepsWritesWhole: Bool {
        switch arrival {
        case .asSent, .split, .everySplit: true
        case .drawn, .together, .oneByteAtATime, .chaos: false
        }
    }

    /// Bytes that the receiver's program has not read, wherever they are.
    var hasUnread: Bool { !sent.isEmpty || !arrived.isEmpty }

    /// What was sent and has not arrived never will.
    func discard() {
        sent = []
        writes = []
    }

    /// When the next piece, or the end, or a reset may arrive; nil if there is none.
    var due: MonotonicTime? {
        if hasReset { return resetDue }
        if let first = writes.first { return max(first.due, pausedUntil) }
        return hasEnd && !endArrived ? endDue : nil
    }

    /// The length of the piece that arrives next, now that there is `room`; zero if none may.
    func nextPiece(room: Int, now: MonotonicTime, chance: inout SeededRandom) -> Int {
        let most = min(room, ready(now))
        guard most > 0 else { return 0 }
        switch arrival {
        case .drawn: return chance.isOne(in: 2) ? most : chance.number(in: 1...most)
        case .together: return most
        case .chaos:
            if chance.isOne(in: 2) {
                pausedUntil = now.advanced(by: .microseconds(chance.number(in: 1...5_000)))
            }
            return chance.isOne(in: 3) ? 1 : chance.number(in: 1...most)
        case .asSent, .everySplit: return arrived.isEmpty ? min(most, writes[0].byteCount) : 0
        case .oneByteAtATime: return arrived.isEmpty ? 1 : 0
        case .split(let position):
            guard arrived.isEmpty else { return 0 }
            let piece = min(most, writes[0].byteCount)
            let left = position - arrivedCount
            return left > 0 ? min(piece, left) : piece
        }
    }

    /// How long a piece could have been, if that is drawn; else zero.
    func drawnPieceMax(room: Int, now: MonotonicTime) -> Int {
        arrival == .drawn || arrival == .chaos ? min(room, ready(now)) : 0
    }

    /// Whether a piece may arrive, without drawing which.
    func hasPiece(room: Int, now: MonotonicTime) -> Bool {
        guard room > 0, let first = writes.first, first.due <= now else { return false }
        switch arrival {
        case .drawn, .together: return true
        case .chaos: return pausedUntil <= now
        case .asSent, .oneByteAtATime, .split, .everySplit: return arrived.isEmpty
        }
    }

    private func ready(_ now: MonotonicTime) -> Int {
        var byteCount = 0
        for write in writes {
            if write.due > now { break }
            byteCount += write.byteCount
        }
        return byteCount
    }

    func deliver(_ byteCount: Int) {
        arrived.append(contentsOf: sent.prefix(byteCount))
        arrivedCount += byteCount
        sent.removeFirst(byteCount)
        var left = byteCount
        while left > 0 {
            let taken = min(left, writes[0].byteCount)
            writes[0].byteCount -= taken
            left -= taken
            if writes[0].byteCount == 0 { writes.removeFirst() }
        }
    }
}
