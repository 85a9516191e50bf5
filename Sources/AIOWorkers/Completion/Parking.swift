// How a consumer goes to sleep without missing a push, and how pushers know whether to wake it. Used between
// the workers and the program (completions) and between the program and each worker (submissions).

import Synchronization

/// The sleep protocol of one consumer of a `TakeAllList`.
///
/// A consumer that found the list empty announces that it is about to sleep, looks at the list *again*, and
/// only then sleeps. A pusher first pushes, then looks at the announcement. Whichever of the two comes second
/// sees the other: either the consumer's second look finds the node, or the pusher finds the announcement and
/// wakes. That holds only if a processor may not move the consumer's second look before its announcement,
/// which is what the sequentially consistent exchange in `announce` is for; without it
/// `docs/models/parking.pml` loses a wake-up.
///
/// States: `running` → `announce` → `parked` → `claimWake` (by one pusher) → `notified` → `resumed` →
/// `running`; or `parked` → `retract` → `running` when the second look found something. A pusher that claims
/// owes exactly one wake-up, so a consumer whose `retract` failed sleeps all the same and is woken at once.
///
/// A busy consumer is `running`: pushing to it costs one load and no system call.
package struct Parking: ~Copyable, Sendable {
    private static let running: UInt8 = 0
    private static let parked: UInt8 = 1
    private static let notified: UInt8 = 2

    private let state = Atomic<UInt8>(Parking.running)

    package init() {}

    /// The consumer says that it is about to sleep. It must look at its list again before it does.
    package borrowing func announce() {
        _ = state.exchange(Self.parked, ordering: .sequentiallyConsistent)
    }

    /// The consumer found something after all. False if a wake-up is already on its way: then wait for that.
    package borrowing func retract() -> Bool {
        state.compareExchange(
            expected: Self.parked, desired: Self.running, ordering: .sequentiallyConsistent
        ).exchanged
    }

    /// A pusher asks whether it has to wake the consumer; true for one pusher a sleep.
    package borrowing func claimWake() -> Bool {
        guard state.load(ordering: .sequentiallyConsistent) == Self.parked else { return false }
        return state.compareExchange(
            expected: Self.parked, desired: Self.notified, ordering: .sequentiallyConsistent
        ).exchanged
    }

    /// The consumer is awake, woken by a pusher or by something else.
    package borrowing func resumed() {
        _ = state.exchange(Self.running, ordering: .sequentiallyConsistent)
    }
}
