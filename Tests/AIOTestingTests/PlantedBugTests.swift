// Handlers that are wrong, each in a way that handlers are, and an engine that is: found within so many seeds, again on the
// same seed, and the right one passes. What a simulation is for. `docs/testing.md` says how many seeds each took.

import AIO
import AIOKernel
import Testing

@testable import AIOTesting

/// Counts what all connections send. Wrong: what it has read is old when it writes.
private actor Counter: WorkerActor {
    let home: Home
    private let isWrong: Bool
    private var count = 0

    init(home: Home, isWrong: Bool) {
        self.home = home
        self.isWrong = isWrong
    }

    func add(_ byteCount: Int) async -> Int {
        if isWrong {
            let before = count
            await Task.yield()
            count = before + byteCount
        } else {
            count += byteCount
        }
        return count
    }
}

@Suite struct PlantedBugTests {
    private typealias Body = (_ isWrong: Bool) async throws -> Void

    /// The first seed that fails with the wrong handler; which fails again on that seed, and the right one does not.
    private func seedThatFinds(_ body: Body) async throws -> UInt64? {
        for seed in 0..<1_000 as Range<UInt64> where try await fails(seed, { try await body(true) }) {
            #expect(try await fails(seed, { try await body(true) }), "seed \(seed) does not find it again")
            #expect(
                try await !fails(seed, { try await body(false) }), "seed \(seed) fails without the error, too"
            )
            print("planted: \(Test.current?.name ?? ""): seed \(seed)")
            return seed
        }
        return nil
    }

    private func fails(_ seed: UInt64, _ body: () async throws -> Void) async throws -> Bool {
        var hasFailed = false
        await withKnownIssue(isIntermittent: true) {
            do {
                try await Simulation(seed: seed).run { _ in try await body() }
            } catch is PeerMismatch {
                hasFailed = true
            } catch is SimulationError {
                hasFailed = true
            }
        }
        return hasFailed
    }

    @Test func `a re-entrant actor that loses an addition is found`() async throws {
        let seed = try await seedThatFinds { isWrong in
            let counters = Made<Counter>()
            try await withMockServer(serving: { connection in
                let counter = counters.value { Counter(home: connection.home, isWrong: isWrong) }
                for try await bytes in connection.chunks { _ = await counter.add(bytes.count) }
                let total = await counter.add(0)
                try await connection.write("\(total);")
            }) { server in
                let a = try await server.connect(), b = try await server.connect()
                try await a.send("123")
                try await b.send("12345")
                await server.settle()
                a.halfClose()
                try await a.expect("8;")
            }
        }
        #expect(seed != nil)
    }

    @Test func `bytes of a refused send that are forgotten are found`() async throws {
        let block = Bytes([UInt8](repeating: 7, count: 5_000))
        var options = ServerOptions()
        var limits = ConnectionLimits()
        limits.highWaterMark = 20_000
        limits.lowWaterMark = 10_000
        limits.outboundByteCountMax = 40_000
        limits.whenOutboundIsFull = .refuse
        options.connection = limits
        let chosen = options
        let seed = try await seedThatFinds { isWrong in
            try await withMockPeer(
                options: chosen,
                serving: { connection in
                    for _ in 0..<60 {
                        if isWrong { connection.send(block) } else { try await connection.write(block) }
                    }
                }
            ) { peer in
                let received = try await peer.receiveToEnd()
                if received.count != 300_000 { throw SimulationError("\(received.count) bytes came") }
            }
        }
        #expect(seed != nil)
    }

    @Test func `a worker that falls asleep without a second look at its submissions is found`() async throws {
        let seed = try await seedThatFinds { isWrong in
            try await withSimulation { world in
                var options = ServerOptions()
                // What these write is submitted to the worker from outside.
                options.executor = .global
                let chosen = options
                let server = world.makeHost(named: "server")
                let configure = { (configuration: inout Proactor.Configuration) in
                    if isWrong { configuration.plantedFault = .sleepsWithoutSecondLook }
                }
                try await server.withProactor(configure: configure) { aio in
                    let listening = try await aio.listen(
                        on: .ip(server.address, port: 80), options: chosen)
                    async let serving = listening.serve { connection in
                        for try await bytes in connection.chunks { try await connection.write(bytes) }
                    }
                    let peer = try await world.host("client").connect(to: listening.endpoint)
                    for _ in 0..<5 {
                        try await peer.send("ping")
                        try await peer.expect("ping", within: .seconds(5))
                    }
                    peer.close()
                    listening.drain()
                    _ = try await serving
                }
            }
        }
        #expect(seed != nil)
    }

    @Test func `a handler that does not see the end is found`() async throws {
        let seed = try await seedThatFinds { isWrong in
            try await withMockPeer(serving: { connection in
                while true {
                    let bytes = try await connection.read()
                    if bytes == nil, !isWrong { return }
                    if let bytes { try await connection.write(bytes) }
                    await Task.yield()
                }
            }) { peer in
                try await peer.send("x")
                try await peer.expect("x")
                peer.halfClose()
                try await peer.expectEnd()
            }
        }
        #expect(seed != nil)
    }

    @Test func `a handler that holds all that comes is found`() async throws {
        let seed = try await seedThatFinds { isWrong in
            try await withMockPeer(serving: { connection in
                var held: [Bytes] = []
                do {
                    for try await bytes in connection.chunks {
                        if isWrong { held.append(bytes) } else { try await connection.write(bytes) }
                    }
                } catch let error as AIOError where error.code == .connectionReset {}
            }) { peer in
                try await peer.expectBackpressure(atMost: 300_000)
                peer.reset()
            }
        }
        #expect(seed != nil)
    }

    @Test func `a request that is split between two reads, and not put together, is found by each split`()
        async throws
    {
        var found: [Int] = []
        for position in 1..<6 {
            let fails = try await fails(0) {
                try await withMockPeer(
                    arrival: .split(at: position),
                    serving: { connection in
                        for try await bytes in connection.chunks where bytes == "hello" {
                            try await connection.write("hi")
                        }
                    }
                ) { peer in
                    try await peer.send("hello")
                    try await peer.expect("hi")
                }
            }
            if fails { found.append(position) }
        }
        #expect(found == [1, 2, 3, 4])
    }
}

/// Made by whoever asks first. Sendable, unchecked: of one simulation's thread.
private final class Made<Value: Sendable>: @unchecked Sendable {
    private var made: Value?

    func value(_ make: () -> Value) -> Value {
        if let made { return made }
        let value = make()
        made = value
        return value
    }
}
