// The consuming end of the completion list: hands out events to one task at a time and puts that task to
// sleep when there are none. Between the workers' completion queue and the sequences in Events.swift.

import AIOBytes
import AIOWorkers
import Synchronization

/// The state behind `aio.events`.
///
/// One consumer at a time: whoever takes events enters, and a second one that enters meanwhile is a
/// programmer's error that traps with an explanation, because both would see half of each connection.
///
/// Sendable, unchecked: `isEntered` guards the cursors.
final class EventSource: @unchecked Sendable {
    let queue: CompletionQueue
    let accounts: EngineAccounts
    private let sleeper: Sleeper
    /// Somebody is taking events.
    private let isEntered = Atomic<Bool>(false)
    /// No completions will be pushed any more.
    private let isFinished = Atomic<Bool>(false)
    /// The sleeping consumer is to look up for a reason that is not a completion: cancelled, or finished.
    private let isInterrupted = Atomic<Bool>(false)
    private let cursor: EventCursor
    /// What lanes of a `forEach` that ended early left over; handed out before anything newer.
    private let leftovers = Owned<[EventCursor]>([])

    init(accounts: EngineAccounts) {
        self.accounts = accounts
        sleeper = Sleeper()
        queue = CompletionQueue(waker: sleeper)
        cursor = EventCursor(accounts: accounts)
    }

    deinit { queue.abandon() }

    // MARK: One consumer at a time

    func enter() {
        let wasEntered = isEntered.exchange(true, ordering: .acquiring)
        precondition(
            !wasEntered,
            "aio.events has one consumer at a time, and a second task asked for events; see forEach"
        )
    }

    func leave() { isEntered.store(false, ordering: .releasing) }

    // MARK: Taking; entered

    /// The next event that is there already.
    func next() -> Event? {
        if let event = nextOfBegun() { return event }
        let taken = queue.list.takeAll()
        if taken.isEmpty { return nil }
        cursor.append(taken)
        return cursor.next()
    }

    /// The next event of what has been taken off the list.
    func nextOfBegun() -> Event? {
        while let first = leftovers.value.first {
            if let event = first.next() { return event }
            leftovers.value.removeFirst()
        }
        return cursor.next()
    }

    /// What is there now, at most `limit` events.
    func takeBatch(atMost limit: Int) -> [Event] {
        var events: [Event] = []
        cursor.append(queue.list.takeAll())
        while events.count < limit, let event = nextOfBegun() { events.append(event) }
        return events
    }

    /// What is there now as whole nodes, for lanes. Only when nothing that was begun is left.
    func takeNodes() -> NodeChain<CompletionLink> { queue.list.takeAll() }

    /// Hands these out next.
    func begin(_ nodes: consuming NodeChain<CompletionLink>) { cursor.append(nodes) }

    func keep(leftovers cursors: [EventCursor]) { leftovers.value += cursors.filter { !$0.isEmpty } }

    // MARK: Sleeping; entered

    var isOver: Bool { isFinished.load(ordering: .sequentiallyConsistent) }

    /// Suspends until there may be something: completions, the end, or the task's cancellation.
    func wait(isolation: isolated (any Actor)? = #isolation) async {
        isInterrupted.store(false, ordering: .sequentiallyConsistent)
        await withTaskCancellationHandler {
            unsafe await withUnsafeContinuation { continuation in
                unsafe sleeper.prepare(continuation)
                queue.parking.announce()
                // The second look: at the list, and at what else may have happened before the announcement.
                guard !queue.list.isEmpty() || isOver || isInterrupted.load(ordering: .sequentiallyConsistent)
                else { return }
                if queue.parking.retract() { sleeper.wakeConsumer() }
            }
        } onCancel: {
            interrupt()
        }
        queue.parking.resumed()
    }

    private func interrupt() {
        isInterrupted.store(true, ordering: .sequentiallyConsistent)
        if queue.parking.claimWake() { sleeper.wakeConsumer() }
    }

    /// All workers have ended: what is in the list is the last there is.
    func finish() {
        isFinished.store(true, ordering: .sequentiallyConsistent)
        interrupt()
    }
}

/// The suspended consumer.
///
/// Sendable, unchecked: the consumer writes the continuation before it announces itself in `Parking`; whoever
/// claims the wake-up, and only that one, takes it afterwards. The claim's compare-exchange orders the two.
@safe private final class Sleeper: ConsumerWaker, @unchecked Sendable {
    private var continuation: UnsafeContinuation<Void, Never>?

    func prepare(_ continuation: UnsafeContinuation<Void, Never>) {
        unsafe self.continuation = unsafe continuation
    }

    func wakeConsumer() {
        guard let waiting = unsafe continuation else { return }
        unsafe continuation = nil
        unsafe waiting.resume()
    }
}
