// What a worker counts. One writer (the worker), any reader (`aio.statistics`): cheap enough to be always on.

import Synchronization

/// A counter with one writer. A relaxed load and store, not a read-modify-write: an ordinary increment in
/// machine code, that another thread may read at any time.
package struct Counter: ~Copyable, Sendable {
    private let value = Atomic<UInt64>(0)

    package init() {}

    /// The owning thread only.
    package borrowing func add(_ amount: Int) {
        value.store(value.load(ordering: .relaxed) &+ UInt64(amount), ordering: .relaxed)
    }

    package borrowing func increment() { add(1) }

    package borrowing func subtract(_ amount: Int) {
        value.store(value.load(ordering: .relaxed) &- UInt64(amount), ordering: .relaxed)
    }

    package var current: UInt64 { value.load(ordering: .relaxed) }
}

/// All counters of one worker.
package struct WorkerCounters: ~Copyable, Sendable {
    package let polls = Counter()
    package let sleeps = Counter()
    package let completions = Counter()
    package let submissions = Counter()
    package let consumerWakes = Counter()
    package let consumerWakesAvoided = Counter()
    package let jobs = Counter()
    package let receives = Counter()
    package let sends = Counter()
    package let bytesReceived = Counter()
    package let bytesSent = Counter()
    package let accepted = Counter()
    package let connected = Counter()
    package let openConnections = Counter()
    package let acceptPauses = Counter()
    package let acceptsShed = Counter()
    package let readPauses = Counter()
    package let readHolds = Counter()
    package let readerWakesAvoided = Counter()
    package let compactions = Counter()

    package init() {}
}
