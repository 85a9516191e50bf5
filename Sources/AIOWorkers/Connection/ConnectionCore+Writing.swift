// What a task that writes does: leaves bytes for the worker, or waits for room. Called by AIO's Connection; the
// worker's side is in ConnectionCore+Output.

package import AIOBytes
import AIOKernel
import Synchronization

// Theory of operation
//
// A write is accepted as a whole or not at all: either its bytes join what is staged for the worker, and the
// write returns, or the queue is above its high-water mark and the write waits, with its bytes in its waiter.
// Whoever finds that the queue has fallen below the low-water mark (the worker, after it wrote) stages the
// bytes of the first that waits, and then of the next, until the mark is passed again; so writes keep their
// order, and "accepted" and "cancelled" exclude each other: a waiter is either taken out of the list by the
// one or by the other, under the lock.

extension ConnectionCore {
    /// Accepts `bytes` if there is room; if not, `writeWhenThereIsRoom` waits.
    /// Does not ask whether the task was cancelled: a handler that was may still say so to its peer.
    package func tryWrite(_ bytes: Bytes) -> Bool {
        lock.lock()
        guard shared.takesWrite(unsent: unsent.load(ordering: .relaxed), mark: limits.highWaterMark) else {
            lock.unlock()
            return false
        }
        if !shared.isSubmitted, worker.isCurrent {
            account(for: bytes)
            lock.unlock()
            queueDirectly(bytes)
            return true
        }
        stage(bytes)
        submitAndUnlock(true)
        return true
    }

    /// On the worker, with nothing staged that would have to go first: into its queue without the detour. The worker
    /// runs jobs between stages, so nothing else is using its side now.
    private func queueDirectly(_ bytes: Bytes) {
        guard !bytes.isEmpty else { return }
        guard io.machine.takesOutput else {
            if !io.machine.isClosed { _ = unsent.wrappingSubtract(bytes.count, ordering: .relaxed) }
            return
        }
        io.outbound.append(bytes)
        worker.needsWriting(self)
    }

    /// Accepts `bytes` even if there is no room: for who must not wait and would have to throw them away.
    package func writeRegardlessOfRoom(_ bytes: Bytes) {
        lock.lock()
        let isTaken = !shared.isWriteEnded
        if isTaken { stage(bytes) }
        submitAndUnlock(isTaken)
    }

    package func writeWhenThereIsRoom(_ bytes: Bytes) async throws { try await write([bytes]) }

    /// The parts stay together.
    package func write(_ parts: [Bytes]) async throws {
        lock.lock()
        if shared.takesWrite(unsent: unsent.load(ordering: .relaxed), mark: limits.highWaterMark) {
            for part in parts { stage(part) }
            submitAndUnlock(true)
            return
        }
        try await waitForRoomAndUnlock(parts)
    }

    /// Returns when everything accepted so far is in the kernel's hands.
    package func flush() async throws {
        lock.lock()
        if unsent.load(ordering: .relaxed) == 0, !shared.isClosed {
            lock.unlock()
            return
        }
        try await wait(.flushed(upTo: shared.acceptedByteCount), call: "flush")
    }

    /// Returns when the connection is closed.
    package func waitUntilClosed() async throws -> CloseReason {
        lock.lock()
        if let reason = shared.closeReason {
            lock.unlock()
            return reason
        }
        try await wait(.closed, call: "closed")
        return closeReason ?? .local
    }

    /// The same whether or not the task is cancelled: it is closing, and that has a deadline.
    package func waitUntilClosedRegardless() async -> CloseReason {
        let waiter = ConnectionWaiter(.closed, isOfOwner: false)
        unsafe await withUnsafeContinuation { continuation in
            lock.lock()
            let mustWait = unsafe !shared.isClosed && waiter.suspend(continuation)
            if mustWait { shared.waiters.append(waiter) }
            lock.unlock()
            if !mustWait { unsafe continuation.resume() }
        }
        return closeReason ?? .local
    }

    /// Returns when the connection is made.
    package func waitUntilMade() async throws {
        lock.lock()
        if shared.isMade {
            lock.unlock()
            return
        }
        try await wait(.made, call: "connect")
    }

    /// The caller holds the lock.
    func stage(_ bytes: Bytes) {
        if bytes.isEmpty { return }
        shared.staged.append(bytes)
        account(for: bytes)
    }

    /// The caller holds the lock.
    private func account(for bytes: Bytes) {
        worker.note(.write, of: self, byteCount: bytes.count)
        shared.acceptedByteCount += UInt64(bytes.count)
        unsent.wrappingAdd(bytes.count, ordering: .sequentiallyConsistent)
    }

