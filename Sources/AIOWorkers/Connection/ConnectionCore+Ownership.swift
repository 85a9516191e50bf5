// The task that handles a connection: its owner, whose cancellation is watched for as long as it lives, and not
// for each wait.

import AIOKernel
import Synchronization

extension ConnectionCore {
    /// The calling task is the connection's owner from now on, until `endOwnership`.
    package func beginOwnership() { owner.store(Self.currentTask, ordering: .relaxed) }

    package func endOwnership() { owner.store(0, ordering: .relaxed) }

    /// Whether cancelling the calling task reaches this connection without a cancellation handler for each wait.
    package var isOwnedByCurrentTask: Bool {
        let owner = owner.load(ordering: .relaxed)
        return owner != 0 && owner == Self.currentTask
    }

    /// The owner was cancelled: what it waits for here ends.
    package func ownerWasCancelled() {
        lock.lock()
        let reader = unsafe shared.reader.cancelOwners() ? shared.reader.take() : nil
        let waiters = shared.waiters.filter(\.isOfOwner)
        shared.waiters.removeAll(where: \.isOfOwner)
        for waiter in waiters { waiter.settle(.cancelled) }
        lock.unlock()
        unsafe reader?.resume()
        for waiter in waiters { waiter.resume() }
    }

    /// A number for the calling task, unlike those of all other tasks that are alive; 0 outside of tasks.
    ///
    /// SAFETY: the task is only identified, by its address, which is what the one stored property of
    /// `UnsafeCurrentTask` is.
    private static var currentTask: UInt {
        unsafe withUnsafeCurrentTask { task in
            unsafe task.map { unsafe unsafeBitCast($0, to: UInt.self) } ?? 0
        }
    }
}
