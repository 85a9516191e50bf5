// What other threads ask of a worker: to take a node, to make a pass for its handlers' sake, to end. Everything here
// may be called from any thread.

package import AIOKernel
import Synchronization

extension Worker {
    /// Hands a node to this worker, and wakes it if it sleeps.
    package func submit(_ node: ListNode) {
        if executors.jobs.isCurrent {
            ownSubmissions.append(node)
            return
        }
        let wasEmpty = submissions.push(node)
        // Nobody will take it: nodes hold their worker and the worker its nodes, so one that stayed would
        // keep both.
        if hasEnded.load(ordering: .sequentiallyConsistent) { _ = submissions.takeAll() }
        guard wasEmpty, parking.claimWake() else {
            wakesAvoided.wrappingAdd(1, ordering: .relaxed)
            return
        }
        wakesSent.wrappingAdd(1, ordering: .relaxed)
        wakeLock.withLock {
            if wakeCounter != nil { kernel.signal(wakeCounter!) }
        }
    }

    package var wakeCounts: (sent: UInt64, avoided: UInt64) {
        (wakesSent.load(ordering: .relaxed), wakesAvoided.load(ordering: .relaxed))
    }

    /// Runs `body` on the worker's thread with each of its open connections that this observer has.
    package func visitConnections(
        of observer: any ConnectionObserver, _ body: @escaping @Sendable (ConnectionCore) -> Void
    ) {
        submit(Visit(observer, body))
    }

    final class Visit: ListNode, @unchecked Sendable {
        let observer: any ConnectionObserver
        let body: @Sendable (ConnectionCore) -> Void

        init(_ observer: any ConnectionObserver, _ body: @escaping @Sendable (ConnectionCore) -> Void) {
            self.observer = observer
            self.body = body
        }

        override func perform(on worker: Worker) {
            for case let connection as ConnectionCore in worker.table.all()
            where connection.sink.observer === observer { body(connection) }
        }
    }

    /// Ends this worker's listeners; `done` is called on the worker's thread. Asked of all workers before any
    /// is ended.
    package func requestListenersEnd(gracefully: Bool, done: @escaping @Sendable () -> Void) {
        submit(ListenersEndRequest(gracefully: gracefully, done: done))
    }

    /// Ends the worker: listeners close, connections end gracefully until the shutdown timeout, or at once.
    /// `done` is called on the worker's thread as the last thing it does.
    package func requestEnd(gracefully: Bool, done: @escaping @Sendable () -> Void) {
        submit(EndRequest(gracefully: gracefully, done: done))
    }
}

// MARK: - Handlers, from any thread

extension Worker {
    /// Once, by the engine, under its lock.
    func take(partner: Partner) { self.partner = partner }

    /// Calls `body` on this thread once `delay` has passed; never if the thread ends before.
    package func call(after delay: Duration, _ body: @escaping @Sendable () -> Void) -> TimerNode {
        call(at: kernel.now.advanced(by: delay), body)
    }

    /// The same at an instant.
    package func call(at deadline: MonotonicTime, _ body: @escaping @Sendable () -> Void) -> TimerNode {
        let timer = TimerNode(deadline: deadline, worker: self, body)
        timer.schedule()
        return timer
    }

    package func jobsArrived() { submit(jobSignal) }

    /// A handler of one of this worker's connections begins.
    package func handlerBegan() { handlers.wrappingAdd(1, ordering: .relaxed) }

    package func handlerEnded() {
        let left = handlers.wrappingSubtract(1, ordering: .sequentiallyConsistent).newValue
        // A worker that is ending may be waiting for this.
        if left == 0, isEnding.load(ordering: .sequentiallyConsistent) { submit(WakeRequest()) }
    }

    package var handlerCount: Int { handlers.load(ordering: .relaxed) }

    /// Whether the calling thread is this worker's.
    package var isCurrent: Bool { executors.jobs.isCurrent }

    /// Takes jobs of other threads. In the submission list at most once: the queue asks when the first comes.
    final class JobSignal: ListNode, @unchecked Sendable {
        override func perform(on worker: Worker) { worker.executors.jobs.takeRemote() }
    }

    /// Has the worker make a pass.
    final class WakeRequest: ListNode, @unchecked Sendable {
        override func perform(on worker: Worker) {}
    }
}
