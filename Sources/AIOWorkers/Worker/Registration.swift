// What a worker has registered with the kernel, and how readiness finds it again: by a token of slot and
// generation, never by a pointer. Read by the worker's input stage.

import AIOKernel

/// Something with a descriptor in a worker's epoll set: a connection, a listener, an attempt to
/// connect.
package class Registration: ListNode, @unchecked Sendable {
    /// Worker thread only: readiness was reported.
    func becameReady(_ readiness: Readiness, on worker: Worker) { fatalError("abstract") }

    /// Worker thread only: the time asked for with the worker's timer wheel has come.
    func deadlineReached(on worker: Worker) { fatalError("abstract") }

    /// Worker thread only: the next pass has come, which was asked for with `Worker.isUnfinished`.
    func goOn(on worker: Worker) { fatalError("abstract") }

    /// Worker thread only: the worker is ending; close, gracefully or at once.
    func workerIsEnding(on worker: Worker, gracefully: Bool) { fatalError("abstract") }
}

/// The registrations of one worker. Worker thread only.
///
/// A token is the slot's index in the low half and its generation in the high half. Releasing a slot advances
/// the generation, so what the kernel reported in the same batch for a descriptor that has been closed since,
/// or that was closed and whose number is in use again, finds nothing. Generations are never zero: zero
/// tokens are the worker's own.
package struct RegistrationTable: ~Copyable {
    @safe private struct Slot {
        var generation: UInt32 = 1
        var nextFree: Int32 = -1
        /// Retained while it is here.
        var registration: Unmanaged<Registration>?
    }

    private var slots: [Slot] = []
    private var firstFree: Int32 = -1
    package private(set) var count = 0

    package init() {}

    package mutating func insert(_ registration: Registration) -> UInt64 {
        count += 1
        if firstFree >= 0 {
            let index = Int(firstFree)
            firstFree = slots[index].nextFree
            unsafe slots[index].registration = .passRetained(registration)
            return Self.token(index: index, generation: slots[index].generation)
        }
        unsafe slots.append(Slot(registration: .passRetained(registration)))
        return Self.token(index: slots.count - 1, generation: 1)
    }

    /// Forgets a registration; its token is stale from now on. A stale token is ignored.
    package mutating func remove(_ token: UInt64) {
        let index = Int(truncatingIfNeeded: token & 0xffff_ffff)
        guard self[token] != nil else { return }
        unsafe slots[index].registration.take()?.release()
        slots[index].generation = slots[index].generation == .max ? 1 : slots[index].generation + 1
        slots[index].nextFree = firstFree
        firstFree = Int32(index)
        count -= 1
    }

    /// The registration of a token; nil if the token is stale.
    package subscript(token: UInt64) -> Registration? {
        let index = Int(truncatingIfNeeded: token & 0xffff_ffff)
        guard index < slots.count, slots[index].generation == UInt32(truncatingIfNeeded: token >> 32) else {
            return nil
        }
        return unsafe slots[index].registration?.takeUnretainedValue()
    }

    /// All registrations, for the rare walks: ending, and freeing slabs that are nearly empty.
    package func all() -> [Registration] {
        slots.compactMap { unsafe $0.registration?.takeUnretainedValue() }
    }

    /// Has the processor bring the registration of a token near, if there is one.
    package func prefetch(_ token: UInt64) {
        let index = Int(truncatingIfNeeded: token & 0xffff_ffff)
        guard index < slots.count, let registration = unsafe slots[index].registration else { return }
        AIOKernel.prefetch(unsafe UInt(bitPattern: registration.toOpaque()), byteCount: 514)
    }

    private static func token(index: Int, generation: UInt32) -> UInt64 {
        UInt64(generation) << 32 | UInt64(index)
    }
}
