// A timer of the program: scheduled by a submission, fired by the worker's wheel, delivered through the
// completion list like everything else.

package import AIOKernel
import Synchronization

/// What a worker's wheel holds.
enum TimerTarget {
    /// A connection or listener, by its token: one that is gone is not found.
    case registration(UInt64)
    case timer(TimerNode)
    /// Look at the slab memory again.
    case pressure
    /// The time for a graceful end is over.
    case endOfShutdown
}

/// One scheduled timer, of the program's or of the library's own. Fires at most once; a cancel that comes in time removes it from the wheel.
package final class TimerNode: ListNode, @unchecked Sendable {
    /// The program's name for it.
    package let tag: UInt64
    let deadline: MonotonicTime
    let worker: Worker
    private let outcome: Outcome

    /// What being due means.
    private enum Outcome {
        /// An event of the program's; counted.
        case event(CompletionQueue, EngineAccounts)
        /// A call on the worker's thread.
        case call(@Sendable () -> Void)
    }

    /// `scheduled` → `cancelled` by the program, or → `fired` by the worker: one of the two wins.
    private let state = Atomic<UInt8>(0)
    private static let scheduled: UInt8 = 0
    private static let cancelled: UInt8 = 1
    private static let fired: UInt8 = 2
    /// In the submission list. Set by whoever submits, cleared by the worker.
    private let isSubmitted = Atomic<Bool>(false)
    /// Worker only.
    private var handle: TimerWheel<TimerTarget>.Handle?

    package init(
        tag: UInt64, deadline: MonotonicTime, worker: Worker, sink: CompletionQueue, accounts: EngineAccounts
    ) {
        self.tag = tag
        self.deadline = deadline
        self.worker = worker
        outcome = .event(sink, accounts)
    }

    /// Has `body` called on the worker's thread. It must not block.
    package init(deadline: MonotonicTime, worker: Worker, _ body: @escaping @Sendable () -> Void) {
        tag = 0
        self.deadline = deadline
        self.worker = worker
        outcome = .call(body)
    }

    /// Hands the timer to its worker. Once.
    package func schedule() { submit() }

    /// True if the timer will not be delivered.
    package func cancel() -> Bool {
        guard
            state.compareExchange(
                expected: Self.scheduled, desired: Self.cancelled, ordering: .acquiringAndReleasing
            ).exchanged
        else { return false }
        if case .event(_, let accounts) = outcome { accounts.timerEnded() }
        submit()
        return true
    }

    private func submit() {
        if !isSubmitted.exchange(true, ordering: .acquiringAndReleasing) { worker.submit(self) }
    }

    override package func perform(on worker: Worker) {
        // Cleared before the state is read: a cancel that finds it still set has its state seen here.
        _ = isSubmitted.exchange(false, ordering: .acquiringAndReleasing)
        if state.load(ordering: .acquiring) == Self.scheduled {
            if handle == nil { handle = worker.timers.insert(.timer(self), at: deadline.nanoseconds) }
        } else if let handle {
            worker.timers.remove(handle)
            self.handle = nil
        }
    }

    func due(on worker: Worker) {
        handle = nil
        guard
            state.compareExchange(
                expected: Self.scheduled, desired: Self.fired, ordering: .acquiringAndReleasing
            ).exchanged
        else { return }
        switch outcome {
        case .event(let sink, let accounts):
            accounts.timerEnded()
            worker.complete(self, to: sink)
        case .call(let body):
            body()
        }
    }
}
