// The lock of four bytes excludes, wakes whoever sleeps on it, and lets go when an error is thrown.

import Glibc
import Synchronization
import Testing

@testable import AIOKernel

@Suite struct FutexLockTests {
    /// `@unchecked Sendable`, proof: `value` is touched only while `lock` is held.
    private final class Guarded: @unchecked Sendable {
        let lock = FutexLock()
        var value = 0
        /// Threads that are inside.
        var insideCount = 0
        var overlapCount = 0
    }

    @Test(arguments: [2, 4, 8])
    func `threads that add under a lock lose nothing`(threadCount: Int) throws {
        let guarded = Guarded()
        let threads = try (0..<threadCount).map { _ in
            try PthreadThread(named: "adder") {
                for _ in 0..<20_000 { guarded.lock.withLock { guarded.value += 1 } }
            }
        }
        for thread in threads { thread.join() }
        #expect(guarded.value == threadCount * 20_000)
    }

    /// The holder gives up its time inside, so that the others find the lock held and sleep.
    @Test func `threads that sleep on the lock are all woken, one at a time`() throws {
        let guarded = Guarded()
        let threads = try (0..<6).map { _ in
            try PthreadThread(named: "sleeper") {
                for _ in 0..<300 {
                    guarded.lock.lock()
                    guarded.insideCount += 1
                    if guarded.insideCount != 1 { guarded.overlapCount += 1 }
                    for _ in 0..<3 { sched_yield() }
                    guarded.insideCount -= 1
                    guarded.value += 1
                    guarded.lock.unlock()
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(guarded.value == 6 * 300 && guarded.overlapCount == 0)
    }

    @Test func `a lock that was waited for is free afterwards, without a call`() throws {
        let guarded = Guarded()
        guarded.lock.lock()
        let waiter = try PthreadThread(named: "waiter") { guarded.lock.withLock { guarded.value = 1 } }
        // 2: held, and somebody may be asleep.
        while guarded.lock.word.load(ordering: .relaxed) != 2 { sched_yield() }
        guarded.lock.unlock()
        waiter.join()
        #expect(guarded.value == 1 && guarded.lock.word.load(ordering: .relaxed) == 0)
        guarded.lock.lock()
        #expect(guarded.lock.word.load(ordering: .relaxed) == 1, "nobody is taken to be asleep any more")
        guarded.lock.unlock()
    }

    @Test func `an error thrown inside leaves the lock free`() {
        let guarded = Guarded()
        #expect(throws: AIOError.self) {
            try guarded.lock.withLock { () throws(AIOError) in throw AIOError(.other) }
        }
        guarded.lock.lock()
        guarded.lock.unlock()
        #expect(guarded.lock.withLock { 7 } == 7)
    }
}
