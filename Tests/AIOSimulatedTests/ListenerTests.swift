// Listening: whom connections go to, limits of accepting, and closing.

import SystemPackage
import Testing

@testable import AIO
@testable import AIOTesting

@Suite struct ListenerTests {
    @Test(.simulated(seeds: 0..<50)) func `connections of a Unix listener go round the workers`() async throws
    {
        try await withServerHost(workers: 3) { world, aio in
            let log = EventLog(aio)
            try await aio.events.listen(on: "unix:@round")
            for _ in 0..<8 { _ = try aio.events.connect(to: "unix:@round") }
            try await world.wait(for: "eight") { log.accepted.count == 8 }
            let inOrder = log.accepted.sorted { $0.id < $1.id }
            #expect(inOrder.map { $0.core.worker.index } == [0, 1, 2, 0, 1, 2, 0, 1])
        }
    }

    @Test(.simulated(seeds: 0..<50)) func `closing a listener keeps its connections and refuses new ones`()
        async throws
    {
        try await withServerHost { world, aio in
            let log = EventLog(aio)
            let pair = try await world.pair(aio, log)
            await pair.listener.close()
            await pair.listener.close()
            let late = try aio.events.connect(to: pair.listener.endpoint)
            try await world.wait(for: "the refusal") { log.closeReasons(of: late).count == 1 }
            var refusal: AIOError?
            if case .connectFailed(let error) = log.closeReasons(of: late)[0] { refusal = error }
            #expect(refusal?.code == .connectionRefused)
            pair.client.send("still here")
            try await world.wait(for: "the bytes") { log.received(by: pair.server) == "still here" }
            // The port is free again.
            try await aio.events.listen(on: pair.listener.endpoint)
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: [3, 30])
    func `what waits in the kernel when a listener is closed is accepted first`(count: Int) async throws {
        try await withServerHost(configure: { $0.acceptBudget = 4 }) { world, aio in
            let log = EventLog(aio) { event in
                if case .accepted(let connection) = event { connection.send("!") }
            }
            let listener = try await aio.events.listen(on: "*:80")
            await world.settle()
            let delay = world.host("server").faults.add(.accept, .fail(.resourceTemporarilyUnavailable))
            var peers: [MockPeer] = []
            for _ in 0..<count { peers.append(try await world.host("client").connect(to: "server:80")) }
            #expect(log.values.isEmpty)
            delay.end()
            await listener.close()
            for peer in peers { try await peer.expect("!") }
            #expect(log.names == [String](repeating: "accepted", count: count))
        }
    }

    @Test(.simulated(seeds: 0..<50))
    func `at connectionsMax accepting pauses, and goes on when a closed was taken`() async throws {
        try await withServerHost(workers: 1, configure: { $0.connectionsMax = 4 }) { world, aio in
            try await aio.events.listen(on: "*:80")
            for _ in 0..<6 { _ = try await world.host("client").connect(to: "server:80") }
            await world.settle()
            let first = aio.events.drain()
            #expect(first.map(\.name) == [String](repeating: "accepted", count: 4))
            #expect(aio.statistics.total.acceptPauses > 0 && aio.statistics.connections == 4)
            await world.settle()
            #expect(aio.events.drain().isEmpty)
            // Abort alone frees nothing: the event has to be taken.
            first.first?.connection?.abort()
            await world.settle()
            #expect(aio.statistics.total.openConnections == 3 && aio.statistics.total.accepted == 4)
            for count in [5, 6] {
                let closed = aio.events.drain()
                #expect(closed.map(\.name) == ["closed"])
                await world.settle()
                #expect(aio.statistics.connections == 4)
                #expect(aio.statistics.total.accepted == UInt64(count))
                let next = aio.events.drain()
                #expect(next.map(\.name) == ["accepted"])
                next.first?.connection?.abort()
                await world.settle()
            }
        }
    }

    /// Churn: each connects and is gone again.
    @Test(.simulated(seeds: 0..<50), arguments: [1, 2])
    func `connections that nobody has seen pause accepting until they are`(workers: Int) async throws {
        let (limit, count) = (8, 40)
        try await withServerHost(workers: workers, configure: { $0.unseenConnectionsMax = limit }) {
            world, aio in
            try await aio.events.listen(on: "*:80")
            for index in 0..<count {
                let peer = try await world.host("client").connect(to: "server:80")
                if index.isMultiple(of: 2) { peer.reset() } else { peer.close() }
            }
            await world.settle()
            #expect(aio.statistics.total.acceptPauses > 0)
            // A worker looks before it accepts, so each may be one too far.
            let accepted = Int(aio.statistics.total.accepted)
            #expect(accepted >= limit && accepted < limit + workers)
            let log = EventLog(aio)
            try await world.wait(for: "all ends") { log.closed.count == count }
            #expect(log.accepted.count == count && Set(log.accepted) == Set(log.closed))
            #expect(Set(log.closed).count == count)
            #expect(aio.statistics.connections == 0)
        }
    }
}
