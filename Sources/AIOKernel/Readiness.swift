// What epoll says, in our words: the interest a descriptor is registered with, the readiness that comes back,
// and the reused buffer that carries a batch of it from `Kernel.wait` to the worker's pass.

/// What a registration asks to be told. All registrations of sockets are edge-triggered (epoll(7)).
package struct Interest: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let readable = Interest(rawValue: 0x001)  // EPOLLIN
    package static let writable = Interest(rawValue: 0x004)  // EPOLLOUT
    package static let peerHangUp = Interest(rawValue: 0x2000)  // EPOLLRDHUP
    package static let edgeTriggered = Interest(rawValue: 1 << 31)  // EPOLLET

    // By their numbers: a literal of several members is a loop over an array each time that it is evaluated, and these
    // are asked for with every connection or message. The same below.
    /// A connection that has nothing to write.
    package static let stream = Interest(rawValue: 0x001 | 0x2000 | 1 << 31)
    /// The same, with something to write.
    package static let streamForWriting = Interest(rawValue: 0x001 | 0x004 | 0x2000 | 1 << 31)
    /// A datagram socket, listener or counter.
    package static let input = Interest(rawValue: 0x001 | 1 << 31)
    /// A datagram socket with something to write.
    package static let inputAndOutput = Interest(rawValue: 0x001 | 0x004 | 1 << 31)
    /// A socket that connects.
    package static let output = Interest(rawValue: 0x004 | 1 << 31)
}

/// What became possible on a descriptor. A hint: the read or write that follows decides.
package struct Readiness: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let readable = Readiness(rawValue: 0x001)  // EPOLLIN
    package static let writable = Readiness(rawValue: 0x004)  // EPOLLOUT
    package static let error = Readiness(rawValue: 0x008)  // EPOLLERR
    package static let hangUp = Readiness(rawValue: 0x010)  // EPOLLHUP
    package static let peerHangUp = Readiness(rawValue: 0x2000)  // EPOLLRDHUP

    /// The peer or the kernel ended something: read until the end, whatever a short read suggests.
    package static let ending = Readiness(rawValue: 0x008 | 0x010 | 0x2000)
    /// Reading will bring something, if only an error.
    package static let input = Readiness(rawValue: 0x001 | 0x008 | 0x010)
    /// Writing will go on, or say why not.
    package static let output = Readiness(rawValue: 0x004 | 0x008 | 0x010)
}

/// Up to `capacity` pairs of token and readiness, filled by `Kernel.wait` and read by one worker.
package final class ReadinessBatch {
    package let capacity: Int
    package private(set) var count = 0
    private var tokens: [UInt64]
    private var masks: [UInt32]

    package init(capacity: Int) {
        self.capacity = capacity
        tokens = Array(repeating: 0, count: capacity)
        masks = Array(repeating: 0, count: capacity)
    }

    package func token(at index: Int) -> UInt64 { tokens[index] }
    package func readiness(at index: Int) -> Readiness { Readiness(rawValue: masks[index]) }

    /// Pairs that were taken already.
    private var taken = 0

    package var isEmpty: Bool { taken == count }

    /// Takes pairs and calls `body` with each, and with the token that is two further on, as long as it answers true:
    /// `limit` of them at most. What is left is there for the next call.
    package func take(atMost limit: Int, _ body: (UInt64, Readiness, _ coming: UInt64?) -> Bool) {
        let (tokens, masks) = (tokens, masks)
        let end = min(count, taken + limit)
        var index = taken
        var goesOn = true
        while index < end, goesOn {
            let coming = index + 2 < end ? tokens[index + 2] : nil
            goesOn = body(tokens[index], Readiness(rawValue: masks[index]), coming)
            index += 1
        }
        taken = index
        if taken == count { removeAll() }
    }

    package func removeAll() {
        count = 0
        taken = 0
    }

    /// Adds one pair; false if the batch is full.
    package func append(token: UInt64, readiness: Readiness) -> Bool {
        guard count < capacity else { return false }
        tokens[count] = token
        masks[count] = readiness.rawValue
        count += 1
        return true
    }

    /// Lets a kernel fill both columns at once; `body` returns how many pairs it wrote, or `-errno`.
    package func fill(
        _ body: (inout MutableSpan<UInt64>, inout MutableSpan<UInt32>) -> Int
    ) -> CallResult {
        var tokenSpan = tokens.mutableSpan
        var maskSpan = masks.mutableSpan
        let filled = body(&tokenSpan, &maskSpan)
        count = max(filled, 0)
        taken = 0
        return CallResult(rawValue: filled)
    }
}
