// A serial executor on Swift's global pool: for actor handlers of connections whose handlers are to run there.

import Dispatch

/// Jobs of one actor, one at a time, on the threads of the global executor.
final class GlobalSerialExecutor: SerialExecutor {
    private let queue = DispatchQueue(label: "aio.handler", target: .global())

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { [self] in unsafe job.runSynchronously(on: asUnownedSerialExecutor()) }
    }

    func checkIsolated() { dispatchPrecondition(condition: .onQueue(queue)) }
}
