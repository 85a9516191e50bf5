// UDP between simulated machines: what arrives, what does not, and who is told.

import AIO
import AIOKernel
import AIOWorkers
import Testing

@testable import AIOTesting

/// The address of a machine, counted from 1 in the order in which they are made.
private func address(_ number: UInt8) -> IPAddress { .v4(10, 0, 0, number) }

extension Simulation {
    /// An engine on a first machine that sends every datagram back, and one on a second, for `body`.
    fileprivate func withEcho(
        _ options: DatagramOptions = DatagramOptions(), _ body: (Proactor, Endpoint) async throws -> Void
    ) async throws {
        let server = makeHost(named: "server"), client = makeHost(named: "client")
        try await server.withProactor { aio in
            let socket = try await aio.bind(udp: Endpoint.any(port: 53), options: options)
            let echo = Task(executorPreference: executor) {
                for try await datagram in socket.datagrams {
                    try await socket.send(datagram.bytes, to: datagram.sender)
                }
            }
            let target = Endpoint.ip(server.kernel.address, port: 53)
            try await client.withProactor { try await body($0, target) }
            await socket.close()
            try await echo.value
        }
    }

    /// So long, in virtual time.
    fileprivate func pass(_ time: Duration) async throws {
        let outcome = await waits.wait(for: { "\(time)" }, until: self.time.now.advanced(by: time)) { false }
        guard case .timedOut = outcome else { throw SimulationError("\(time) did not pass") }
    }
}

private func number(_ datagram: Datagram) -> Int {
    Int(String(decoding: datagram.bytes, as: UTF8.self)) ?? -1
}

@Suite struct SimulatedDatagramTests {
    @Test(.simulated(seeds: 0..<20))
    func `datagrams go to another machine and back, in order and with their senders`() async throws {
        let world = try #require(Simulation.current)
        world.network.latency = .milliseconds(1) ... .milliseconds(9)
        try await world.withEcho { aio, target in
            let socket = try await aio.bind(udp: Endpoint.ip(address(2), port: 0))
            for number in 0..<20 { try await socket.send(Bytes("\(number)"), to: target) }
            for number in 0..<20 {
                let datagram = try await socket.receive()
                #expect(datagram == Datagram(bytes: Bytes("\(number)"), sender: target))
            }
            await socket.close()
        }
    }

    /// Asks until an answer comes, as a resolver does.
    @Test(.simulated(seeds: 0..<20)) func `who asks again gets an answer in spite of losses`() async throws {
        let world = try #require(Simulation.current)
        var line = LinkConditions(latency: .milliseconds(1) ... .milliseconds(5))
        line.loss = 0.5
        line.duplication = 0.2
        line.reordering = 0.2
        world.network.topology.defaultConditions = line
        try await world.withEcho { aio, target in
            let socket = try await aio.connect(udp: target)
            for question in 0..<5 {
                var isAnswered = false
                for _ in 0..<200 where !isAnswered {
                    try await socket.send(Bytes("\(question)"))
                    try await world.pass(.milliseconds(30))
                    isAnswered = socket.drain().contains { number($0) == question }
                }
                #expect(isAnswered)
            }
            await socket.close()
        }
    }

    @Test(arguments: ["loss", "duplication", "reordering"])
    func `a line loses, doubles and reorders as often as it is told to`(what: String) async throws {
        var line = LinkConditions(latency: .milliseconds(1) ... .milliseconds(1))
        if what == "loss" { line.loss = 0.25 }
        if what == "duplication" { line.duplication = 0.25 }
        if what == "reordering" { line.reordering = 0.25 }
        let world = Simulation(seed: 7)
        try await world.run { world in
            try await world.withEcho { aio, target in
                world.network.topology.set(line, between: address(1), and: address(2))
                let socket = try await aio.connect(udp: target)
                for number in 0..<400 {
                    try await socket.send(Bytes("\(number)"))
                    try await world.pass(.microseconds(500))
                }
                try await world.pass(.milliseconds(50))
                let numbers = socket.drain().map(number)
                switch what {
                case "loss": #expect((170...280).contains(numbers.count), "\(numbers.count): 225 expected")
                case "duplication": #expect((540...710).contains(numbers.count), "\(numbers.count): 625")
                default:
                    #expect(numbers.sorted() == Array(0..<400) && numbers != numbers.sorted())
                }
                #expect(what != "loss" || numbers == numbers.sorted(), "what is not lost stays in order")
                await socket.close()
            }
        }
    }

