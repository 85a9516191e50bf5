// The sink of a connection or listener: workers push the completions of a pass, the program takes them all.
// What iterates it (AIO/Events) supplies the way to wake it.

import Synchronization

/// Wakes the consumer of a completion queue that is asleep. Called from worker threads.
package protocol ConsumerWaker: AnyObject, Sendable {
    func wakeConsumer()
}

/// A completion list with a consumer that can sleep.
package final class CompletionQueue: Sendable {
    package let list = TakeAllList<CompletionLink>()
    package let parking = Parking()
    private let waker: any ConsumerWaker
    /// Nobody will take anything any more. Set once by the consumer's end, read by pushers.
    private let isAbandoned = Atomic<Bool>(false)

    package init(waker: any ConsumerWaker) { self.waker = waker }

    /// What a push did about the consumer, for the statistics.
    package enum PushOutcome { case woke, foundAwake }

    /// Publishes completions, and wakes the consumer if it sleeps.
    @discardableResult
    package func push(_ completions: consuming NodeChain<CompletionLink>) -> PushOutcome {
        let wasEmpty = list.push(completions)
        if isAbandoned.load(ordering: .sequentiallyConsistent) { _ = list.takeAll() }
        guard wasEmpty, parking.claimWake() else { return .foundAwake }
        waker.wakeConsumer()
        return .woke
    }

    @discardableResult
    package func push(_ node: ListNode) -> PushOutcome {
        var chain = NodeChain<CompletionLink>()
        chain.append(node)
        return push(chain)
    }

    /// The consumer is gone: what is in the list is let go of, and so is whatever comes. Nodes hold their
    /// queue and the queue its nodes, so a list that nobody drains would keep all of them for ever.
    package func abandon() {
        isAbandoned.store(true, ordering: .sequentiallyConsistent)
        _ = list.takeAll()
    }
}
