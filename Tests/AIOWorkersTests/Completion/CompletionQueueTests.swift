// The sink: who wakes the consumer, how often, and what becomes of completions when there is no consumer any
// more.

import AIOWorkers
import Synchronization
import Testing

@Suite struct CompletionQueueTests {
    @Test func aConsumerThatRunsIsNotWoken() {
        let waker = CountingWaker()
        let queue = CompletionQueue(waker: waker)
        #expect(queue.push(ValueNode(1)) == .foundAwake)
        #expect(queue.push(ValueNode(2)) == .foundAwake)
        #expect(waker.count.load(ordering: .relaxed) == 0)
    }

    @Test func aConsumerThatSleepsIsWokenByTheFirstPushAlone() {
        let waker = CountingWaker()
        let queue = CompletionQueue(waker: waker)
        for round in 1...3 {
            queue.parking.announce()
            #expect(queue.list.isEmpty() == true)
            #expect(queue.push(ValueNode(1)) == .woke)
            #expect(queue.push(ValueNode(2)) == .foundAwake)
            #expect(waker.count.load(ordering: .relaxed) == round)
            queue.parking.resumed()
            let taken = queue.list.takeAll().count
            #expect(taken == 2)
        }
    }

    @Test func anAbandonedQueueKeepsNothing() {
        let queue = CompletionQueue(waker: CountingWaker())
        weak let waiting = pushed(to: queue)
        #expect(waiting != nil)
        queue.abandon()
        #expect(waiting == nil)
        weak let late = pushed(to: queue)
        #expect(late == nil)
        #expect(queue.list.isEmpty() == true)
    }

    @Test func whatIsPushedWhileTheQueueIsAbandonedIsNotKeptEither() throws {
        for _ in 0..<200 {
            let queue = CompletionQueue(waker: CountingWaker())
            try onThreads(2) { _ in
                for number in 0..<20 { queue.push(ValueNode(number)) }
            } meanwhile: {
                letOthersRun()
                queue.abandon()
            }
            #expect(queue.list.isEmpty() == true)
        }
    }

    private func pushed(to queue: CompletionQueue) -> ListNode? {
        let node = ValueNode(0)
        queue.push(node)
        return node
    }
}

private final class CountingWaker: ConsumerWaker {
    let count = Atomic<Int>(0)
    func wakeConsumer() { count.wrappingAdd(1, ordering: .relaxed) }
}
