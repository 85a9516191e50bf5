// Whom a server admits, and what becomes of them, in numbers. Workers and the handlers' tasks count; ServerCore decides
// what follows.

import AIOKernel
import Synchronization

/// The limits of a server's connections, and all of its counts. Any thread.
///
/// Those without a partner named are relaxed: they are read when everything that is counted has ended.
struct ServerCounts: ~Copyable, Sendable {
    private let connectionsMax: Int
    private let peers: PeerCounts?
    /// Two for each connection: not closed, handler not ended. Sequentially consistent; the partner is the server's
    /// phase: whoever makes this zero then looks at the phase, and whoever changes the phase then looks here.
    private let open = Atomic<Int>(0)
    private let openConnections = Atomic<Int>(0)
    private let accepted = Atomic<Int>(0)
    private let refused = Atomic<Int>(0)
    private let completed = Atomic<Int>(0)
    private let failed = Atomic<Int>(0)
    private let cut = Atomic<Int>(0)
    private let unsurfaced = Atomic<Int>(0)

    init(_ options: ServerOptions) {
        connectionsMax = options.connectionsMax ?? .max
        peers = options.connectionsPerPeerMax.map(PeerCounts.init)
    }

    // MARK: What is counted

    /// Counts one more connection and its handler; false, and counted as refused, at a limit.
    func admit(_ peer: Endpoint) -> Bool {
        guard takePlace(for: peer) else {
            refused.wrappingAdd(1, ordering: .relaxed)
            return false
        }
        open.wrappingAdd(2, ordering: .sequentiallyConsistent)
        accepted.wrappingAdd(1, ordering: .relaxed)
        return true
    }

    /// Counts the connection, unless a limit is reached. Several workers accept at once, so looking and counting are
    /// one step.
    private func takePlace(for peer: Endpoint) -> Bool {
        let count = openConnections.wrappingAdd(1, ordering: .relaxed).newValue
        if count <= connectionsMax, peers?.admit(peer) ?? true { return true }
        openConnections.wrappingSubtract(1, ordering: .relaxed)
        return false
    }

    /// Returns whether nothing is open any more, as the two below do.
    func closed(_ peer: Endpoint, isCut: Bool, hasHandler: Bool) -> Bool {
        openConnections.wrappingSubtract(1, ordering: .relaxed)
        peers?.forget(peer)
        if isCut { cut.wrappingAdd(1, ordering: .relaxed) }
        if hasHandler { return isLast() }
        unsurfaced.wrappingAdd(1, ordering: .relaxed)
        return open.wrappingSubtract(2, ordering: .sequentiallyConsistent).newValue == 0
    }

    func handlerCompleted() -> Bool {
        completed.wrappingAdd(1, ordering: .relaxed)
        return isLast()
    }

    func handlerFailed() -> Bool {
        failed.wrappingAdd(1, ordering: .relaxed)
        return isLast()
    }

    private func isLast() -> Bool {
        open.wrappingSubtract(1, ordering: .sequentiallyConsistent).newValue == 0
    }

    // MARK: What is read

    var nothingIsOpen: Bool { open.load(ordering: .sequentiallyConsistent) == 0 }
    var openConnectionCount: Int { openConnections.load(ordering: .relaxed) }

    /// All but `openAtDrain`.
    func report() -> DrainReport {
        var report = DrainReport()
        report.accepted = accepted.load(ordering: .relaxed)
        report.refused = refused.load(ordering: .relaxed)
        report.completed = completed.load(ordering: .relaxed)
        report.failed = failed.load(ordering: .relaxed)
        report.cut = cut.load(ordering: .relaxed)
        report.unsurfaced = unsurfaced.load(ordering: .relaxed)
        return report
    }
}
