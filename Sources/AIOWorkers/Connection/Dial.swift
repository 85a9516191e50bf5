// Making a connection: the addresses of a host race each other, all within one deadline. Between the
// resolver's answer and the connection's `open`; DialRace.swift has the rules, DialAttempt.swift the sockets.

import AIOKernel
import SystemPackage

/// A race under way: its rules, its sockets, its times. Worker thread only.
///
/// A connection has one from the moment its worker takes it in until it is open or closed. Every attempt is a
/// registration of its own, so that readiness finds the attempt it is about; the connection's own token comes
/// into the epoll set only with the winner's descriptor. The connection's one timer serves the deadline and
/// the delays, whichever is next.
final class Dial {
    var race = DialRace()
    /// Over resolving and all addresses.
    let deadline: MonotonicTime
    /// When the race is to hear that a delay has passed.
    fileprivate var delayEnd: MonotonicTime?
    fileprivate var attempts: [DialAttempt] = []

    init(deadline: MonotonicTime) { self.deadline = deadline }

    fileprivate var nextTime: MonotonicTime { min(delayEnd ?? deadline, deadline) }

    fileprivate func forget(_ attempt: DialAttempt, on worker: Worker) {
        attempts.removeAll { $0 === attempt }
        attempt.close(on: worker)
    }

    fileprivate func closeAttempts(on worker: Worker) {
        for attempt in attempts { attempt.close(on: worker) }
        attempts = []
    }
}

extension ConnectionCore {
    /// The resolver has answered.
    func beginDialling(_ answer: Result<[Endpoint], AIOError>, on worker: Worker) {
        guard io.machine.isConnecting, let dial = io.dial else { return }
        switch answer {
        case .success(let addresses): carryOut(dial.race.resolved(addresses), of: dial, on: worker)
        case .failure(let error): apply(io.machine.connectFailed(error), on: worker)
        }
    }

    func dialAttemptBecameReady(_ attempt: DialAttempt, _ readiness: Readiness, on worker: Worker) {
        guard let dial = io.dial, let outcome = attempt.outcome(readiness, on: worker) else { return }
        switch outcome {
        case .success:
            carryOut(dial.race.connected(attempt.number), of: dial, on: worker)
        case .failure(let error):
            dial.forget(attempt, on: worker)
            carryOut(dial.race.attemptFailed(attempt.number, error), of: dial, on: worker)
        }
    }

    /// The timer has fired, for the deadline or for a delay.
    func dialTimerFired(on worker: Worker) {
        guard let dial = io.dial else { return }
        if worker.now >= dial.deadline {
            apply(io.machine.connectDeadlinePassed(), on: worker)
            return
        }
        var action = DialRace.Action.wait
        if let delayEnd = dial.delayEnd, worker.now >= delayEnd {
            dial.delayEnd = nil
            action = dial.race.delayPassed()
        }
        carryOut(action, of: dial, on: worker)
    }

    /// Closes whatever is under way. The connection is open, or closed.
    func endDialling(on worker: Worker) {
        guard let dial = io.dial else { return }
        io.dial = nil
        dial.closeAttempts(on: worker)
    }

    // MARK: The race's wishes

    private func carryOut(_ action: DialRace.Action, of dial: Dial, on worker: Worker) {
        var action = action
        // Delays are counted from here, and not from when the pass began: none is shorter than asked for.
        worker.lookAtTheClock()
        // Addresses that fail at once follow each other in this loop: as many as the host has.
        while case .start(let attempt, let address) = action {
            action = start(attempt, at: address, of: dial, on: worker)
        }
        switch action {
        case .start, .wait: break
        case .rest(let delay): dial.delayEnd = worker.now.advanced(by: delay)
        case .won(let attempt): open(with: attempt, of: dial, on: worker)
        case .failed(let error): apply(io.machine.connectFailed(error), on: worker)
        }
        if io.isDialling { worker.setTimer(of: self, at: dial.nextTime) }
    }

    /// Begins an attempt; what the race says to what became of it.
    // Not inlined: the optimiser of Swift 6.3.1 crashes (CopyPropagation) when this is merged with the loop.
    @inline(never)
    private func start(
        _ number: Int, at address: Endpoint, of dial: Dial, on worker: Worker
    ) -> DialRace.Action {
        do throws(AIOError) {
            guard let attempt = try connect(number, to: address, on: worker) else {
                return dial.race.attemptFoundQueueFull(number)
            }
            dial.attempts.append(attempt)
            let left = Duration.nanoseconds(dial.deadline.nanoseconds(since: worker.now))
            let delay = dial.race.delayBeforeNext(limit: limits.connectAttemptDelay, timeLeft: left)
            dial.delayEnd = delay.map { worker.now.advanced(by: $0) }
            return .wait
        } catch {
            return dial.race.attemptFailed(number, error)
        }
    }

    /// nil if the queue of a Unix listener is full. (TCP has no such answer: there EAGAIN is a failure.)
    @inline(never)
    private func connect(
        _ number: Int, to address: Endpoint, on worker: Worker
    ) throws(AIOError) -> DialAttempt? {
        let kernel = worker.kernel
        let socket = try kernel.makeStreamSocket(for: address)
        if limits.noDelay, address.isIP { try kernel.set(.noDelay(true), on: socket) }
        let result = kernel.connect(socket, to: address)
        if address.isUnix, result.wouldBlock { return nil }
        if let errno = result.errno, errno != .nowInProgress {
            throw AIOError(errno: errno, call: "connect", detail: address.description)
        }
        let attempt = DialAttempt(number: number, address: address, descriptor: socket, core: self)
        try attempt.register(on: worker)
        return attempt
    }

    /// The winner's socket becomes the connection's; the others are closed.
    private func open(with number: Int, of dial: Dial, on worker: Worker) {
        guard let attempt = dial.attempts.first(where: { $0.number == number }) else { return }
        io.writeInterest = attempt.address.isIP ? .always : .whenBlocked
        do throws(AIOError) {
            io.descriptor = try attempt.handOver(to: io.token, interest: interestWhenOpened, on: worker)
        } catch {
            apply(io.machine.connectFailed(error), on: worker)
            return
        }
        let local = try? worker.kernel.localEndpoint(of: io.descriptor!)
        lock.withLock {
            shared.peerEndpoint = attempt.address
            shared.localEndpoint = local
        }
        endDialling(on: worker)
        apply(io.machine.connected(), on: worker)
    }
}
