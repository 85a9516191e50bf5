// The pool: bounded in threads and in queue, and what shutting down waits for.

import Glibc
import Synchronization
import Testing

@testable import AIOKernel

/// A number that several threads add to.
final class Counter: Sendable {
    private let number = Atomic(0)
    func increment() { number.add(1, ordering: .acquiringAndReleasing) }
    var value: Int { number.load(ordering: .acquiring) }
}

/// Numbers in the order in which they came.
private final class Log: @unchecked Sendable {
    private let lock = PosixLock()
    private var list: [Int] = []
    func append(_ number: Int) { lock.withLock { list.append(number) } }
    var numbers: [Int] { lock.withLock { list } }
}

@Suite struct OffloadPoolTests {
    @Test func `work runs on as many threads as allowed and the rest queues`() throws {
        let pool = OffloadPool(name: "test", threadsMax: 3, queuedMax: 100)
        let release = Latch()
        let done = Latch(50)
        for _ in 0..<50 {
            try pool.run {
                release.wait()
                done.countDown()
            }
        }
        #expect(pool.threadCount == 3)
        release.countDown()
        done.wait()
        pool.shutDown()
    }

    @Test func `a full queue refuses and says how long it is`() throws {
        let pool = OffloadPool(name: "test", threadsMax: 2, queuedMax: 3)
        let release = Latch()
        let done = Latch(5)
        for _ in 0..<5 {
            try pool.run {
                release.wait()
                done.countDown()
            }
        }
        let error = try #require(throws: AIOError.self) { try pool.run {} }
        #expect(error.code == .limitReached && error.detail?.contains("3") == true)
        release.countDown()
        done.wait()
        pool.shutDown()
    }

    @Test func `an idle thread works again before another is started`() throws {
        let pool = OffloadPool(name: "test", threadsMax: 4)
        for _ in 0..<20 {
            let done = Latch()
            try pool.run { done.countDown() }
            done.wait()
            while pool.idleThreadCount == 0 { sched_yield() }
        }
        #expect(pool.threadCount == 1)
        pool.shutDown()
    }

    @Test func `a thread without work ends at its timeout and another can follow`() throws {
        let pool = OffloadPool(name: "test", idleTimeout: .zero)
        for _ in 0..<3 {
            let done = Latch()
            try pool.run { done.countDown() }
            done.wait()
            while pool.threadCount > 0 { sched_yield() }
        }
        pool.shutDown()
    }

    @Test func `shutting down joins the idle, lets the busy finish the queue, and refuses the new`() throws {
        let pool = OffloadPool(name: "test", threadsMax: 2)
        let first = Latch(2)
        let start = Latch()
        for _ in 0..<2 {
            try pool.run {
                start.wait()
                first.countDown()
            }
        }
        start.countDown()
        first.wait()
        while pool.idleThreadCount < 2 { sched_yield() }
        let release = Latch()
        let done = Latch()
        try pool.run {
            release.wait()
            done.countDown()
        }
        // One thread is idle and joined; the other is inside a call that shutting down does not wait for.
        pool.shutDown()
        #expect(pool.threadCount == 1)
        let error = try #require(throws: AIOError.self) { try pool.run {} }
        #expect(error.code == .shutDown)
        release.countDown()
        done.wait()
        while pool.threadCount > 0 { sched_yield() }
    }

    @Test func `queued work still runs after shutting down`() throws {
        let pool = OffloadPool(name: "test", threadsMax: 1)
        let release = Latch()
        let counter = Counter()
        let done = Latch(10)
        try pool.run { release.wait() }
        for _ in 0..<10 {
            try pool.run {
                counter.increment()
                done.countDown()
            }
        }
        pool.shutDown()
        #expect(counter.value == 0)
        release.countDown()
        done.wait()
        #expect(counter.value == 10)
    }

    @Test func `work that offloads work and shuts down does not dead-lock`() throws {
        let pool = OffloadPool(name: "test", threadsMax: 1)
        let done = Latch()
        try pool.run {
            _ = try? pool.run { done.countDown() }
            pool.shutDown()
        }
        done.wait()
    }

    // MARK: Cancelling

    /// A pool whose only thread is held up until `release` is counted down.
    private func occupiedPool(queuedMax: Int, _ release: Latch) throws -> OffloadPool {
        let pool = OffloadPool(name: "test", threadsMax: 1, queuedMax: queuedMax)
        let begun = Latch()
        try pool.run {
            begun.countDown()
            release.wait()
        }
        begun.wait()
        return pool
    }

