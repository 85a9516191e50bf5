// The limits that hold over all workers. Who is woken when a limit is left is tested with an engine.

import AIOKernel
import Synchronization
import Testing

@testable import AIOWorkers

@Suite struct EngineAccountsTests {
    @Test func aConnectionIsNotDialledAtTheLimitAndIsAgainBelowIt() {
        let accounts = EngineAccounts(connections: 2)
        #expect(accounts.connectionDialled())
        #expect(accounts.connectionDialled())
        for _ in 0..<3 { #expect(!accounts.connectionDialled()) }
        #expect(accounts.connectionCount == 2)
        accounts.closedWasSeen()
        #expect(accounts.connectionCount == 1)
        #expect(accounts.connectionDialled())
        #expect(!accounts.connectionDialled())
    }

    @Test func nothingIsAcceptedAtTheLimitOfConnectionsHoweverTheyWereMade() {
        let accounts = EngineAccounts(connections: 3)
        #expect(accounts.mayAccept)
        accounts.connectionAccepted()
        #expect(accounts.connectionDialled())
        #expect(accounts.mayAccept)
        accounts.connectionAccepted()
        #expect(!accounts.mayAccept)
        #expect(!accounts.connectionDialled())
        accounts.acceptedWasSeen()
        accounts.acceptedWasSeen()
        #expect(!accounts.mayAccept)
        accounts.closedWasSeen()
        #expect(accounts.mayAccept)
    }

    @Test func nothingIsAcceptedWhileTooManyConnectionsWaitToBeSeen() {
        let accounts = EngineAccounts(connections: 100, unseen: 2)
        accounts.connectionAccepted()
        #expect(accounts.mayAccept)
        accounts.connectionAccepted()
        #expect(!accounts.mayAccept)
        // Dialled connections are not unseen.
        #expect(accounts.connectionDialled())
        accounts.acceptedWasSeen()
        #expect(accounts.mayAccept)
        #expect(accounts.connectionCount == 3)
    }

    @Test func aConnectionThatWasNotDialledCountsForNothing() {
        let accounts = EngineAccounts(connections: 1)
        #expect(accounts.connectionDialled())
        for _ in 0..<10 { #expect(!accounts.connectionDialled()) }
        accounts.closedWasSeen()
        #expect(accounts.connectionCount == 0)
        #expect(accounts.mayAccept)
    }

    @Test(arguments: [0, 1, 3])
    func timersAndPostsHaveLimitsOfTheirOwn(limit: Int) {
        let accounts = EngineAccounts(timers: limit, posts: 3 - limit)
        for _ in 0..<limit { #expect(accounts.timerScheduled()) }
        for _ in 0..<(3 - limit) { #expect(accounts.posted()) }
        for _ in 0..<3 {
            #expect(!accounts.timerScheduled())
            #expect(!accounts.posted())
        }
        if limit > 0 {
            accounts.timerEnded()
            #expect(accounts.timerScheduled())
        }
        if limit < 3 {
            accounts.postWasSeen()
            #expect(accounts.posted())
        }
        #expect(!accounts.timerScheduled())
        #expect(!accounts.posted())
    }

    @Test func threadsThatCompeteForTheLastPlacesNeverGetMoreThanThereAre() throws {
        let accounts = EngineAccounts(connections: 3)
        let inUse = Atomic<Int>(0)
        let most = Atomic<Int>(0)
        let successes = Atomic<Int>(0)
        try onThreads(4) { _ in
            for _ in 0..<20_000 where accounts.connectionDialled() {
                successes.wrappingAdd(1, ordering: .relaxed)
                let now = inUse.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
                most.max(now, ordering: .relaxed)
                letOthersRun()
                inUse.wrappingSubtract(1, ordering: .sequentiallyConsistent)
                accounts.closedWasSeen()
            }
        }
        #expect(most.load(ordering: .relaxed) <= 3)
        #expect(successes.load(ordering: .relaxed) > 0)
        #expect(accounts.connectionCount == 0)
    }

    @Test func noTwoThingsHaveTheSameIDAndNoneHasZero() throws {
        let accounts = EngineAccounts()
        let ids = Mailbox()
        try onThreads(4) { _ in ids.add((0..<1_000).map { _ in accounts.makeID() }) }
        #expect(Set(ids.all).count == 4_000)
        #expect(!ids.all.contains(0))
    }
}

extension EngineAccounts {
    fileprivate convenience init(connections: Int = 10, unseen: Int = 10, timers: Int = 10, posts: Int = 10) {
        var configuration = EngineConfiguration()
        configuration.connectionsMax = connections
        configuration.unseenConnectionsMax = unseen
        configuration.timersMax = timers
        configuration.postsMax = posts
        self.init(configuration)
    }
}

private final class Mailbox: Sendable {
    private let lock = PosixLock()
    // SAFETY: touched under `lock` and never without.
    private nonisolated(unsafe) var ids: [UInt64] = []

    func add(_ more: [UInt64]) { lock.withLock { unsafe ids += more } }
    var all: [UInt64] { lock.withLock { unsafe ids } }
}
