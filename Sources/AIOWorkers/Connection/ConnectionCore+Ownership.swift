// The task that handles a connection: its owner, whose cancellation is watched for as long as it lives, and not
// for each wait.

import AIOKernel
import Synchronization

extension ConnectionCore {
    /// The calling task is the connection's owner from now on, until `endOwnership`.
    package func beginOwnership() { owner.store(CallingTask.look().identity, ordering: .relaxed) }

    package func endOwnership() { owner.store(0, ordering: .relaxed) }

    func isOwned(by task: CallingTask) -> Bool {
        task.identity != 0 && owner.load(ordering: .relaxed) == task.identity
    }

    /// The owner was cancelled: what it waits for here ends.
    package func ownerWasCancelled() {
        lock.lock()
        shared.isOwnerCancelled = true
        let reader = unsafe shared.reader.cancelOwners() ? shared.reader.take() : nil
        let waiters = shared.waiters.filter(\.isOfOwner)
        shared.waiters.removeAll(where: \.isOfOwner)
        for waiter in waiters { waiter.settle(.cancelled) }
        lock.unlock()
        unsafe reader?.resume()
        for waiter in waiters { waiter.resume() }
    }

    /// Of the thread that this connection's handlers run on; the worker's, if they run on the global executor.
    package var homeExecutors: Executors {
        if sink.place == .partner, let partner = worker.partner { return partner.executors }
        return worker.executors
    }

    /// For an actor that handles this connection on the global executor. Made when it is asked for, and kept.
    package var globalSerialExecutor: any SerialExecutor {
        lock.withLock {
            if let executor = shared.globalExecutor { return executor }
            let executor = worker.executors.makeGlobalSerial()
            shared.globalExecutor = executor
            return executor
        }
    }

    /// The peer has ended its side, and everything before that was delivered or thrown away.
    package var peerHasFinished: Bool { lock.withLock { shared.waitingSignals.contains(.peerEnded) } }

    /// Reading has ended because the server drains; the peer does not know yet, and can be told.
    package var isEndedByDrain: Bool { lock.withLock { shared.isEndedByDrain } }
}

/// What has to be known of the task that calls. One look for both, because looking costs as much as taking a lock.
struct CallingTask {
    /// Unlike that of all other tasks that are alive; 0 outside of tasks.
    let identity: UInt
    let isCancelled: Bool

    /// SAFETY: the task is only identified, by its address, which is what the one stored property of
    /// `UnsafeCurrentTask` is.
    static func look() -> Self {
        unsafe withUnsafeCurrentTask { task in
            guard let task = unsafe task else { return Self(identity: 0, isCancelled: false) }
            return unsafe Self(identity: unsafeBitCast(task, to: UInt.self), isCancelled: task.isCancelled)
        }
    }
}
