// From requests, deadlines and the machine's actions to what happens to the descriptor: taking a connection
// in, carrying out what the program asked for, ending it. All on the worker.

import AIOBytes
import AIOKernel
import Synchronization
import SystemPackage

extension ConnectionCore {
    /// Carries out what the program left since the last time.
    func carryOutRequests(on worker: Worker) {
        lock.lock()
        let staged = shared.staged.take()
        let requests = shared.requests
        // With its request: a close that comes a moment later has a reason of its own.
        let reason = shared.requestedReason
        shared.requests = []
        shared.isSubmitted = false
        lock.unlock()
        if requests.contains(.adopt) { adopt(on: worker) }
        queue(staged, on: worker)
        if !requests.isEmpty { carryOut(requests, reason: reason, on: worker) }
    }

    private func carryOut(_ requests: ConnectionRequests, reason: CloseReason, on worker: Worker) {
        lock.lock()
        // Only with its request: an answer that has come since `requests` were taken belongs to the next
        // round.
        let dialResult = requests.contains(.dial) ? shared.dialResult.take() : nil
        lock.unlock()
        if requests.contains(.dial), let dialResult { beginDialling(dialResult, on: worker) }
        // First: an abort is not to be made an orderly end by a close of the same moment.
        if requests.contains(.abort) { apply(io.machine.abortRequested(reason), on: worker) }
        if requests.contains(.finish) {
            apply(io.machine.finishRequested(queueIsEmpty: io.outbound.isEmpty), on: worker)
        }
        if requests.contains(.close) {
            apply(io.machine.closeRequested(reason, queueIsEmpty: io.outbound.isEmpty), on: worker)
        }
        if requests.contains(.resumeReading) { resumeReading(on: worker) }
        if requests.contains(.watchFrame) { armFrameDeadline(on: worker) }
    }

    private func queue(_ staged: consuming ByteQueue, on worker: Worker) {
        guard !staged.isEmpty else { return }
        guard io.machine.takesOutput else {
            // A connection that has closed counts nothing any more.
            if !io.machine.isClosed { _ = unsent.wrappingSubtract(staged.byteCount, ordering: .relaxed) }
            return
        }
        io.outbound.append(contentsOf: staged)
        worker.needsWriting(self)
    }

    // MARK: Taking in

    /// Puts the connection into the worker's care: from now until it is closed the worker holds it.
    func adopt(on worker: Worker) {
        io.lastActivity = worker.now
        if isAccepted { beginSurfacing(on: worker) }
        worker.takeIn(self)
        // A worker that is ending at once has closed it already.
        if io.machine.isClosed { return }
        if isAccepted {
            do {
                let endpoint = lock.withLock { shared.peerEndpoint }
                try register(on: worker, endpoint: endpoint)
            } catch {
                apply(io.machine.failed(error), on: worker)
                return
            }
            // A worker that is ending gracefully has armed the linger deadline.
            guard !io.machine.isEnding else { return }
            worker.setTimer(of: self, at: worker.now.advanced(by: limits.idleTimeout))
            if io.isUnsurfaced { armFrameDeadline(on: worker) }
        } else {
            // From now, and not from when the pass began: a deadline never comes early.
            worker.lookAtTheClock()
            let deadline = worker.now.advanced(by: limits.connectTimeout)
            io.dial = Dial(deadline: deadline)
            worker.setTimer(of: self, at: deadline)
        }
    }

    /// Into the epoll set, once.
    func register(on worker: Worker, endpoint: Endpoint) throws(AIOError) {
        io.writeInterest = endpoint.isIP ? .always : .whenBlocked
        try worker.kernel.add(
            io.descriptor!, to: worker.epoll!, interest: interestWhenOpened, token: io.token)
    }

    // MARK: The machine's wishes

    func apply(_ action: ConnectionMachine.Action, on worker: Worker) {
        switch action {
        case .none, .deliver, .discard:
            break
        case .open:
            worker.counters.connected.increment()
            io.lastActivity = worker.now
            signalOpened(on: worker)
            worker.setTimer(of: self, at: worker.now.advanced(by: limits.idleTimeout))
            worker.needsWriting(self)
        case .deliverEnd:
            signal(.peerEnded, on: worker)
        case .finishWriting:
            finishWriting(on: worker)
        case .flush:
            beginEnding(on: worker)
        case .linger:
            finishWriting(on: worker)
            // It may have failed, and with it the connection.
            if !io.machine.isClosed { beginEnding(on: worker) }
        case .close(let reason, let reset):
            close(reason, reset: reset, on: worker)
        }
    }

