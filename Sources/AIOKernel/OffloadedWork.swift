// A piece of work given to an offload lane, as the one who gave it sees it: what can be taken back, and what
// is counted. Returned by Host.offload; Linux/OffloadPool.swift has the real ones.

/// One piece of offloaded work.
package protocol OffloadedWork: AnyObject, Sendable {
    /// Takes the work back if no thread has taken it yet: true, once, and then it never runs and its place in
    /// the queue is free. False if it runs, has run, or was taken back before.
    func cancel() -> Bool
}

/// What a proactor's pool for `offload` has done since its start, and does now. The numbers of one snapshot
/// belong together.
public struct OffloadStatistics: Sendable, Hashable {
    /// Pieces of work that a thread runs now.
    public var running = 0
    /// Pieces of work that wait for a thread now.
    public var queued = 0
    /// Threads there are now, those without work included.
    public var threads = 0
    /// Pieces of work that ran to their end, by returning or by throwing.
    public var completed: UInt64 = 0
    /// Pieces of work that were cancelled while they waited, and so never ran.
    public var cancelled: UInt64 = 0
    /// Pieces of work that were refused because the queue was full (or no thread could be started).
    public var refused: UInt64 = 0

    public init() {}
}
