// From readiness to the inbox: the worker reads what the kernel has, within budget and window, and signals
// the program. Called by the worker's input stage, and again for connections on its still-readable list.

import AIOBytes
import AIOFraming
import AIOKernel
import Synchronization

/// Why reading stops, and how it goes on. Edge-triggered epoll reports an edge once, so each stop names its
/// resumer:
///
/// | reading stopped because | goes on when |
/// |---|---|
/// | the kernel had no more (short read, EAGAIN) | the next edge |
/// | the pass's budget is spent | the next pass: still-readable list |
/// | the window is full | the program takes bytes: `returnCredit` |
/// | the worker's slab memory is nearly used up | the worker's pressure timer |
/// | the queue for the peer grows with what it sends | that queue moves, or the hold lets some through |
extension ConnectionCore {
    func readinessArrived(_ readiness: Readiness, on worker: Worker) {
        if !readiness.isDisjoint(with: .ending) {
            io.seesEnding = true
            io.isReadable = true
        }
        if readiness.contains(.readable) { io.isReadable = true }
        if io.isWriteBlocked, !readiness.isDisjoint(with: .output) {
            io.isWriteBlocked = false
            worker.needsWriting(self)
        }
        if io.isReadable { readAvailable(on: worker) }
    }

    /// Reads until there is a reason to stop.
    func readAvailable(on worker: Worker) {
        var budget = worker.configuration.readBudgetByteCount
        while io.machine.wantsInput, io.isReadable {
            guard budget > 0 else {
                worker.isStillReadable(self)
                return
            }
            var limit = budget
            if io.machine.deliversInput {
                limit = min(limit, roomForAnswers(on: worker))
                if limit <= 0 { return }
                limit = min(limit, roomInWindow(on: worker))
                if limit <= 0 { return }
            }
            let byteCount = readOnce(atMost: limit, on: worker)
            if byteCount <= 0 { return }
            budget -= byteCount
        }
    }

    /// One recv(2). Returns how many bytes it brought; zero or less when reading ends here.
    private func readOnce(atMost limit: Int, on worker: Worker) -> Int {
        var offered = 0
        let kernel = worker.kernel
        let (filled, bytes) = worker.slabs.receive(atMost: limit, expecting: Int(io.readHint)) { span in
            offered = span.freeCapacity
            guard io.hasDescriptor else { return 0 }
            return kernel.receive(from: io.descriptor!, into: &span).rawValue
        }
        worker.counters.receives.increment()
        let result = CallResult(rawValue: filled)
        if filled > 0 {
            arrived(bytes, on: worker)
            // A short read means that the kernel's buffer is empty, unless the end was announced: then the
            // zero or the error behind the bytes would be missed.
            if filled < offered && !io.seesEnding { io.isReadable = false }
            adaptHint(filled: filled, offered: offered)
            return filled
        }
        if result.wouldBlock {
            io.isReadable = false
        } else if result.wasInterrupted {
            worker.isStillReadable(self)
        } else if filled == 0 {
            io.isReadable = false
            apply(io.machine.peerEnded(), on: worker)
        } else {
            io.isReadable = false
            apply(io.machine.failed(AIOError(errno: result.errno!, call: "recv")), on: worker)
        }
        return 0
    }

    private func arrived(_ bytes: Bytes, on worker: Worker) {
        worker.note(.kernelToWorker, of: self, byteCount: bytes.count)
        worker.counters.bytesReceived.add(bytes.count)
        bytesReceived.add(bytes.count)
        io.lastActivity = worker.now
        io.hold?.value.bytesRead(bytes.count)
        switch io.machine.bytesArrived(bytes.count) {
        case .deliver: deliver(bytes, on: worker)
        case .discard: bytes.delivered()
        case let action:
            bytes.delivered()
            apply(action, on: worker)
        }
        worker.slabMemoryChanged()
    }

    private func deliver(_ bytes: Bytes, on worker: Worker) {
        _ = held.wrappingAdd(bytes.count, ordering: .sequentiallyConsistent)
        lock.lock()
        // Closed by the program meanwhile; the request that says so is on its way here.
        if isSilenced.load(ordering: .relaxed) {
            lock.unlock()
            returnCredit(for: bytes)
            return
        }
        shared.hasReceived = true
        if let framing = shared.framing { return deliverAndUnlock(bytes, to: framing, on: worker) }
        shared.inbox.append(bytes)
        signalAndUnlock(on: worker)
    }

