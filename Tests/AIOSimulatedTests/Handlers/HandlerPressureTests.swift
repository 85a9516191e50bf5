// Actors as handlers under load: back-pressure, and actors that many connections share.

import AIOTesting
import Testing

@testable import AIO

/// Takes bytes only while its gate is open.
private actor Slow: ConnectionHandler {
    nonisolated let connection: Connection
    private let gate: Gate
    private let taken: Log<Int>

    init(_ connection: Connection, _ gate: Gate, _ taken: Log<Int>) {
        self.connection = connection
        self.gate = gate
        self.taken = taken
    }

    func dataReceived(_ bytes: Bytes) async throws {
        await gate.wait()
        taken.add(bytes.count)
    }
}

/// Shared by many connections.
private actor Counter: WorkerActor {
    nonisolated let home: Home
    private(set) var value = 0
    private(set) var strays = 0

    init(_ home: Home) { self.home = home }

    func increment() async {
        if !home.executors.jobs.isCurrent { strays += 1 }
        value += 1
    }
}

@Suite struct HandlerPressureTests {
    @Test(.simulated(seeds: 0..<10), arguments: HandlerExecutor.all, [Arrival.together, .drawn])
    func `while a call waits, the window fills and the peer is stopped`(
        executor: HandlerExecutor, arrival: Arrival
    ) async throws {
        let window = 8_192
        try await withServerHost { world, aio in
            let (gate, taken) = (Gate(), Log<Int>())
            let options = ServerOptions.testing(executor) {
                $0.connection = .testing { $0.receiveWindow = window }
            }
            let server = try await aio.serving(options, actor: { Slow($0, gate, taken) })
            let peer = try await server.connect(arrival: arrival)
            // One call has a window's bytes at most, and as many wait for the next.
            let read = try await peer.expectBackpressure(atMost: 2 * window)
            #expect(aio.statistics.total.bytesReceived == UInt64(read) && read > window)
            #expect(aio.statistics.total.readPauses > 0)
            gate.open()
            peer.halfClose()
            peer.resume()
            try await peer.expectEnd()
            #expect(taken.values.reduce(0, +) == peer.sentByteCount)
            #expect(taken.values.allSatisfy { $0 <= window })
            #expect(try await server.drained().completed == 1)
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.all)
    func `an actor that many connections share counts every call, on its own thread`(
        executor: HandlerExecutor
    ) async throws {
        let (peerCount, callCount) = (4, 10)
        try await withServerHost { world, aio in
            let counters = [Counter(aio.nextHome()), Counter(aio.nextHome())]
            let server = try await aio.serving(.testing(executor)) { connection in
                while let request = try await connection.read(exactly: 1) {
                    for counter in counters { await counter.increment() }
                    #expect(connection.isAtHome(executor), "came back astray")
                    try await connection.write(request)
                }
            }
            try await withThrowingTaskGroup { clients in
                for _ in 0..<peerCount {
                    clients.addTask {
                        let peer = try await server.connect()
                        for _ in 0..<callCount { try await peer.exchange("+") }
                        peer.close()
                    }
                }
                try await clients.waitForAll()
            }
            for counter in counters {
                #expect(await counter.value == peerCount * callCount)
                #expect(await counter.strays == 0)
            }
            #expect(try await server.drained().completed == peerCount)
        }
    }

    @Test(.simulated()) func `homes go round the workers`() async throws {
        try await withServerHost(workers: 3) { _, aio in
            let homes = (0..<6).map { _ in ObjectIdentifier(aio.nextHome().executors) }
            #expect(Set(homes).count == 3 && Array(homes.prefix(3)) == Array(homes.suffix(3)))
        }
    }
}
