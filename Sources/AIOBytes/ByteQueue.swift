// Bytes that wait: an inbox for a reader, or an outbox for `sendmsg`. The worker appends what it received or
// what was written, and takes from the front what was read or what the kernel accepted.

import DequeModule

// Theory of operation
//
// Most queues hold nothing or one slice, and there is a queue or two for every connection. So the first
// slice is inline, the deque for the rest is made when a second slice comes and released when the queue is
// empty: an idle connection's queue owns no heap memory. The deque stays while there is anything at all, so
// a queue that swings between one slice and many does not allocate at each swing.
//
//   invariant   no slice is empty; `head` is empty only if the queue is, and then `rest` is too;
//               `byteCount` is the sum.
//
// Slices that lie side by side in a slab are joined as they arrive, so a thousand tiny reads of one
// connection are one slice and one iovec. All that comes out has indices from 0.
//
// It is not copyable: bytes wait in one place, `delivered()` is called once for them, and a queue that moves
// between an inbox and its consumer is moved and not retained and released.

/// A first-in-first-out queue of bytes, in slices.
package struct ByteQueue: ~Copyable, Sendable {
    /// The bytes in the queue.
    package private(set) var byteCount = 0
    private var head = Bytes()
    /// What is behind the first slice; nil while there is nothing.
    private var rest: Deque<Bytes>?

    package init() {}

    package var isEmpty: Bool { head.isEmpty }

    /// The number of slices.
    package var count: Int { head.isEmpty ? 0 : 1 + (rest?.count ?? 0) }

    /// The slice at the front.
    package var first: Bytes? { head.isEmpty ? nil : head }

    // MARK: in

    /// Puts `bytes` at the end, as part of the last slice if they follow it in memory. Empty ones vanish.
    package mutating func append(_ bytes: Bytes) {
        guard !bytes.isEmpty else { return }
        if head.isEmpty {
            head = Bytes(bytes)
            byteCount = bytes.count
        } else if !extendLast(by: bytes) {
            appendNotCoalescing(bytes)
        }
    }

    /// Moves everything out of `other` to the end.
    package mutating func append(contentsOf other: consuming ByteQueue) {
        var other = other
        if isEmpty {
            swap(&self, &other)
            return
        }
        while let slice = other.popFirst() { append(slice) }
    }

    /// Puts `bytes` at the end as a slice of its own: for bytes that have a meaning as a unit.
    package mutating func appendNotCoalescing(_ bytes: Bytes) {
        guard !bytes.isEmpty else { return }
        if head.isEmpty {
            head = Bytes(bytes)
        } else {
            rest = rest ?? Deque()
            rest!.append(Bytes(bytes))
        }
        byteCount += bytes.count
    }

    /// Puts `bytes` at the front, as part of the first slice if that follows them in memory. Empty ones
    /// vanish.
    package mutating func prepend(_ bytes: Bytes) {
        guard !bytes.isEmpty else { return }
        if head.isEmpty {
            head = Bytes(bytes)
        } else if let joined = bytes.extended(by: head) {
            head = Bytes(joined)
        } else {
            rest = rest ?? Deque()
            rest!.prepend(head)
            head = Bytes(bytes)
        }
        byteCount += bytes.count
    }

    /// Moves everything out of `other` to the front. The cost is in proportion to the fewer slices of the
    /// two.
    package mutating func prepend(contentsOf other: consuming ByteQueue) {
        var other = other
        if other.count > count {
            other.append(contentsOf: take())
            self = other
        } else {
            while let slice = other.popLast() { prepend(slice) }
        }
    }

    // MARK: out

    /// Takes the first slice, or nil if the queue is empty.
    package mutating func popFirst() -> Bytes? {
        guard !head.isEmpty else { return nil }
        let slice = head
        byteCount -= slice.count
        advance()
        return slice
    }

    /// Takes the first slice, or as much of it as `byteCountMax` allows; nil if the queue is empty or the
    /// limit is 0.
    package mutating func popFirst(atMost byteCountMax: Int) -> Bytes? {
        precondition(byteCountMax >= 0)
        guard byteCountMax < head.count else { return popFirst() }
        guard byteCountMax > 0 else { return nil }
        let part = head.prefix(byteCountMax)
        dropFirst(byteCount: byteCountMax)
        return part
    }

    /// Takes the first `byteCount` bytes, of which there must be as many, if they lie within the first slice;
    /// else nil, and nothing is taken. What comes out are the bytes of `kept`, counted from the first byte
    /// taken. All that is taken counts as delivered.
    package mutating func popDelivered(byteCount n: Int, keeping kept: Range<Int>) -> Bytes? {
        precondition(n > 0 && kept.lowerBound >= 0 && kept.upperBound <= n, "keeping more than is taken")
        guard n <= head.count else { return nil }
        head.deliveredFirst(byteCount: n)
        let taken = head.slice(kept)
        byteCount -= n
        if n == head.count {
            advance()
        } else {
            head.removeFirst(byteCount: n)
        }
        return taken
    }

    /// Drops the first `n` bytes, of which there must be as many: what a short write got rid of.
    package mutating func dropFirst(byteCount n: Int) {
        precondition(n >= 0 && n <= byteCount, "dropping more bytes than there are")
        var left = n
        while left > 0, left >= head.count {
            left -= head.count
            advance()
        }
        if left > 0 {
            head = Bytes(head.dropFirst(left))
        }
        byteCount -= n
    }

    /// Makes the first slice at least `byteCountMin` long, or the only one, by copying slices together, and
    /// returns it. The copy has storage of its own; its parts count as delivered.
    package mutating func joinFirst(atLeast byteCountMin: Int) -> Bytes {
        guard head.count < byteCountMin, rest?.isEmpty == false else { return head }
        var parts: [Bytes] = []
        var joinedByteCount = 0
        while joinedByteCount < byteCountMin, let slice = popFirst() {
            joinedByteCount += slice.count
            parts.append(slice)
        }
        let joined = Bytes(joining: parts)
        for part in parts { part.delivered() }
        if isEmpty {
            append(joined)
        } else {
            rest = rest ?? Deque()
            rest!.prepend(head)
            head = joined
            byteCount += joined.count
        }
        return joined
    }

    /// Empties the queue. What was in it is not delivered by that: see `delivered()`.
    package mutating func removeAll() {
        self = ByteQueue()
    }

    /// Moves everything out, and leaves an empty queue.
    package mutating func take() -> ByteQueue {
        var taken = ByteQueue()
        swap(&self, &taken)
        return taken
    }

    // MARK: as a whole

    /// Visits the slices in order, at most `sliceCountMax` of them: for an iovec batch.
    package func forEachPrefix<Failure: Error>(
        upTo sliceCountMax: Int, _ body: (Bytes) throws(Failure) -> Void
    ) throws(Failure) {
        precondition(sliceCountMax >= 0)
        guard !head.isEmpty, sliceCountMax > 0 else { return }
        try body(head)
        guard let rest else { return }
        for index in 0..<min(rest.count, sliceCountMax - 1) {
            try body(rest[index])
        }
    }

    /// Replaces undelivered slices by dense copies, so that slabs which stay alive for a few bytes can go.
    ///
    /// The copies are charged to `pool`'s current slab and the originals discharged. Slices that are in the
    /// current slab already, or have storage of their exact size, stay as they are.
    package mutating func compact(into pool: SlabPool) {
        var scattered = take()
        while let slice = scattered.popFirst() {
            if pool.holdsDensely(slice) {
                append(slice)
            } else {
                append(pool.copyOut(slice))
                slice.delivered()
            }
        }
    }

    /// Replaces everything by copies that lie side by side, and so are one slice, or two where a slab ends: for many small
    /// slices. Accounts are kept as by `compact`.
    package mutating func gather(into pool: SlabPool) {
        var scattered = take()
        while let slice = scattered.popFirst() {
            append(pool.copyOut(slice))
            slice.delivered()
        }
    }

    /// Says of everything in the queue that the engine no longer holds it: it has been handed to the user
    /// as a whole, or is about to be dropped.
    package func delivered() {
        forEachPrefix(upTo: .max) { $0.delivered() }
    }

    // MARK: private parts

    private mutating func popLast() -> Bytes? {
        guard let last = rest?.popLast() else { return popFirst() }
        byteCount -= last.count
        return last
    }

    /// Replaces the first slice by the next. The caller sees to `byteCount`.
    private mutating func advance() {
        if let next = rest?.popFirst() {
            head = next
        } else {
            head = Bytes()
            rest = nil
        }
    }

    /// True if `bytes` follow the last slice in memory, and are part of it now.
    private mutating func extendLast(by bytes: Bytes) -> Bool {
        if let last = rest?.last {
            guard let joined = last.extended(by: bytes) else { return false }
            rest![rest!.count - 1] = joined
        } else {
            guard let joined = head.extended(by: bytes) else { return false }
            head = Bytes(joined)
        }
        byteCount += bytes.count
        return true
    }
}
