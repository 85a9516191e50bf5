// From the outbound queue to the kernel: gathered writes, within a budget, only ever by the worker. Called by
// the worker's output stage for connections that have something to write.

import AIOBytes
import AIOKernel
import Synchronization

extension ConnectionCore {
    /// Writes what is queued until it is gone, the kernel takes no more, or the pass's budget is spent.
    func writeQueued(on worker: Worker) {
        var budget = worker.configuration.writeBudgetByteCount
        while io.machine.canWrite, !io.isWriteBlocked, !io.outbound.isEmpty {
            guard budget > 0 else {
                worker.needsWriting(self)
                return
            }
            guard let written = writeOnce(on: worker) else { return }
            budget -= written
        }
        guard io.outbound.isEmpty, io.machine.canWrite else { return }
        disarmWritingIfOnDemand(on: worker)
        apply(io.machine.flushed(), on: worker)
    }

    /// One sendmsg(2). nil if the connection failed.
    private func writeOnce(on worker: Worker) -> Int? {
        let (result, offered) = io.outbound.count == 1 ? sendOnlyPart(on: worker) : sendBatch(on: worker)
        worker.counters.sends.increment()
        if result.isSuccess {
            if result.count < offered { waitUntilWritable(on: worker) }
            wrote(result.count, on: worker)
            return result.count
        }
        if result.wouldBlock {
            waitUntilWritable(on: worker)
        } else if !result.wasInterrupted {
            apply(io.machine.failed(AIOError(errno: result.errno!, call: "sendmsg")), on: worker)
            return nil
        }
        return 0
    }

    private func sendOnlyPart(on worker: Worker) -> (CallResult, offered: Int) {
        let part = io.outbound.first!
        return (worker.kernel.send(part, to: io.descriptor!), part.count)
    }

    private func sendBatch(on worker: Worker) -> (CallResult, offered: Int) {
        let batch = worker.writeBatch
        io.outbound.forEachPrefix(upTo: WriteBatch.partsMax) { batch.append($0) }
        defer { batch.removeAll() }
        return (worker.kernel.send(batch, to: io.descriptor!), batch.byteCount)
    }

    private func wrote(_ byteCount: Int, on worker: Worker) {
        guard byteCount > 0 else { return }
        io.outbound.dropFirst(byteCount: byteCount)
        worker.note(.workerToKernel, of: self, byteCount: byteCount)
        worker.counters.bytesSent.add(byteCount)
        bytesSent.add(byteCount)
        io.lastActivity = worker.now
        if let hold = io.hold, hold.value.queueMoved(by: byteCount) { resumeReading(on: worker) }
        if io.machine.isEnding { io.waitsSince = worker.now }
        let left = unsent.wrappingSubtract(byteCount, ordering: .sequentiallyConsistent).newValue
        if left <= limits.lowWaterMark { fellBelowLowMark(on: worker) }
        // The partner is `settle` of the frames.
        if left <= limits.lowWaterMark, answerWaits.exchange(false, ordering: .sequentiallyConsistent) {
            roomWasMade()
        }
        // The partner is `wait`: a task says so and then looks at `unsent` again.
        if hasWaiters.load(ordering: .sequentiallyConsistent) { settleWaiters() }
    }

    private func fellBelowLowMark(on worker: Worker) {
        if let hold = io.hold {
            io.hold = nil
            if hold.value.queueFell() { resumeReading(on: worker) }
        }
        guard sink.events != nil, owesDrained.load(ordering: .relaxed) else { return }
        lock.lock()
        // Again under the lock: a send may have come in between, and its own bytes will bring us back here.
        guard unsent.load(ordering: .relaxed) <= limits.lowWaterMark, !isSilenced.load(ordering: .relaxed)
        else {
            lock.unlock()
            return
        }
        owesDrained.store(false, ordering: .relaxed)
        shared.waitingSignals.insert(.drained)
        signalAndUnlock(on: worker)
    }

    /// The next edge will say when. TCP sockets are registered for writing from the start, which costs
    /// nothing there; Unix sockets would report an edge for every message the peer reads, so they are only
    /// while they are blocked.
    private func waitUntilWritable(on worker: Worker) {
        io.isWriteBlocked = true
        if io.machine.isOpen {
            io.waitsSince = worker.now
            armWriteDeadline(on: worker)
        }
        guard io.writeInterest == .whenBlocked else { return }
        io.writeInterest = .whileBlocked
        worker.change(interest: .streamForWriting, of: self)
    }

    /// The idle deadline's timer is as a rule set for later; it is lazily re-armed, so it may come early.
    private func armWriteDeadline(on worker: Worker) {
        guard !io.hasWriteDeadline else { return }
        io.hasWriteDeadline = true
        let idle = io.lastActivity.advanced(by: limits.idleTimeout)
        worker.setTimer(of: self, at: min(idle, worker.now.advanced(by: limits.writeProgressTimeout)))
    }

    private func disarmWritingIfOnDemand(on worker: Worker) {
        guard io.writeInterest == .whileBlocked else { return }
        io.writeInterest = .whenBlocked
        worker.change(interest: .stream, of: self)
    }

    var interestWhenOpened: Interest { io.writeInterest == .always ? .streamForWriting : .stream }
}