    /// Adds facts for the program to learn.
    func signal(_ signals: ConnectionSignals, on worker: Worker) {
        lock.lock()
        shared.waitingSignals.formUnion(signals)
        if signals.contains(.peerEnded), let framing = shared.framing {
            return endInputAndUnlock(framing, on: worker)
        }
        signalAndUnlock(on: worker)
    }

    /// Has the program learn what has changed; the caller holds the lock.
    ///
    /// In the event stream the connection is put among the completions of this pass unless the program has it
    /// to come already. A task that waits to read is resumed if it has what it waits for: here, or by the
    /// partner of this worker, to whom the connection goes like a completion.
    func signalAndUnlock(on worker: Worker) {
        if let events = sink.events {
            let isFirst = !shared.isSignalled
            shared.isSignalled = true
            lock.unlock()
            if isFirst { complete(to: events, on: worker) }
        } else if shared.readerMayGoOn {
            resumeReaderAndUnlock(on: worker)
        } else {
            lock.unlock()
        }
    }

    private func resumeReaderAndUnlock(on worker: Worker) {
        guard sink.place == .partner, let partner = worker.partner else {
            let reader = unsafe shared.reader.take()
            lock.unlock()
            worker.note(.resume, of: self)
            unsafe reader?.resume()
            return
        }
        let isFirst = !shared.isSignalled
        shared.isSignalled = true
        lock.unlock()
        if isFirst { complete(to: partner.completions, on: worker) }
    }

    private func complete(to queue: CompletionQueue, on worker: Worker) {
        worker.note(.completion, of: self)
        worker.complete(self, to: queue)
    }

    // MARK: Back-pressure

    /// How many bytes may be read now. Zero or less: reading has been stopped, and someone will resume it.
    private func roomInWindow(on worker: Worker) -> Int {
        let whole = wholeWindow
        let window = worker.window(whole)
        let room = window - held.load(ordering: .sequentiallyConsistent)
        if room > 0 { return room }
        if window < whole {
            worker.isPressed(self)
            return 0
        }
        // The announcement, then the second look: the partner is `returnCredit`.
        readPaused.store(true, ordering: .sequentiallyConsistent)
        worker.counters.readPauses.increment()
        let wanted = wantedByteCount.load(ordering: .sequentiallyConsistent)
        if held.load(ordering: .sequentiallyConsistent) <= max(resumeMark, wanted - 1), clearReadPaused() {
            return wholeWindow - held.load(ordering: .sequentiallyConsistent)
        }
        return 0
    }

    /// The receive window, or what a reader waits for if that is more, or a whole frame.
    private var wholeWindow: Int {
        max(
            limits.receiveWindow, wantedByteCount.load(ordering: .sequentiallyConsistent),
            frameWindow.load(ordering: .sequentiallyConsistent))
    }

    /// How many bytes may be read in view of what is queued for the peer: see `OutputHold`.
    private func roomForAnswers(on worker: Worker) -> Int {
        // A task that writes waits for room by itself: its reads obey the window alone.
        guard sink.events != nil else { return .max }
        let queued = unsent.load(ordering: .relaxed)
        if queued > limits.highWaterMark, !io.hasHold { io.hold = OutputHold.Boxed() }
        guard let hold = io.hold else { return .max }
        switch hold.value.look(queuedByteCount: queued, mark: limits.highWaterMark, now: worker.now) {
        case .read(let limit): return limit
        case .leave: return 0
        case .leaveUntil(let time):
            worker.counters.readHolds.increment()
            worker.setTimer(of: self, at: time)
            return 0
        }
    }

    func resumeReading(on worker: Worker) {
        guard io.isReadable, io.machine.wantsInput else { return }
        worker.isStillReadable(self)
    }

    /// Expects as much of the next read as the last ones brought: within 512 bytes and 16 KiB, so that a
    /// slab's tail is given up only for something likely to fill a good part of a new one.
    private func adaptHint(filled: Int, offered: Int) {
        if filled >= Int(io.readHint) {
            io.readHint = min(io.readHint * 2, 16_384)
        } else if filled < Int(io.readHint) / 4 {
            io.readHint = max(io.readHint / 2, 512)
        }
    }
}

// MARK: - Leftovers

extension ConnectionCore {
    /// Copies what waits in the inbox together, so that it no longer keeps nearly empty slabs alive.
    func compactInbox(into slabs: SlabPool) {
        lock.lock()
        if !shared.inbox.isEmpty { shared.inbox.compact(into: slabs) }
        shared.framing?.buffer.compact(into: slabs)
        lock.unlock()
    }
}
