// One seed, one run: traces are the same to the last line, within a process and from one process to the next.
// `scripts/check-determinism` runs the last test in several processes, with addresses at random and not.

import AIO
import AIOKernel
import Glibc
import Testing

@testable import AIOTesting

/// Something that goes on in a world, with all that could bring an order that is not the seed's.
private struct Scenario: Sendable, CustomTestStringConvertible {
    let name: String
    let body: @Sendable () async throws -> Void
    var testDescription: String { name }

    func trace(of seed: UInt64) async throws -> SimulationTrace {
        let simulation = Simulation(seed: seed)
        try await simulation.run { _ in try await body() }
        return simulation.trace
    }

    static let all = [
        Scenario(name: "peers in chaos") {
            try await withMockServer(serving: echo) { server in
                for _ in 0..<3 {
                    let peer = try await server.connect(arrival: .chaos)
                    try await peer.send("hello, whoever hears this")
                    try await peer.expect("hello, whoever hears this")
                }
            }
        },
        Scenario(name: "actors and a shared one") {
            let rooms = Rooms()
            try await withMockServer(serving: { connection in
                let room = rooms.room(near: connection)
                await room.join(connection)
                for try await bytes in connection.chunks { await room.say(bytes) }
            }) { server in
                let a = try await server.connect(), b = try await server.connect()
                await server.settle()
                try await a.send("1")
                try await b.send("2")
                for peer in [a, b] { while peer.receivedByteCount < 2 { await server.settle() } }
            }
        },
        Scenario(name: "hosts, names, a partition, deadlines") {
            try await withSimulation { world in
                world.conditions = LinkConditions(latency: .milliseconds(1) ... .milliseconds(9))
                let server = world.host("server"), client = world.host("client")
                server.run { aio in try await aio.serve(on: "*:80") { try await echo($0) } }
                try await world.advance(by: .milliseconds(1))
                world.schedule(after: .milliseconds(20)) {
                    let cut = world.partition([client], from: [server])
                    world.schedule(after: .seconds(2)) { cut.heal() }
                }
                try await client.withProactor { aio in
                    try await withThrowingTaskGroup { group in
                        for number in 0..<4 {
                            group.addTask {
                                try await aio.connect(to: "server:80") { connection in
                                    try await aio.clock.sleep(for: .milliseconds(10 * number))
                                    try await connection.write("\(number)")
                                    _ = try? await connection.withTimeout(.seconds(1)) {
                                        try await connection.read()
                                    }
                                }
                            }
                        }
                        try await group.waitForAll()
                    }
                }
            }
        },
        Scenario(name: "events, timers, posts") {
            try await withSimulation { world in
                try await world.host("a").withProactor { aio in
                    let listener = try await aio.events.listen(on: "127.0.0.1:9")
                    for delay in [3, 1, 2] {
                        try aio.events.schedule(
                            after: .milliseconds(delay), tag: EventTag(rawValue: UInt64(delay)))
                    }
                    for _ in 0..<3 { _ = try aio.events.connect(to: listener.endpoint) }
                    try aio.events.post("posted")
                    var left = 3 + 3 + 3 + 1
                    for await event in aio.events {
                        switch event {
                        case .accepted(let connection): connection.send("x")
                        case .received, .timer, .posted: break
                        default: continue
                        }
                        left -= 1
                        if left == 0 { break }
                    }
                }
            }
        },
        Scenario(name: "datagrams that are lost, doubled and late") {
            try await withSimulation { world in
                var line = LinkConditions(latency: .milliseconds(1) ... .milliseconds(3))
                line.loss = 0.2
                line.duplication = 0.2
                line.reordering = 0.2
                world.conditions = line
                let server = world.host("server")
                server.run { aio in
                    let socket = try await aio.bind(udp: "*:53")
                    for try await datagram in socket.datagrams {
                        try await socket.send(datagram.bytes, to: datagram.sender)
                    }
                }
                try await world.host("client").withProactor { aio in
                    let socket = try await aio.connect(udp: .ip(server.address, port: 53))
                    for number in 0..<20 { try await socket.send("\(number)") }
                    try await world.advance(by: .seconds(1))
                }
            }
        },
    ]
}

@Sendable private func echo(_ connection: Connection) async throws {
    for try await bytes in connection.chunks { try await connection.write(bytes) }
}

private actor Room: WorkerActor {
    let home: Home
    private var members: Set<Connection> = []

    init(home: Home) { self.home = home }
    func join(_ connection: Connection) { members.insert(connection) }
    /// In an order that does not depend on hashes: what a program has to see to itself.
    func say(_ bytes: Bytes) { for member in members.sorted(by: { $0.id < $1.id }) { member.send(bytes) } }
}

/// Sendable, unchecked: of one simulation's thread.
private final class Rooms: @unchecked Sendable {
    private var room: Room?

    func room(near connection: Connection) -> Room {
        if let room { return room }
        let new = Room(home: connection.home)
        room = new
        return new
    }
}

@Suite struct DeterminismTests {
    @Test(arguments: Scenario.all)
    fileprivate func `each seed run twice gives the same trace, and each its own`(_ scenario: Scenario)
        async throws
    {
        var digests: Set<UInt64> = []
        for seed in 0..<25 as Range<UInt64> {
            let first = try await scenario.trace(of: seed), second = try await scenario.trace(of: seed)
            #expect(first.lines.count > 50)
            if let place = zip(first.lines, second.lines).enumerated().first(where: { $1.0 != $1.1 }) {
                Issue.record(
                    "seed \(seed), line \(place.offset): \(place.element.0), but then \(place.element.1)")
                return
            }
            #expect(first.lines.count == second.lines.count)
            digests.insert(first.digest)
        }
        #expect(digests.count == 25)
    }

    /// Where digests go, for the comparison with other processes.
    private static let path = unsafe getenv("AIO_DIGESTS").map { unsafe String(cString: $0) }

    @Test(.enabled(if: path != nil)) func `digests of many seeds, for other processes to compare`()
        async throws
    {
        var text = ""
        for scenario in Scenario.all {
            for seed in 0..<100 as Range<UInt64> {
                text += "\(scenario.name), seed \(seed): \(try await scenario.trace(of: seed).digest)\n"
            }
        }
        let path = try #require(Self.path)
        let file = unsafe fopen(path, "w")
        #expect(unsafe fputs(text, file) >= 0)
        #expect(unsafe fclose(file) == 0)
    }
}
