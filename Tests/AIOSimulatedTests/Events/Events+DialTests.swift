// Dialling hosts with several addresses: who wins, who follows whom and when, and that nothing of the others is left.

import AIOKernel
import AIOWorkers
import SystemPackage
import Testing

@testable import AIO
@testable import AIOTesting

@Suite struct DialTests {
    /// Hosts that swallow packets: nothing reaches them, and nobody says so.
    private struct Silence {
        let endpoints: [Endpoint]
        private let cuts: [Partition]

        init(of count: Int, in world: Simulation) {
            let hosts = (0..<count).map { world.host("silent \($0)") }
            cuts = hosts.map(world.isolate)
            endpoints = hosts.map { .ip($0.address, port: 80) }
        }

        func end() { for cut in cuts { cut.heal() } }
    }

    private func socketCount(_ world: Simulation) -> Int {
        world.host("program").kernel.openDescriptors.count { $0.contains("SimulatedStream") }
    }

    private func failure(of connection: Connection, _ aio: Proactor) async throws -> AIOError {
        guard case .connectFailed(let error) = try await aio.closeReason(of: connection) else {
            throw StreamEnded()
        }
        return error
    }

    /// Waits until `client` is connected; how long that took.
    private func connected(_ client: Connection, _ world: Simulation, _ aio: Proactor) async throws
        -> Duration
    {
        let start = world.clock.now
        try await aio.run { event in
            if case .closed(client, let reason) = event { throw PairFailed(reason: reason) }
            if case .connected(client) = event { return true }
            return false
        }
        return start.duration(to: world.clock.now)
    }

    // MARK: Who follows whom

