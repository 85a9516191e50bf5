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
            try? pool.run { done.countDown() }
            pool.shutDown()
        }
        done.wait()
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