    @Test func `the same seed loses the same datagrams`() async throws {
        var digests: [UInt64] = []
        for seed in [1, 1, 2] as [UInt64] {
            let simulation = Simulation(seed: seed)
            var line = LinkConditions(latency: .milliseconds(1) ... .milliseconds(5), bytesPerSecond: 10_000)
            line.loss = 0.3
            line.duplication = 0.3
            line.reordering = 0.3
            simulation.network.topology.defaultConditions = line
            try await simulation.run { world in
                try await world.withEcho { aio, target in
                    let socket = try await aio.connect(udp: target)
                    for number in 0..<20 { try await socket.send(Bytes("\(number)")) }
                    try await world.pass(.seconds(1))
                    #expect((1...39).contains(socket.drain().count))
                    await socket.close()
                }
            }
            digests.append(simulation.trace.digest)
        }
        #expect(digests[0] == digests[1] && digests[0] != digests[2])
    }

    // MARK: Limits and errors

    @Test(.simulated(seeds: 0..<10))
    func `a connected socket is told that nobody has the port, and goes on`() async throws {
        let world = try #require(Simulation.current)
        try await world.withEcho { aio, target in
            let closed = Endpoint.ip(try #require(target.address), port: 54)
            let socket = try await aio.connect(udp: closed)
            try await socket.send("hello")
            let error = await #expect(throws: AIOError.self) { _ = try await socket.receive() }
            #expect(error?.code == .connectionRefused)
            await socket.close()
            // Who is not connected is not told.
            let bound = try await aio.bind(udp: Endpoint.any(port: 0))
            try await bound.send("hello", to: closed)
            try await world.pass(.milliseconds(10))
            try await bound.send("hello", to: target)
            #expect(try await bound.receive()?.bytes == "hello")
            await bound.close()
        }
    }

    @Test(.simulated()) func `a datagram that is too long for the line is refused`() async throws {
        let world = try #require(Simulation.current)
        try await world.withEcho { aio, target in
            var line = LinkConditions()
            line.datagramByteCountMax = 1_472
            world.network.topology.set(line, between: address(1), and: address(2))
            let socket = try await aio.connect(udp: target)
            try await socket.send(Bytes([UInt8](repeating: 7, count: 1_473)))
            let error = await #expect(throws: AIOError.self) { _ = try await socket.receive() }
            #expect(error?.code == .tooLarge)
            try await socket.send(Bytes([UInt8](repeating: 7, count: 1_472)))
            #expect(try await socket.receive()?.bytes.count == 1_472)
            await socket.close()
        }
    }

    @Test func `a full receive buffer drops, and the kernel counts it`() {
        let socket = SimulatedDatagramSocket(bufferMax: 1, inboxByteCountMax: 10, holdsDatagrams: false)
        let long = SimulatedDatagramSocket.Incoming(
            bytes: Bytes([UInt8](repeating: 7, count: 20)), sender: .ip(address(1), port: 1))
        let short = SimulatedDatagramSocket.Incoming(bytes: "123456", sender: .ip(address(1), port: 1))
        #expect(socket.arrived(long), "one always fits")
        #expect(!socket.arrived(short))
        #expect(socket.popInbox()?.bytes.count == 20)
        #expect(socket.arrived(short) && !socket.arrived(short) && socket.dropCount == 2)
    }

    @Test(.simulated(seeds: 0..<5)) func `an address is bound once, unless it is shared`() async throws {
        let world = try #require(Simulation.current)
        try await world.withEcho { aio, _ in
            let first = try await aio.bind(udp: Endpoint.ip(address(2), port: 99))
            let error = await #expect(throws: AIOError.self) {
                _ = try await aio.bind(udp: Endpoint.any(port: 99))
            }
            #expect(error?.code == .addressInUse)
            await first.close()
            await (try aio.bind(udp: Endpoint.any(port: 99))).close()
        }
    }
}
