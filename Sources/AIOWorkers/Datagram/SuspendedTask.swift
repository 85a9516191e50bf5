// A task that waits for a datagram socket: to receive, to send, or for its end. Resumed by whoever took it
// out of the socket's state, after the lock was given up.

import AIOBytes
import AIOKernel

/// A continuation that is resumed once, by whoever takes it.
@safe struct SuspendedTask: Sendable {
    private let continuation: UnsafeContinuation<Void, Never>

    init(_ continuation: UnsafeContinuation<Void, Never>) {
        unsafe self.continuation = unsafe continuation
    }

    func resume() {
        // SAFETY: it is taken out of the state that held it under the socket's lock, hence once.
        unsafe continuation.resume()
    }
}

/// A datagram on its way out, queued or about to be.
struct OutgoingDatagram: Sendable {
    let bytes: Bytes
    /// nil: where the socket is connected.
    let target: Endpoint?
}

/// A `send` that found the queue full. Every field is touched under the socket's lock.
final class SendWaiter: @unchecked Sendable {
    let datagram: OutgoingDatagram
    /// nil until the task has suspended, and after it was resumed.
    private var task: SuspendedTask?
    private(set) var outcome: Outcome?

    enum Outcome {
        case accepted
        case failed(AIOError)
    }

    init(_ datagram: OutgoingDatagram) { self.datagram = datagram }

    var isSettled: Bool { if case .some = outcome { true } else { false } }

    /// Returns the task if it must not suspend, because the outcome is known.
    func suspend(_ task: SuspendedTask) -> SuspendedTask? {
        if isSettled { return task }
        self.task = task
        return nil
    }

    /// Decides, once. Returns the task to resume, if it has suspended.
    func settle(_ outcome: Outcome) -> SuspendedTask? {
        self.outcome = outcome
        return task.take()
    }
}