    private func finishWriting(on worker: Worker) {
        let result = worker.kernel.finishWriting(io.descriptor!)
        // ENOTCONN: the peer has reset it; reading will say so.
        if let errno = result.errno, errno != .socketNotConnected {
            apply(io.machine.failed(AIOError(errno: errno, call: "shutdown")), on: worker)
        }
    }

    /// The window no longer applies (what comes is thrown away), the linger deadline does.
    private func beginEnding(on worker: Worker) {
        io.waitsSince = worker.now
        worker.setTimer(of: self, at: worker.now.advanced(by: limits.lingerTimeout))
        resumeReading(on: worker)
    }

    func timerFired(on worker: Worker) {
        io.timer = nil
        io.hasWriteDeadline = false
        io.hasFrameDeadline = false
        guard !io.machine.isClosed else { return }
        if io.machine.isConnecting {
            dialTimerFired(on: worker)
        } else {
            let free = limits.outboundByteCountMax - unsent.load(ordering: .relaxed)
            let hold = io.hold
            if let hold, hold.value.relieve(now: worker.now, freeByteCount: free) {
                resumeReading(on: worker)
            }
            let next = nextDeadline(on: worker)
            if worker.now < next.time {
                // Lazily re-armed: activity only notes the time, and the timer finds out when it fires.
                worker.setTimer(of: self, at: min(next.time, hold?.value.nextRelief ?? next.time))
            } else {
                apply(deadlinePassed(next.kind), on: worker)
            }
        }
    }

    private enum DeadlineKind { case linger, idle, writeProgress, frame }

    private func nextDeadline(on worker: Worker) -> (time: MonotonicTime, kind: DeadlineKind) {
        let next = nextDeadlineOfTransport
        guard io.machine.isOpen, isFramed, let frame = frameDeadline(on: worker) else { return next }
        io.hasFrameDeadline = true
        return frame < next.time ? (frame, .frame) : next
    }

    private var nextDeadlineOfTransport: (time: MonotonicTime, kind: DeadlineKind) {
        if io.machine.isEnding { return (io.waitsSince.advanced(by: limits.lingerTimeout), .linger) }
        let idle = io.lastActivity.advanced(by: limits.idleTimeout)
        guard io.isWriteBlocked else { return (idle, .idle) }
        let progress = io.waitsSince.advanced(by: limits.writeProgressTimeout)
        return progress < idle ? (progress, .writeProgress) : (idle, .idle)
    }

    private func deadlinePassed(_ kind: DeadlineKind) -> ConnectionMachine.Action {
        switch kind {
        case .linger: io.machine.lingerDeadlinePassed()
        case .idle: io.machine.idleDeadlinePassed()
        case .writeProgress: io.machine.writeDeadlinePassed()
        case .frame: io.machine.frameDeadlinePassed()
        }
    }

    func end(on worker: Worker, gracefully: Bool) {
        let writers = lock.withLock { shared.endWriting(.shutDown) }
        for writer in writers { writer.resume() }
        let action =
            gracefully
            ? io.machine.closeRequested(.shutDown, queueIsEmpty: io.outbound.isEmpty)
            : io.machine.abortRequested(.shutDown)
        apply(action, on: worker)
    }

    private func close(_ reason: CloseReason, reset: Bool, on worker: Worker) {
        worker.note(.closed, of: self)
        if io.hasDescriptor {
            if reset { worker.kernel.resetOnClose(io.descriptor!) }
            worker.forgetDescriptor(of: self)
        }
        endDialling(on: worker)
        worker.letGo(of: self)
        io.outbound.removeAll()
        lock.lock()
        shared.staged.removeAll()
        shared.isWriteEnded = true
        shared.close(reason)
        shared.waitingSignals.insert(.closed)
        unsent.store(0, ordering: .sequentiallyConsistent)
        let waiters = shared.takeWaiters(ending: reason)
        if io.isUnsurfaced { lock.unlock() } else { signalAndUnlock(on: worker) }
        if sink.events == nil || io.isUnsurfaced {
            // Nobody will take it off a list: it is over here.
            worker.accounts.closedWasSeen()
            sink.observer?.closed(self, wasOpened: !io.isUnsurfaced, on: worker)
        }
        // Last: whoever waited for the end finds it counted.
        for waiter in waiters { waiter.resume() }
    }

    func signalOpened(on worker: Worker) {
        if sink.events != nil {
            signal(.opened, on: worker)
        } else if isAccepted {
            sink.observer?.opened(self, on: worker)
        } else {
            connectionMade()
        }
    }
}
