// How a worker ends: its listeners, then its registrations, gracefully or not, then its handlers, then itself.

import AIOBytes
import AIOKernel
import Synchronization

extension Worker {
    // MARK: Ending

    /// Asks the worker to end; a second, less patient request hurries the first.
    final class EndRequest: ListNode, @unchecked Sendable {
        let isGraceful: Bool
        let done: @Sendable () -> Void

        init(gracefully: Bool, done: @escaping @Sendable () -> Void) {
            isGraceful = gracefully
            self.done = done
        }

        override func perform(on worker: Worker) { worker.begin(end: self) }
    }

    final class ListenersEndRequest: ListNode, @unchecked Sendable {
        let isGraceful: Bool
        let done: @Sendable () -> Void

        init(gracefully: Bool, done: @escaping @Sendable () -> Void) {
            isGraceful = gracefully
            self.done = done
        }

        override func perform(on worker: Worker) {
            for case let acceptor as Acceptor in worker.table.all() {
                acceptor.workerIsEnding(on: worker, gracefully: isGraceful)
            }
            done()
        }
    }

    func begin(end request: EndRequest) {
        if ending == nil {
            isEnding.store(true, ordering: .sequentiallyConsistent)
            ending = Ending(isGraceful: request.isGraceful, done: request.done)
            let deadline = now.advanced(by: configuration.shutdownTimeout)
            _ = timers.insert(.endOfShutdown, at: deadline.nanoseconds)
        }
        endRegistrations(gracefully: request.isGraceful)
    }

    func endRegistrations(gracefully: Bool) {
        if !gracefully { ending?.isGraceful = false }
        for registration in table.all() { registration.workerIsEnding(on: self, gracefully: gracefully) }
    }

    /// The thread's last step. Whoever claimed a wake-up just now finds the counter gone and does nothing.
    func finish() -> ThreadStep {
        publish(then: .end)
        wakeLock.withLock { wakeCounter = nil }
        epoll = nil
        slabs.trim()
        // Timers of the program that will not come any more hold their worker, as submissions do.
        timers = TimerWheel(now: now.nanoseconds)
        // What was left for a pass that will not come holds its worker too.
        stillReadable = WorkList()
        stillAcceptable = WorkList()
        toWrite = WorkList()
        pressed = WorkList()
        unfinished = WorkList()
        hasEnded.store(true, ordering: .sequentiallyConsistent)
        _ = submissions.takeAll()
        let done = ending?.done
        ending = nil
        // Handlers have ended, so the partner has at most jobs left that nobody counts.
        if let partner, let done { partner.requestEnd(done: done) } else { done?() }
        return .finished
    }
}
