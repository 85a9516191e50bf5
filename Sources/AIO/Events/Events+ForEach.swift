// `aio.events.forEach`: one consumer while one suffices, more by itself when it does not, each connection
// always in one lane.

import AIOKernel
import AIOWorkers

extension Events {
    /// Calls `body` with each event, on several cores when there is enough to do.
    ///
    /// While a drain of the list finds at most `spreadAbove` connections (and other things) with something to
    /// tell, this task handles their events one after the other. When it finds more, it deals them out to up
    /// to `lanesMax` child tasks and goes on when all of them are done, so the number of lanes changes only
    /// between two drains. A connection is always dealt to the same lane of a drain: its events are handled
    /// one at a time and in order. Events without a connection (timers, posts, signals) are all in the first
    /// lane.
    ///
    /// A `body` that suspends for long holds up its lane, and at the end of a drain the others.
    ///
    /// - Parameters:
    ///   - lanesMax: child tasks at most; 1 never spreads. nil: one a processor that this process may use.
    ///   - spreadAbove: how many a drain must find to be spread.
    /// - Throws: what `body` throws; the other lanes then stop before their next event. Nothing is lost: what
    ///   was not handed out is there for the next iteration. Returns when the task is cancelled or the stream
    ///   ends.
    public func forEach(
        lanesMax: Int? = nil, spreadAbove: Int = 256, _ body: @escaping @Sendable (Event) async throws -> Void
    ) async throws {
        let lanesMax = Swift.max(1, lanesMax ?? engine.kernel.usableProcessorCount)
        source.enter()
        defer { source.leave() }
        while !Task.isCancelled {
            let isOver = source.isOver
            if let event = source.nextOfBegun() {
                try await body(event)
                continue
            }
            var nodes = source.takeNodes()
            if nodes.isEmpty {
                if isOver { return }
                await source.wait()
            } else if lanesMax == 1 || nodes.count <= spreadAbove {
                source.begin(nodes)
            } else {
                let lanes = deal(&nodes, lanes: lanesMax)
                try await run(lanes, body)
            }
        }
    }

    /// Deals nodes to lanes: a connection by its identity, everything else to the first.
    private func deal(_ nodes: inout NodeChain<CompletionLink>, lanes count: Int) -> [EventCursor] {
        let lanes = (0..<count).map { _ in EventCursor(accounts: source.accounts) }
        while let node = nodes.popFirst() {
            let lane = (node as? ConnectionCore).map { Int(truncatingIfNeeded: $0.id % UInt64(count)) } ?? 0
            lanes[lane].append(node)
        }
        return lanes.filter { !$0.isEmpty }
    }

    private func run(_ lanes: [EventCursor], _ body: @escaping @Sendable (Event) async throws -> Void)
        async throws
    {
        // Whatever ends a lane early, what is left in it is not lost.
        defer { source.keep(leftovers: lanes) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in lanes {
                group.addTask {
                    while !Task.isCancelled, let event = lane.next() { try await body(event) }
                }
            }
            try await group.waitForAll()
        }
    }
}