    /// The caller holds the lock.
    private func waitForRoomAndUnlock(_ parts: [Bytes]) async throws {
        if shared.isWriteEnded {
            let reason = shared.closeReason
            lock.unlock()
            throw (reason ?? .local).error(call: "write")
        }
        try await wait(.room(parts), call: "write")
    }

    // MARK: Waiting

    /// The caller holds the lock, which this gives up.
    private func wait(_ goal: ConnectionWaiter.Goal, call: String) async throws {
        let task = CallingTask.look()
        if task.isCancelled {
            lock.unlock()
            throw CancellationError()
        }
        let waiter = ConnectionWaiter(goal, isOfOwner: isOwned(by: task))
        if let reason = shared.closeReason {
            lock.unlock()
            throw reason.error(call: call)
        }
        shared.waiters.append(waiter)
        hasWaiters.store(true, ordering: .sequentiallyConsistent)
        // The second look; the partner is `wrote`.
        settleWaitersAndUnlock()
        await withTaskCancellationHandler {
            unsafe await withUnsafeContinuation { continuation in
                let mustWait = lock.withLock { unsafe waiter.suspend(continuation) }
                if !mustWait { unsafe continuation.resume() }
            }
        } onCancel: {
            cancel(waiter)
        }
        switch lock.withLock({ waiter.outcome }) {
        case .done, nil: return
        case .cancelled: throw CancellationError()
        case .ended(let reason): throw reason.error(call: call)
        }
    }

    private func cancel(_ waiter: ConnectionWaiter) {
        lock.lock()
        guard let index = shared.waiters.firstIndex(where: { $0 === waiter }) else {
            lock.unlock()
            return
        }
        shared.waiters.remove(at: index)
        waiter.settle(.cancelled)
        lock.unlock()
        waiter.resume()
    }

    /// The worker has written, and somebody waits.
    func settleWaiters() {
        lock.lock()
        settleWaitersAndUnlock()
    }

    /// Settles those that have what they wait for; the caller holds the lock.
    private func settleWaitersAndUnlock() {
        var settled: [ConnectionWaiter] = []
        var hasStaged = false
        // Room is given out from the low mark on, and up to the high one.
        var mark = limits.lowWaterMark
        // Out of the shared side meanwhile: staging bytes changes that too.
        var waiters = shared.waiters
        shared.waiters = []
        waiters.removeAll { waiter in
            switch waiter.goal {
            case .room(let parts):
                guard mark >= 0, unsent.load(ordering: .sequentiallyConsistent) <= mark else {
                    // Those behind it wait for it.
                    mark = -1
                    return false
                }
                for part in parts { stage(part) }
                hasStaged = true
                mark = limits.highWaterMark
            case .flushed(let goal):
                let unsent = UInt64(max(0, unsent.load(ordering: .sequentiallyConsistent)))
                guard shared.acceptedByteCount - unsent >= goal else { return false }
            case .made:
                guard shared.isMade else { return false }
            case .closed:
                return false
            }
            waiter.settle(.done)
            settled.append(waiter)
            return true
        }
        shared.waiters = waiters
        if waiters.isEmpty { hasWaiters.store(false, ordering: .sequentiallyConsistent) }
        submitAndUnlock(hasStaged)
        for waiter in settled { waiter.resume() }
    }

    /// The connection was made by `connect`, and its task is told.
    func connectionMade() {
        lock.lock()
        shared.isMade = true
        settleWaitersAndUnlock()
    }
}

extension ConnectionCore.SharedSide {
    /// Not if others wait for room already, who come first.
    func takesWrite(unsent: Int, mark: Int) -> Bool {
        !isWriteEnded && unsent <= mark && (hasNoWaiters || !waiters.contains(where: \.isForRoom))
    }

    /// Ends the write side. Writes that wait will find no room any more: the caller resumes them once the lock is
    /// free.
    mutating func endWriting(_ reason: CloseReason) -> [ConnectionWaiter] {
        isWriteEnded = true
        if hasNoWaiters { return [] }
        let writers = waiters.filter(\.isForRoom)
        waiters.removeAll(where: \.isForRoom)
        for writer in writers { writer.settle(.ended(reason)) }
        return writers
    }

    /// All who wait, told that the connection has ended.
    mutating func takeWaiters(ending reason: CloseReason) -> [ConnectionWaiter] {
        defer { waiters = [] }
        for waiter in waiters {
            if case .closed = waiter.goal { waiter.settle(.done) } else { waiter.settle(.ended(reason)) }
        }
        return waiters
    }
}
