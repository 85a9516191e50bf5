// Waiting for several things to end, without a thread that waits: listeners that close, servers that drain.

import Synchronization

/// Calls `body` when it has been counted down to nothing, on the thread that does so; at once if there is nothing to
/// count.
final class Countdown: Sendable {
    /// Any thread subtracts. Acquiring and releasing: `body` sees what was done before each `one()`.
    private let left: Atomic<Int>
    private let body: @Sendable () -> Void

    init(_ count: Int, _ body: @escaping @Sendable () -> Void) {
        left = Atomic(count)
        self.body = body
        if count == 0 { body() }
    }

    func one() { if left.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 { body() } }
}
