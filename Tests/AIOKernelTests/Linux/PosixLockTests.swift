// The lock excludes, and lets go when an error is thrown.

import Testing

@testable import AIOKernel

@Suite struct PosixLockTests {
    /// `@unchecked Sendable`, proof: `value` is touched only while `lock` is held.
    private final class Guarded: @unchecked Sendable {
        let lock = PosixLock()
        var value = 0
    }

    @Test func `threads that add under a lock lose nothing`() throws {
        let guarded = Guarded()
        let threads = try (0..<4).map { _ in
            try PthreadThread(named: "adder") {
                for _ in 0..<10_000 { guarded.lock.withLock { guarded.value += 1 } }
            }
        }
        for thread in threads { thread.join() }
        #expect(guarded.value == 40_000)
    }

    @Test func `an error thrown inside leaves the lock free`() {
        let lock = PosixLock()
        #expect(throws: AIOError.self) { try lock.withLock { () throws(AIOError) in throw AIOError(.other) } }
        lock.lock()
        lock.unlock()
    }

    @Test func `a wait with a deadline ends at it`() {
        let kernel = LinuxKernel()
        let lock = PosixLock()
        let condition = PosixCondition()
        let deadline = kernel.now.advanced(by: .milliseconds(2))
        lock.withLock {
            while kernel.now < deadline { condition.wait(lock, until: deadline) }
        }
        #expect(kernel.now >= deadline)
    }
}
