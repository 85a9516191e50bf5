// The jobs of one thread: their order, who wakes the thread, and how the queue ends.

import AIOKernel
import Testing

@testable import AIOWorkers

@Suite struct JobQueueTests {
    @Test func `tasks and actors on one executor run on its thread, in the order in which they came`()
        async throws
    {
        let thread = try JobTestThread()
        let order = Order()
        // Enqueued while the thread is held, by one that enqueues nothing else meanwhile.
        let hold = thread.hold()
        let tasks = (0..<200).map { index in
            Task(executorPreference: thread.executors.task) { order.add(index, isHome: thread.isCurrent) }
        }
        hold.post()
        for task in tasks { await task.value }
        #expect(order.numbers == Array(0..<200) && order.strays == 0)
        thread.end()
    }

    @Test func `a job that enqueues itself again and again does not keep the others waiting`() async throws {
        let thread = try JobTestThread()
        let order = Order()
        let hold = thread.hold()
        let yielding = Task(executorPreference: thread.executors.task) {
            for _ in 0..<1_000 { await Task.yield() }
            order.add(1, isHome: thread.isCurrent)
        }
        let other = Task(executorPreference: thread.executors.task) { order.add(2, isHome: thread.isCurrent) }
        hold.post()
        await yielding.value
        await other.value
        #expect(order.numbers == [2, 1])
        thread.end()
    }

    @Test func `a thread that sleeps is woken by the first job, and once for a batch`() async throws {
        let thread = try JobTestThread()
        for round in 0..<1_000 {
            #expect(await Task(executorPreference: thread.executors.task) { round }.value == round)
        }
        let hold = thread.hold()
        let wakesBefore = thread.wakeCount
        let tasks = (0..<500).map { index in Task(executorPreference: thread.executors.task) { index } }
        // The first is the one that wakes; tasks are enqueued by the time that `Task` returns.
        #expect(thread.wakeCount == wakesBefore + 1)
        hold.post()
        for (index, task) in tasks.enumerated() { #expect(await task.value == index) }
        thread.end()
    }

    @Test func `jobs from many threads at once all run, on the one thread`() async throws {
        let thread = try JobTestThread()
        let order = Order()
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<8 {
                group.addTask {
                    for step in 0..<200 {
                        let task = Task(executorPreference: thread.executors.task) {
                            order.add(index * 10_000 + step, isHome: thread.isCurrent)
                        }
                        if step % 7 == 0 { await task.value }
                    }
                }
            }
        }
        let last = Task(executorPreference: thread.executors.task) {}
        await last.value
        #expect(Set(order.numbers).count == 8 * 200 && order.strays == 0)
        thread.end()
    }

    @Test func `an actor on the executor is run by its thread, and knows it`() async throws {
        let thread = try JobTestThread()
        let lodger = Lodger(thread)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<500 { group.addTask { await lodger.call() } }
        }
        #expect(await lodger.calls == 500)
        #expect(await lodger.strays == 0)
        // A job of the same thread may assume that it is on the actor.
        let assumed = Task(executorPreference: thread.executors.task) { assumedCalls(of: lodger) }
        #expect(await assumed.value == 500)
        thread.end()
    }

    @Test func `a queue with jobs does not end, and one that has ended takes none`() async throws {
        let queue = JobQueue(host: PthreadHost())
        // No thread: nothing is taken.
        let executors = Executors(host: PthreadHost(), name: "none")
        #expect(!executors.jobs.isCurrent && executors.jobs.isEmpty)
        let body = Bystander()
        queue.begin(on: body)
        #expect(!queue.isCurrent, "this is not the thread")
        // A task hands its first job over before its initialiser returns: on this thread.
        nonisolated(unsafe) var job: UnownedJob?
        let catching = Catcher { caught in unsafe job = caught }
        let task = Task(executorPreference: catching) { 5 }
        let caught = try #require(unsafe job)
        #expect(queue.enqueue(QueuedJob(job: caught, isOfActor: false)))
        #expect(body.wakeCount == 1)
        #expect(!queue.end(), "there is a job")
        queue.takeRemote()
        #expect(!queue.isEmpty && !queue.end(), "it is still there")
        let taken = try #require(queue.next(turn: 0))
        #expect(queue.isEmpty && queue.end())
        #expect(!queue.enqueue(taken), "the thread has ended")
        #expect(body.wakeCount == 1)
        unsafe taken.run(
            task: unsafe catching.asUnownedTaskExecutor(), serial: unsafe executors.unownedSerial)
        #expect(await task.value == 5)
    }

    @Test func `jobs that I/O brings come before those that jobs have enqueued, but not always`() async throws
    {
        let thread = try JobTestThread()
        let order = Order()
        let (executor, done) = (thread.executors.task, WakeUp())
        thread.limit = 1
        let hold = thread.hold()
        // By a job; behind it the thread has something from I/O before it goes on.
        let others = Task(executorPreference: executor) {
            for _ in 0..<20 { _ = Task(executorPreference: executor) { order.add(0, isHome: true) } }
            thread.limit = 512
            thread.onIO {
                for index in 0..<20 {
                    _ = Task(executorPreference: executor) {
                        order.add(1, isHome: true)
                        if index == 19 { done.post() }
                    }
                }
            }
        }
        hold.post()
        await others.value
        #expect(done.wait())
        await Task(executorPreference: executor) {}.value
        let pattern = Array(repeating: [1, 1, 1, 0], count: 6).flatMap(\.self) + [1, 1]
        #expect(order.numbers == pattern + Array(repeating: 0, count: 14))
        thread.end()
    }
}

/// Traps if this is not the actor's thread.
private func assumedCalls(of lodger: Lodger) -> Int { lodger.assumeIsolated { $0.calls } }
