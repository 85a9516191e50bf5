// Worlds of several hosts: programs and peers on them, cuts and faults that come at a time, and what is left at the end.

import AIO
import AIOKernel
import SystemPackage
import Testing

@testable import AIOTesting

extension Simulation {
    /// An echo server on the host "server", port 80.
    fileprivate func startEcho() {
        host("server").run { aio in try await aio.serve(on: "*:80", handler: Echo.init) }
    }

    fileprivate func seconds(_ body: () async throws -> Void) async throws -> Double {
        let start = clock.now
        try await body()
        return start.duration(to: clock.now) / .seconds(1)
    }
}

private actor Echo: ConnectionHandler {
    let connection: Connection
    init(_ connection: Connection) { self.connection = connection }
    func dataReceived(_ bytes: Bytes) async throws { try await connection.write(bytes) }
}

/// Connects once the programs that were started have begun to listen.
private func connect(from host: NetworkHost, to endpoint: String) async throws -> MockPeer {
    try await Simulation.current!.advance(by: .milliseconds(1))
    return try await host.connect(to: endpoint)
}

@Suite struct WorldTests {
    @Test(.simulated(seeds: 0..<50))
    func `servers, a proxy between them, and a client are hosts that know each other's names`() async throws {
        try await withSimulation { world in
            world.startEcho()
            world.host("proxy").run { aio in
                try await aio.serve(on: "*:81") { client in
                    try await aio.connect(to: "server:80") { server in _ = try await relay(client, server) }
                }
            }
            try await world.advance(by: .milliseconds(1))
            try await world.host("client").withProactor { aio in
                try await aio.connect(to: "proxy:81") { connection in
                    try await connection.write("through")
                    #expect(try await connection.read(exactly: 7) == "through")
                    connection.finish()
                    #expect(try await connection.read() == nil)
                }
            }
        }
    }

    @Test(.simulated(seeds: 0..<20))
    func `a partition that is planned begins and ends in its time, and what was sent arrives after it`()
        async throws
    {
        try await withSimulation { world in
            world.startEcho()
            let client = world.host("client"), server = world.host("server")
            let peer = try await connect(from: client, to: "server:80")
            world.schedule(after: .seconds(5)) {
                let cut = world.partition([client], from: [server])
                world.schedule(after: .seconds(10)) { cut.heal() }
            }
            try await world.advance(by: .seconds(6))
            let taken = try await world.seconds {
                try await peer.send("held")
                try await peer.expect("held")
            }
            #expect(taken > 8.9 && taken < 9.1)
            peer.close()
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `an isolated host is cut off from hosts made later, too`()
        async throws
    {
        try await withSimulation { world in
            world.startEcho()
            try await world.advance(by: .milliseconds(1))
            let cut = world.isolate(world.host("server"))
            world.schedule(after: .seconds(3)) { cut.heal() }
            let taken = try await world.seconds { _ = try await world.host("late").connect(to: "server:80") }
            #expect(taken > 2.9 && taken < 3.1)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `faults of one host are no concern of another's`() async throws {
        try await withSimulation { world in
            world.startEcho()
            let rule = world.host("client").faults.add(.connect, .fail(.networkUnreachable))
            try await world.advance(by: .milliseconds(1))
            for (name, works) in [("client", false), ("other", true)] {
                try await world.host(name).withProactor { aio in
                    var code: AIOError.Code?
                    do {
                        try await aio.connect(to: "server:80") { _ in }
                    } catch let error as AIOError { code = error.code }
                    #expect((code == nil) == works)
                }
            }
            #expect(rule.useCount > 0)
        }
    }

    @Test func `what a program throws of its own accord is thrown at the end`() async throws {
        struct Its: Error {}
        let error = await #expect(throws: SimulationError.self) {
            try await withSimulation { world in
                world.host("a").run { _ in throw Its() }
                await world.settle()
            }
        }
        #expect(error?.description.contains("the program on a failed: Its()") == true)
    }

    @Test func `a program that has told its error is not asked again`() async throws {
        struct Its: Error {}
        try await withSimulation { world in
            let program = world.host("a").run { _ in throw Its() }
            await #expect(throws: Its.self) { try await program.value }
        }
    }

    @Test func `the same name is the same host, with one address, and names in any case find it`()
        async throws
    {
        try await withSimulation { world in
            let a = world.host("a"), b = world.host("b")
            #expect(world.host("a") === a && a.address != b.address)
            world.names.set("alias", to: [a.address])
            a.run { aio in try await aio.serve(on: "*:9") { try await $0.write("here") } }
            let peer = try await connect(from: b, to: "ALIAS:9")
            try await peer.expect("here")
            peer.close()
        }
    }

    @Test func `a descriptor that is left open is an error that names the host`() async throws {
        let error = await #expect(throws: SimulationError.self) {
            try await withSimulation { world in
                let host = world.host("leaky")
                var left: Descriptor?
                try await host.withProactor { _ in left = try host.kernel.makeEventCounter() }
                _ = left
            }
        }
        #expect(error?.description.contains("left open on leaky: ") == true)
    }
}
