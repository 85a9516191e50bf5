// Lines between machines: how long they take, what fits, and what becomes of those who cannot reach each other.

import AIO
import AIOKernel
import Testing

@testable import AIOTesting

private func echo(_ connection: Connection) async throws {
    for try await bytes in connection.chunks { try await connection.write(bytes) }
}

/// The address of a machine, counted from 1: of `withMockPeer` the first is the server's, the second the peer's.
private func address(_ number: UInt8) -> IPAddress { .v4(10, 0, 0, number) }

extension Simulation {
    /// Milliseconds of virtual time that `body` takes.
    fileprivate func milliseconds(_ body: () async throws -> Void) async throws -> Int {
        let start = time.now
        try await body()
        return Int(time.now.nanoseconds(since: start) / 1_000_000)
    }
}

@Suite struct TopologyTests {
    // MARK: Latency and bandwidth

    @Test(.simulated(seeds: 0..<10))
    func `each pair of machines has a latency of its own`() async throws {
        let world = try #require(Simulation.current)
        let slow = LinkConditions(latency: .milliseconds(50) ... .milliseconds(60))
        world.network.topology.set(slow, between: address(2), and: address(1))
        try await withMockPeer(serving: echo) { peer in
            let target = Endpoint.ip(address(1), port: 4_000)
            let near = try await world.milliseconds {
                let second = try await world.host("another").connect(to: target)
                try await second.send("hello")
                try await second.expect("hello")
                second.close()
            }
            #expect(near < 5)
            let far = try await world.milliseconds {
                try await peer.send("hello")
                try await peer.expect("hello")
            }
            // A write that the kernel cuts short goes on when its beginning has arrived.
            #expect(far >= 100 && far <= 185)
            let end = try await world.milliseconds {
                peer.halfClose()
                try await peer.expectEnd()
            }
            #expect(end >= 100 && end <= 125)
        }
    }

    @Test(.simulated(seeds: 0..<10)) func `a narrow line takes as long as its bytes do`() async throws {
        let world = try #require(Simulation.current)
        let narrow = LinkConditions(bytesPerSecond: 1_000_000)
        world.network.topology.set(narrow, between: address(1), and: address(2))
        try await withMockPeer(serving: { try await $0.write(Bytes([UInt8](repeating: 7, count: 100_000))) })
        {
            peer in
            let time = try await world.milliseconds {
                let received = try await peer.receiveToEnd()
                #expect(received.count == 100_000)
            }
            #expect(time >= 95 && time <= 130)
        }
    }

    @Test func `who shares a line waits for those before`() {
        let now = MonotonicTime(nanoseconds: 1_000)
        let route = Route(
            from: address(1), to: address(2), conditions: LinkConditions(bytesPerSecond: 1_000), now: now)
        #expect(route.leave(500, now: now) == now.advanced(by: .milliseconds(500)))
        #expect(route.leave(1_500, now: now) == now.advanced(by: .seconds(2)))
        let later = now.advanced(by: .seconds(10))
        #expect(route.leave(1, now: later) == later.advanced(by: .milliseconds(1)))
    }

    // MARK: Partitions

    @Test(.simulated(seeds: 0..<10))
    func `what is sent in a partition arrives when it has healed`() async throws {
        let world = try #require(Simulation.current)
        world.network.latency = .microseconds(100) ... .milliseconds(2)
        try await withMockPeer(serving: echo) { peer in
            try await peer.send("before ")
            try await peer.expect("before ")
            let partition = world.network.topology.partition([address(1)], from: [address(2)])
            try await peer.send("and after")
            peer.halfClose()
            try await peer.expectSilence(for: .seconds(5))
            // Others are not affected.
            let second = try await world.host("another").connect(to: .ip(address(1), port: 4_000))
            try await second.send("hello")
            try await second.expect("hello", within: .milliseconds(10))
            second.close()
            partition.heal()
            try await peer.expect("and after", within: .milliseconds(10))
            try await peer.expectEnd(within: .milliseconds(10))
        }
    }

    @Test(.simulated(seeds: 0..<10))
    func `connecting in a partition ends at the engine's own deadline, or waits for the healing`()
        async throws
    {
        let world = try #require(Simulation.current)
        try await withMockPeer(serving: echo) { _ in
            let client = world.makeHost(named: "client")
            let target = Endpoint.ip(address(1), port: 4_000)
            let partition = world.network.topology.partition([client.kernel.address], from: [address(1)])
            try await client.withProactor { aio in
                let time = try await world.milliseconds {
                    let error = await #expect(throws: AIOError.self) {
                        try await aio.connect(to: target, timeout: .seconds(3)) { _ in }
                    }
                    #expect(error?.code == .timedOut)
                }
                #expect(time >= 3_000 && time <= 3_010)
                let waiting = Task(executorPreference: world.executor) {
                    try await aio.connect(to: target, timeout: .seconds(3)) { connection in
                        try await connection.write("hello")
                        return try await connection.read(exactly: 5)
                    }
                }
                let silence = await world.waits.wait(
                    for: { "nothing" }, until: world.time.now.advanced(by: .seconds(2))
                ) { false }
                guard case .timedOut = silence else { throw SimulationError("two seconds did not pass") }
                partition.heal()
                #expect(try await waiting.value == "hello")
            }
        }
    }

    @Test func `partitions overlap, and routes that are made later know of them`() {
        let trace = SimulationTrace()
        let topology = Topology(time: SimulatedTime(trace: trace))
        let early = topology.route(from: address(1), to: address(2))
        let one = topology.partition([address(1)], from: [address(2), address(3)])
        let other = topology.partition([address(2)], from: [address(1)])
        let late = topology.route(from: address(3), to: address(1))
        #expect(early.isCut && late.isCut && !topology.route(from: address(2), to: address(3)).isCut)
        one.heal()
        one.heal()
        #expect(early.isCut && !late.isCut)
        other.heal()
        #expect(!early.isCut)
    }

    // MARK: Repeatable

    @Test func `the same seed gives the same run, with lines of all kinds`() async throws {
        var digests: [UInt64] = []
        for seed in [1, 1, 2] as [UInt64] {
            let simulation = Simulation(seed: seed)
            var lines = LinkConditions(latency: .microseconds(10) ... .milliseconds(30))
            lines.bytesPerSecond = 50_000
            simulation.network.topology.defaultConditions = lines
            try await simulation.run { world in
                try await withMockPeer(serving: echo) { peer in
                    try await peer.send("one")
                    let partition = world.network.topology.partition([address(1)], from: [address(2)])
                    try await peer.expectSilence(for: .seconds(1))
                    partition.heal()
                    try await peer.expect("one")
                }
            }
            digests.append(simulation.trace.digest)
        }
        #expect(digests[0] == digests[1] && digests[0] != digests[2])
    }
}
