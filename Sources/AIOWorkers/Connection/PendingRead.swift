// The reader of a connection that waits. Part of what the program and the worker share; see
// ConnectionCore+Reading.

/// One read that waits for bytes. Inline in the connection, so that waiting allocates nothing; which is why
/// there is one at a time. Touched under the connection's lock.
///
/// Sendable, unchecked: for the continuation, which whoever takes it resumes once.
@safe struct PendingRead: @unchecked Sendable {
    /// Tells the cancellation of this read from that of an earlier one.
    private(set) var number: UInt32 = 0
    private(set) var isActive = false
    private(set) var isCancelled = false
    /// Its task is the connection's owner.
    private(set) var isOwner = false
    /// Bytes that it waits for.
    private(set) var goal = 1
    private var continuation: UnsafeContinuation<Void, Never>?

    /// Begins a read. The caller has seen that none is active.
    mutating func begin(goal: Int, isOwner: Bool) -> UInt32 {
        number &+= 1
        isActive = true
        isCancelled = false
        self.isOwner = isOwner
        self.goal = goal
        return number
    }

    mutating func suspend(_ continuation: UnsafeContinuation<Void, Never>) {
        unsafe self.continuation = unsafe continuation
    }

    /// What to resume, if anybody is suspended; the caller resumes it once the lock is free.
    mutating func take() -> UnsafeContinuation<Void, Never>? {
        defer { unsafe continuation = nil }
        return unsafe continuation
    }

    var isSuspended: Bool { unsafe continuation != nil }

    /// False if that read is over.
    mutating func cancel(_ number: UInt32) -> Bool {
        guard isActive, self.number == number else { return false }
        isCancelled = true
        return true
    }

    /// False if no read of the owner's is under way.
    mutating func cancelOwners() -> Bool {
        guard isActive, isOwner else { return false }
        isCancelled = true
        return true
    }

    /// The read is over; true if it was cancelled.
    mutating func end() -> Bool {
        isActive = false
        return isCancelled
    }
}