    @Test(.simulated(seeds: 0..<30))
    func `an address that swallows packets is overtaken after the delay, and let go of`() async throws {
        try await withProgram { world, aio in
            let silence = Silence(of: 1, in: world)
            defer { silence.end() }
            let listener = try world.host("far").listen(on: "*:80")
            let client = try aio.connect(toFirstOf: silence.endpoints + [listener.endpoint]) {
                $0.connectAttemptDelay = .milliseconds(60)
            }
            let passed = try await connected(client, world, aio)
            #expect(passed >= .milliseconds(60) && passed < .milliseconds(62))
            #expect(client.peer == listener.endpoint)
            #expect(client.local?.address == world.host("program").address)
            // The connection's socket and no other: what was still under way is closed by now.
            #expect(socketCount(world) == 1)
            let peer = try await listener.accept()
            try await peer.send("welcome")
            try await aio.run { if case .received("welcome", client) = $0 { true } else { false } }
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `an address that is overtaken may still be first`() async throws {
        try await withProgram { world, aio in
            let slow = try world.host("slow").listen(on: "*:80")
            let silence = Silence(of: 1, in: world)
            defer { silence.end() }
            let line = LinkConditions(latency: .milliseconds(90) ... .milliseconds(90))
            world.setConditions(line, between: world.host("program"), and: world.host("slow"))
            let client = try aio.connect(toFirstOf: [slow.endpoint] + silence.endpoints) {
                $0.connectAttemptDelay = .milliseconds(60)
            }
            let passed = try await connected(client, world, aio)
            #expect(passed >= .milliseconds(90) && passed < .milliseconds(92))
            #expect(client.peer == slow.endpoint && socketCount(world) == 1)
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `an address that refuses is followed at once`() async throws {
        try await withProgram { world, aio in
            let refusing = Endpoint.ip(world.host("empty").address, port: 80)
            let listener = try world.host("far").listen(on: "*:80")
            let client = try aio.connect(toFirstOf: [refusing, refusing, listener.endpoint]) {
                $0.connectAttemptDelay = .seconds(2)
            }
            #expect(try await connected(client, world, aio) < .milliseconds(1))
            #expect(client.peer == listener.endpoint)
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `an address that no route leads to is passed over`() async throws {
        try await withProgram { world, aio in
            let unroutable = Endpoint.ip(world.host("unroutable").address, port: 80)
            let listener = try world.host("far").listen(on: "*:80")
            let fault = world.host("program").faults.add {
                $0.name == .connect && $0.peer == unroutable ? .fail(.networkUnreachable) : nil
            }
            let client = try aio.connect(toFirstOf: [unroutable, unroutable, listener.endpoint])
            #expect(try await connected(client, world, aio) < .milliseconds(1))
            #expect(client.peer == listener.endpoint && fault.useCount == 2)
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `a name's addresses are tried until one accepts`() async throws {
        try await withProgram { world, aio in
            let silence = Silence(of: 1, in: world)
            defer { silence.end() }
            let listener = try world.host("far").listen(on: "*:80")
            world.names.set(
                "several",
                to: [
                    world.host("empty").address, world.host("silent 0").address, world.host("far").address,
                ])
            let client = try aio.events.connect(to: "several:80")
            let passed = try await connected(client, world, aio)
            #expect(passed >= .milliseconds(250) && passed < .milliseconds(253), "the usual delay, once")
            #expect(client.peer == listener.endpoint)
        }
    }

    @Test(.simulated(seeds: 0..<100)) func `bytes that the peer sends at once are not missed`() async throws {
        try await withProgram { world, aio in
            let listener = try world.host("far").listen(on: "*:80")
            for _ in 0..<3 {
                async let greeted: Void = {
                    let peer = try await listener.accept()
                    try await peer.send("220 ready\r\n")
                    peer.halfClose()
                }()
                let client = try aio.events.connect(to: listener.endpoint)
                var kinds: [String] = []
                try await aio.run { event in
                    if event.subject == client { kinds.append(event.kind) }
                    if case .peerHalfClosed(client) = event { client.abort() }
                    return kinds.last == "closed"
                }
                #expect(kinds == ["connected", "received", "peerHalfClosed", "closed"])
                try await greeted
            }
        }
    }

    // MARK: Failing

    @Test(.simulated(seeds: 0..<30)) func `when all addresses fail the last error is the reason`()
        async throws
    {
        try await withProgram { world, aio in
            let refusing = (0..<3).map { Endpoint.ip(world.host("empty").address, port: 80 + $0) }
            let error = try await failure(of: try aio.connect(toFirstOf: refusing), aio)
            #expect(error.code == .connectionRefused)
            #expect(error.detail == refusing[2].description)
            #expect(socketCount(world) == 0)
            #expect(aio.statistics.connections == 0)
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `the deadline is one for all addresses, and leaves no socket`()
        async throws
    {
        try await withProgram { world, aio in
            let silence = Silence(of: 3, in: world)
            defer { silence.end() }
            let start = world.clock.now
            let client = try aio.connect(toFirstOf: silence.endpoints) {
                $0.connectTimeout = .milliseconds(150)
                $0.connectAttemptDelay = .milliseconds(20)
            }
            let error = try await failure(of: client, aio)
            #expect(error.code == .timedOut)
            let passed = start.duration(to: world.clock.now)
            #expect(passed >= .milliseconds(150) && passed < .milliseconds(152))
            #expect(socketCount(world) == 0)
        }
    }

    @Test(.simulated(seeds: 0..<30))
    func `an address behind two that swallow packets gets its share of the time before the deadline`()
        async throws
    {
        try await withProgram { world, aio in
            let silence = Silence(of: 2, in: world)
            defer { silence.end() }
            let listener = try world.host("far").listen(on: "*:80")
            let client = try aio.connect(toFirstOf: silence.endpoints + [listener.endpoint]) {
                $0.connectTimeout = .milliseconds(900)
                $0.connectAttemptDelay = .seconds(2)
            }
            let passed = try await connected(client, world, aio)
            #expect(passed >= .milliseconds(600) && passed < .milliseconds(604), "a third each")
            #expect(client.peer == listener.endpoint)
        }
    }

    // MARK: Ending it

    @Test(.simulated(seeds: 0..<20), arguments: [true, false])
    func `a race that is ended half-way closes all its sockets at once`(_ isAborted: Bool) async throws {
        try await withProgram { world, aio in
            let silence = Silence(of: 3, in: world)
            defer { silence.end() }
            let client = try aio.connect(toFirstOf: silence.endpoints) {
                $0.connectAttemptDelay = .milliseconds(10)
            }
            for count in 1...3 {
                await world.settle()
                #expect(socketCount(world) == count)
                if count < 3 { try await world.advance(by: .milliseconds(12)) }
            }
            if isAborted { client.abort() } else { client.close() }
            #expect(try await aio.closeReason(of: client) == (isAborted ? .aborted : .local))
            #expect(socketCount(world) == 0)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `shutting down ends a race`() async throws {
        try await withProgram { world, aio in
            let silence = Silence(of: 2, in: world)
            defer { silence.end() }
            let client = try aio.connect(toFirstOf: silence.endpoints) {
                $0.connectAttemptDelay = .milliseconds(10)
            }
            try await world.advance(by: .milliseconds(12))
            #expect(socketCount(world) == 2)
            try await aio.shutdown()
            #expect(socketCount(world) == 0)
            #expect(try await aio.closeReason(of: client) == .shutDown)
        }
    }

    @Test(.simulated(seeds: 0..<10)) func `delays outside of what RFC 8305 allows are refused by name`()
        async throws
    {
        try await withProgram { _, aio in
            for delay in [Duration.milliseconds(9), .milliseconds(2_001), .zero, .seconds(-1)] {
                let limits = ConnectionLimits.with { $0.connectAttemptDelay = delay }
                let error = try #require(throws: AIOError.self) {
                    try aio.events.connect(to: "127.0.0.1:1", limits: limits)
                }
                #expect(error.code == .invalidArgument)
                #expect(error.detail?.hasPrefix("connectAttemptDelay") == true)
            }
        }
    }

    // MARK: Unix sockets

    /// A Unix listener whose queue is full.
    private func fullListener(_ world: Simulation) async throws -> MockListener {
        let host = world.host("program")
        let listener = try host.listen(on: "unix:/run/full", backlog: 1)
        _ = try await host.connect(to: listener.endpoint)
        return listener
    }

    @Test(.simulated(seeds: 0..<30))
    func `a Unix listener whose queue is full is asked again until it has room`()
        async throws
    {
        try await withProgram { world, aio in
            let listener = try await fullListener(world)
            let client = try aio.events.connect(to: listener.endpoint)
            try await world.advance(by: .seconds(1))
            #expect(aio.statistics.total.connected == 0 && aio.statistics.connections == 1)
            _ = try await listener.accept()
            #expect(try await connected(client, world, aio) < .seconds(1))
            #expect(client.peer == listener.endpoint)
            let peer = try await listener.accept()
            client.send("hello")
            try await peer.expect("hello")
            try await peer.send("welcome")
            try await aio.run { if case .received("welcome", client) = $0 { true } else { false } }
        }
    }

    @Test(.simulated(seeds: 0..<30))
    func `a Unix listener whose queue stays full is given up at the deadline`()
        async throws
    {
        try await withProgram { world, aio in
            let listener = try await fullListener(world)
            let start = world.clock.now
            let client = try aio.events.connect(to: "\(listener.endpoint)", timeout: .milliseconds(50))
            #expect(try await failure(of: client, aio).code == .timedOut)
            let passed = start.duration(to: world.clock.now)
            #expect(passed >= .milliseconds(50) && passed < .milliseconds(52))
            #expect(aio.statistics.connections == 0)
        }
    }
}

extension Proactor {
    /// Dials a host that the resolver says has these addresses: what `Events.connect` does, without the resolver.
    fileprivate func connect(
        toFirstOf addresses: [Endpoint], _ change: (inout ConnectionLimits) -> Void = { _ in }
    ) throws -> Connection {
        try #require(engine.accounts.connectionDialled())
        let core = ConnectionCore(
            dialling: engine.accounts.makeID(), worker: engine.workers[0],
            sink: ConnectionSink(events: events.source.queue, limits: .with(change)),
            target: .host("several.invalid", port: 80))
        core.request(.adopt)
        core.resolved(.success(addresses))
        return Connection(core)
    }
}
