// What the program asks of a connection without waiting: sends, ends, and what is kept with it. From any thread; all of it is left
// under the lock for the worker, which is told by a submission.

package import AIOBytes
import AIOFraming
package import AIOKernel
import Synchronization

extension ConnectionCore {
    /// Queues `bytes` for the worker to write. Never waits.
    package func send(_ bytes: Bytes) -> SendOutcome {
        if let refusal = beginSend() { return .refused(refusal) }
        if !bytes.isEmpty { shared.staged.append(bytes) }
        return endSend(adding: bytes.count)
    }

    /// Queues `parts`, which stay together, for the worker to write. Never waits.
    package func send(_ parts: [Bytes]) -> SendOutcome {
        if let refusal = beginSend() { return .refused(refusal) }
        var byteCount = 0
        for part in parts where !part.isEmpty {
            shared.staged.append(part)
            byteCount += part.count
        }
        return endSend(adding: byteCount)
    }

    /// Takes the lock, and keeps it unless the send is refused.
    private func beginSend() -> SendRefusal? {
        lock.lock()
        if shared.isWriteEnded {
            lock.unlock()
            return .closed
        }
        guard unsent.load(ordering: .relaxed) < limits.outboundByteCountMax else {
            lock.unlock()
            if limits.whenOutboundIsFull == .close { abort(.slowConsumer) }
            return .queueFull
        }
        return nil
    }

    private func endSend(adding byteCount: Int) -> SendOutcome {
        worker.note(.write, of: self, byteCount: byteCount)
        shared.acceptedByteCount += UInt64(byteCount)
        let pending = unsent.wrappingAdd(byteCount, ordering: .relaxed).newValue
        let isAboveMark = pending > limits.highWaterMark
        if isAboveMark { owesDrained.store(true, ordering: .relaxed) }
        submitAndUnlock(byteCount > 0)
        return isAboveMark ? .aboveMark(pending: pending) : .queued(pending: pending)
    }

    /// Ends the write side after what is queued (half-close). Later sends are refused.
    package func finish() {
        lock.lock()
        let writers = shared.endWriting(.local)
        shared.requests.insert(.finish)
        submitAndUnlock(true)
        for writer in writers { writer.resume() }
    }

    /// Ends the connection gracefully; the program hears only `.closed` of it from now on.
    package func close() { end(.close, .local) }

    /// Cuts the connection; what is queued is thrown away.
    package func abort(_ reason: CloseReason = .aborted) { end(.abort, reason) }

    private func end(_ request: ConnectionRequests, _ reason: CloseReason) {
        isSilenced.store(true, ordering: .releasing)
        lock.lock()
        let discarded = shared.inbox.take()
        let discardedFrames = shared.framing?.buffer.removeAll() ?? 0
        let writers = shared.endWriting(reason)
        shared.isEndedByProgram = true
        if !shared.requests.contains(.abort), shared.requests.isDisjoint(with: request) {
            shared.requests.insert(request)
            shared.requestEnd(reason)
        }
        let reader = unsafe shared.reader.take()
        submitAndUnlock(!shared.isClosed)
        unsafe reader?.resume()
        for writer in writers { writer.resume() }
        release(discarded)
        returnCredit(byteCount: discardedFrames)
    }

    package var peer: Endpoint { lock.withLock { shared.peerEndpoint } }

    /// nil until the connection is made.
    package var local: Endpoint? { lock.withLock { shared.localEndpoint } }

    /// Received, and not yet taken by the program.
    package var unreadByteCount: Int { held.load(ordering: .relaxed) }

    package var pendingByteCount: Int { unsent.load(ordering: .relaxed) }

    package var userValue: (any Sendable)? {
        get { lock.withLock { shared.attachedValue } }
        set { lock.withLock { shared.attachedValue = newValue } }
    }

    /// Puts the connection into its worker's submission list unless it is there; the caller holds the lock,
    /// which this gives up before it pushes.
    func submitAndUnlock(_ isNeeded: Bool) {
        let mustSubmit = isNeeded && !shared.isSubmitted
        if mustSubmit { shared.isSubmitted = true }
        lock.unlock()
        if mustSubmit { worker.submit(self) }
    }

    /// Asks something of the worker.
    package func request(_ request: ConnectionRequests) {
        lock.lock()
        shared.requests.insert(request)
        submitAndUnlock(true)
    }

    /// The addresses to dial, or why there are none. Called once, from an offload thread.
    package func resolved(_ result: Result<[Endpoint], AIOError>) {
        lock.lock()
        shared.dialResult = result
        shared.requests.insert(.dial)
        submitAndUnlock(true)
    }
}
