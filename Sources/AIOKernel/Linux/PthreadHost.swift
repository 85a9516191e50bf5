// The real host: bodies run on pthreads of their own, blocking work on the pools of its lanes. The engine
// starts its workers here; names are looked up on a lane.

/// Threads of the operating system.
///
/// A worker's thread is known by a thread-local tag, the identity of its body, and not by `pthread_self()`,
/// which optimised code may read once and keep over an `await`. The thread holds its body for as long as the
/// tag stands, so no other body can have the same identity meanwhile.
package final class PthreadHost: Host {
    private let names = OffloadPool(name: "aio-names")
    private let work: OffloadPool

    /// How many threads the lane `.work` may have, and how many pieces of work may wait for them.
    package init(workThreadsMax: Int = 4, workQueuedMax: Int = 1_024) {
        work = OffloadPool(
            name: "aio-work", threadsMax: workThreadsMax, queuedMax: workQueuedMax,
            queuedMaxName: "offloadQueuedMax")
    }

    package func startThread(
        named name: String, _ body: any ThreadBody
    ) throws(AIOError) -> any HostThread {
        try PthreadThread(named: name) {
            ThreadTag.current = Self.tag(of: body)
            // `.wait` needs nothing here: the next step itself blocks, in epoll_wait(2).
            while body.step() != .finished {}
            ThreadTag.current = 0
        }
    }

    package func isCurrent(_ body: any ThreadBody) -> Bool { ThreadTag.current == Self.tag(of: body) }

    package var currentThreadIdentity: UInt { UInt(truncatingIfNeeded: ThreadTag.current) }

    package var globalTaskExecutor: any TaskExecutor { globalConcurrentExecutor }
    package func makeGlobalSerialExecutor() -> any SerialExecutor { GlobalSerialExecutor() }

    private static func tag(of body: any ThreadBody) -> UInt64 {
        UInt64(UInt(bitPattern: ObjectIdentifier(body)))
    }

    @discardableResult
    package func offload(
        _ lane: OffloadLane, _ work: @escaping @Sendable () -> Void
    ) throws(AIOError) -> any OffloadedWork {
        try pool(lane).run(work)
    }

    package func offloadStatistics(of lane: OffloadLane) -> OffloadStatistics { pool(lane).statistics }

    package func watchSignals(
        _ signals: [ProcessSignal], _ handler: @escaping @Sendable (ProcessSignal) -> Void
    ) throws(AIOError) -> any SignalWatch {
        try SignalPipe(signals, handler)
    }

    package func shutDown() {
        names.shutDown()
        work.shutDown()
    }

    private func pool(_ lane: OffloadLane) -> OffloadPool {
        switch lane {
        case .names: names
        case .work: work
        }
    }
}
