// A task that waits for something other than bytes: for room to write, for a flush, for the end. See
// ConnectionCore+Writing.

import AIOBytes

/// One such task. Made only when it has to wait; in `waiters` of the connection until it has an outcome.
///
/// Sendable, unchecked: everything that changes is touched under the connection's lock, or after the
/// continuation was resumed.
@safe final class ConnectionWaiter: @unchecked Sendable {
    enum Goal {
        /// Room for these, which whoever finds the room queues: they go in whole and in the order of waiting.
        case room([Bytes])
        /// So many bytes since the beginning in the kernel's hands.
        case flushed(upTo: UInt64)
        /// The connection's end.
        case closed
        /// The connection made, or failed.
        case made
    }

    enum Outcome { case done, cancelled, ended(CloseReason) }

    let goal: Goal
    /// Its task is the connection's owner.
    let isOfOwner: Bool
    private(set) var outcome: Outcome?
    private var continuation: UnsafeContinuation<Void, Never>?

    init(_ goal: Goal, isOfOwner: Bool) {
        self.goal = goal
        self.isOfOwner = isOfOwner
    }

    /// False if there is an outcome already, and nothing to wait for.
    func suspend(_ continuation: UnsafeContinuation<Void, Never>) -> Bool {
        guard outcome == nil else { return false }
        unsafe self.continuation = unsafe continuation
        return true
    }

    var isForRoom: Bool { if case .room = goal { true } else { false } }

    func settle(_ outcome: Outcome) { self.outcome = outcome }

    /// Without the lock, once, after `settle`.
    func resume() {
        let waiting = unsafe continuation
        unsafe continuation = nil
        unsafe waiting?.resume()
    }
}
