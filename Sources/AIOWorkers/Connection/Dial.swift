// Making a connection: the addresses of a host are tried in turn until one answers, all within one deadline.
// Between the resolver's answer and the connection's `open`.

import AIOKernel
import SystemPackage

/// The addresses still to be tried, and the time there is for them.
struct Dial {
    private var remaining: ArraySlice<Endpoint>
    /// Over all addresses.
    let deadline: MonotonicTime
    /// Of the attempt under way.
    private(set) var attemptDeadline: MonotonicTime
    private(set) var current: Endpoint?
    var lastError: AIOError?

    init(deadline: MonotonicTime) {
        remaining = []
        self.deadline = deadline
        attemptDeadline = deadline
    }

    mutating func begin(with addresses: [Endpoint]) { remaining = addresses[...] }

    /// The next address. It gets an equal share of the time that is left, so that an address which swallows
    /// packets does not use up the time of those behind it.
    mutating func next(now: MonotonicTime) -> Endpoint? {
        guard let address = remaining.popFirst() else { return nil }
        let share = deadline.nanoseconds(since: now) / UInt64(remaining.count + 1)
        attemptDeadline = MonotonicTime(nanoseconds: now.nanoseconds &+ share)
        current = address
        return address
    }
}

extension ConnectionCore {
    /// The resolver has answered.
    func beginDialling(_ answer: Result<[Endpoint], AIOError>, on worker: Worker) {
        guard io.machine.isConnecting, io.isDialling else { return }
        switch answer {
        case .success(let addresses):
            io.dial!.begin(with: addresses)
            dialNext(on: worker)
        case .failure(let error):
            apply(io.machine.connectFailed(error), on: worker)
        }
    }

    /// Tries addresses until an attempt is under way or none is left.
    private func dialNext(on worker: Worker) {
        while let address = nextAddress(on: worker) {
            do throws(AIOError) {
                try attempt(address, on: worker)
                return
            } catch {
                attemptFailed(error)
            }
        }
        let error = io.dial?.lastError ?? AIOError(.hostNotFound, call: "connect")
        apply(io.machine.connectFailed(error), on: worker)
    }

    private func nextAddress(on worker: Worker) -> Endpoint? {
        guard var dial = io.dial else { return nil }
        let address = dial.next(now: worker.now)
        io.dial = dial
        return address
    }

    // Not inlined: the optimiser of Swift 6.3.1 crashes (CopyPropagation) when these are merged with the
    // loop.
    @inline(never)
    private func attempt(_ address: Endpoint, on worker: Worker) throws(AIOError) {
        io.descriptor = try startConnecting(to: address, kernel: worker.kernel)
        try register(on: worker, endpoint: address)
        worker.setTimer(of: self, at: io.dial?.attemptDeadline ?? worker.now)
    }

    @inline(never)
    private func attemptFailed(_ error: AIOError) {
        io.descriptor = nil
        io.dial?.lastError = error
    }

    private func startConnecting(to address: Endpoint, kernel: any Kernel) throws(AIOError) -> Descriptor {
        let socket = try kernel.makeStreamSocket(for: address)
        if limits.noDelay, address.isIP { try kernel.set(.noDelay(true), on: socket) }
        let result = kernel.connect(socket, to: address)
        if let errno = result.errno, errno != .nowInProgress {
            throw AIOError(errno: errno, call: "connect", detail: address.description)
        }
        return socket
    }

    func dialAttemptBecameReady(_ readiness: Readiness, on worker: Worker) {
        guard io.hasDescriptor, let address = io.dial?.current else { return }
        if let errno = worker.kernel.takeError(of: io.descriptor!) {
            dialAttemptFailed(
                AIOError(errno: errno, call: "connect", detail: address.description), on: worker)
            return
        }
        guard readiness.contains(.writable) else { return }
        let local = try? worker.kernel.localEndpoint(of: io.descriptor!)
        lock.withLock {
            shared.peerEndpoint = address
            shared.localEndpoint = local
        }
        io.dial = nil
        apply(io.machine.connected(), on: worker)
        // Bytes may have come with the handshake's end, in the same report.
        if !readiness.isDisjoint(with: [.readable, .error, .hangUp, .peerHangUp]) {
            readinessArrived(readiness, on: worker)
        }
    }

    private func dialAttemptFailed(_ error: AIOError, on worker: Worker) {
        io.dial!.lastError = error
        worker.forgetDescriptor(of: self)
        dialNext(on: worker)
    }

    func dialDeadlineReached(on worker: Worker) {
        guard let dial = io.dial else { return }
        if worker.now >= dial.deadline {
            apply(io.machine.connectDeadlinePassed(), on: worker)
        } else if io.hasDescriptor, worker.now >= dial.attemptDeadline {
            let detail = dial.current?.description
            dialAttemptFailed(AIOError(.timedOut, call: "connect", detail: detail), on: worker)
        }
    }
}