    @Test func `queued work that is cancelled never runs, and its place is free at once`() throws {
        let release = Latch()
        let pool = try occupiedPool(queuedMax: 2, release)
        let counter = Counter()
        let first = try pool.run { counter.increment() }
        let second = try pool.run { counter.increment() }
        #expect(throws: AIOError.self) { try pool.run {} }
        #expect(first.cancel())
        #expect(!first.cancel())
        let done = Latch()
        try pool.run { done.countDown() }
        #expect(throws: AIOError.self) { try pool.run {} }
        release.countDown()
        done.wait()
        #expect(!second.cancel())
        #expect(counter.value == 1)
        pool.shutDown()
    }

    @Test func `work that a thread has taken cannot be cancelled`() throws {
        let pool = OffloadPool(name: "test", threadsMax: 1)
        let (begun, release, done) = (Latch(), Latch(), Latch())
        let work = try pool.run {
            begun.countDown()
            release.wait()
            done.countDown()
        }
        begun.wait()
        #expect(!work.cancel())
        release.countDown()
        done.wait()
        #expect(!work.cancel())
        pool.shutDown()
    }

    @Test func `queueing and cancelling without end takes no memory, and keeps the order of the rest`() throws
    {
        let release = Latch()
        let pool = try occupiedPool(queuedMax: 100, release)
        let order = Log()
        let done = Latch(20)
        for number in 0..<10_000 {
            let work = try pool.run {
                order.append(number)
                done.countDown()
            }
            if number % 500 != 0 { #expect(work.cancel()) }
            #expect(pool.queueLength <= 2 * 20 + 1)
        }
        #expect(pool.statistics.queued == 20)
        release.countDown()
        done.wait()
        #expect(order.numbers == (0..<20).map { $0 * 500 })
        pool.shutDown()
    }

    @Test func `cancelled work lets go of what it holds`() throws {
        final class Witness: Sendable {}
        let release = Latch()
        let pool = try occupiedPool(queuedMax: 10, release)
        weak var lastSeen: Witness?
        let work: any OffloadedWork
        do {
            let witness = Witness()
            lastSeen = witness
            work = try pool.run { [witness] in _ = witness }
        }
        #expect(lastSeen != nil)
        #expect(work.cancel())
        #expect(lastSeen == nil)
        release.countDown()
        pool.shutDown()
    }

    @Test func `what is counted adds up`() throws {
        let release = Latch()
        let pool = try occupiedPool(queuedMax: 2, release)
        let queued = try pool.run {}
        try pool.run {}
        #expect(throws: AIOError.self) { try pool.run {} }
        #expect(queued.cancel())
        var expected = OffloadStatistics()
        expected.threads = 1
        expected.running = 1
        expected.queued = 1
        expected.cancelled = 1
        expected.refused = 1
        #expect(pool.statistics == expected)
        release.countDown()
        while pool.idleThreadCount == 0 { sched_yield() }
        expected.running = 0
        expected.queued = 0
        expected.completed = 2
        #expect(pool.statistics == expected)
        pool.shutDown()
    }

    @Test func `cancelling while threads take work: each piece runs or is cancelled`() throws {
        let pool = OffloadPool(name: "test", threadsMax: 3, queuedMax: 10_000, idleTimeout: .zero)
        let (ran, cancelled) = (Counter(), Counter())
        let submitters = try (0..<4).map { index in
            try PthreadThread(named: "submitter") {
                for number in 0..<1_000 {
                    do {
                        let work = try pool.run { ran.increment() }
                        if (number + index) % 2 == 0, work.cancel() { cancelled.increment() }
                    } catch { Issue.record(error) }
                }
            }
        }
        for submitter in submitters { submitter.join() }
        while pool.threadCount > 0 { sched_yield() }
        #expect(ran.value + cancelled.value == 4_000)
        let statistics = pool.statistics
        #expect(statistics.completed == UInt64(ran.value))
        #expect(statistics.cancelled == UInt64(cancelled.value))
        #expect(statistics.queued == 0 && statistics.running == 0)
        pool.shutDown()
    }

    @Test func `many submitters lose nothing`() throws {
        let pool = OffloadPool(name: "test", threadsMax: 4, queuedMax: 10_000, idleTimeout: .zero)
        let counter = Counter()
        let done = Latch(4_000)
        let submitters = try (0..<4).map { _ in
            try PthreadThread(named: "submitter") {
                for _ in 0..<1_000 {
                    do {
                        try pool.run {
                            counter.increment()
                            done.countDown()
                        }
                    } catch { Issue.record(error) }
                }
            }
        }
        for submitter in submitters { submitter.join() }
        done.wait()
        #expect(counter.value == 4_000)
        pool.shutDown()
    }
}
