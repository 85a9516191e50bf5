// Limits that hold over all workers: connections, connections not yet seen, timers, posts. Workers and the
// program count here; listeners ask here whether they may accept.

import AIOKernel
import Synchronization

/// The engine's common accounts.
///
/// Accepting pauses at a limit and goes on below it, which is the credit race once more: a listener says that
/// it pauses and then looks at the counts again; a program that lowers a count then looks whether a listener
/// has paused. Both are sequentially consistent, so one of the two sees the other (docs/models/credit.pml).
///
/// Sendable, unchecked: everything is atomic or constant, but for the paused listeners, which `lock` guards.
package final class EngineAccounts: @unchecked Sendable {
    private let connectionsMax: Int
    private let unseenMax: Int
    private let timersMax: Int
    private let postsMax: Int

    /// Accepted or dialled, and `.closed` not yet taken. Workers and the program.
    private let connections = Atomic<Int>(0)
    /// Accepted, and `.accepted` not yet taken.
    private let unseen = Atomic<Int>(0)
    private let timers = Atomic<Int>(0)
    private let posts = Atomic<Int>(0)
    /// A listener has paused for a limit. Set by listeners, cleared by whoever lets them go on.
    private let hasPausedListeners = Atomic<Bool>(false)
    private let nextID = Atomic<UInt64>(1)

    /// Whom a connection belongs to, for `Connection.proactor`. Set once, before anything else can see it.
    package weak var owner: AnyObject?

    /// Tasks that wait for a time. See Time/Sleepers.swift.
    let sleepers = Sleepers()

    private let lock = PosixLock()
    /// Listeners to wake when a count falls. Under `lock`.
    private var pausedListeners: [Acceptor] = []

    package init(_ configuration: EngineConfiguration) {
        connectionsMax = configuration.connectionsMax
        unseenMax = configuration.unseenConnectionsMax
        timersMax = configuration.timersMax
        postsMax = configuration.postsMax
    }

    package func makeID() -> UInt64 { nextID.wrappingAdd(1, ordering: .relaxed).oldValue }

    // MARK: Connections

    package var connectionCount: Int { connections.load(ordering: .relaxed) }

    var mayAccept: Bool {
        connections.load(ordering: .sequentiallyConsistent) < connectionsMax
            && unseen.load(ordering: .sequentiallyConsistent) < unseenMax
    }

    func connectionAccepted() {
        connections.wrappingAdd(1, ordering: .sequentiallyConsistent)
        unseen.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }

    /// False at the limit.
    package func connectionDialled() -> Bool { take(connections, atMost: connectionsMax) }

    /// The program has taken `.accepted`, or will not be told of it any more.
    package func acceptedWasSeen() {
        unseen.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        letListenersGoOn()
    }

    /// The program has taken `.closed`.
    package func closedWasSeen() {
        connections.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        letListenersGoOn()
    }

    // MARK: Paused listeners

    /// The listener has found a limit reached. If it is reached no more by now, the listener is resumed at
    /// once.
    func pause(_ listener: Acceptor) {
        lock.withLock {
            if !pausedListeners.contains(where: { $0 === listener }) {
                pausedListeners.append(listener)
            }
        }
        hasPausedListeners.store(true, ordering: .sequentiallyConsistent)
        letListenersGoOn()
    }

    func forget(_ listener: Acceptor) {
        lock.withLock { pausedListeners.removeAll { $0 === listener } }
    }

    private func letListenersGoOn() {
        guard hasPausedListeners.load(ordering: .sequentiallyConsistent), mayAccept else { return }
        let listeners = lock.withLock { () -> [Acceptor] in
            hasPausedListeners.store(false, ordering: .sequentiallyConsistent)
            defer { pausedListeners.removeAll() }
            return pausedListeners
        }
        for listener in listeners { listener.requestResume() }
    }

    // MARK: Timers and posts

    package func timerScheduled() -> Bool { take(timers, atMost: timersMax) }
    package func timerEnded() { timers.wrappingSubtract(1, ordering: .relaxed) }
    package func posted() -> Bool { take(posts, atMost: postsMax) }
    package func postWasSeen() { posts.wrappingSubtract(1, ordering: .relaxed) }

    private func take(_ account: borrowing Atomic<Int>, atMost limit: Int) -> Bool {
        // Never above the limit, not even for a moment: a listener that looked in that moment would pause,
        // and nothing would tell it that the moment is over.
        var count = account.load(ordering: .relaxed)
        while count < limit {
            let (taken, seen) = account.compareExchange(
                expected: count, desired: count + 1, ordering: .sequentiallyConsistent)
            if taken { return true }
            count = seen
        }
        return false
    }
}
