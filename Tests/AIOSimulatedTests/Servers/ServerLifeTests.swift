// How a server begins and what goes wrong: misuse, errors of handlers, of listeners, and servers never served.

import AIOKernel
import AIOWorkers
import SystemPackage
import Testing

@testable import AIO
@testable import AIOTesting

@Suite struct ServerLifeTests {
    private struct Bad: Error {}

    // MARK: Errors of handlers

    @Test(.simulated(seeds: 0..<30), arguments: HandlerExecutor.all)
    func `a handler's error ends its connection only, and is reported once, with the peer`(
        executor: HandlerExecutor
    ) async throws {
        try await withServerHost { world, aio in
            let server = try await aio.serving(.testing(executor)) { connection in
                for try await chunk in connection.chunks {
                    if chunk == "bad" {
                        try await connection.write("oh no")
                        throw Bad()
                    }
                    try await connection.write(chunk)
                }
            }
            let good = try await server.connect(), bad = try await server.connect()
            try await good.exchange("good")
            try await bad.send("bad")
            // Gracefully.
            try await bad.expect("oh no")
            try await bad.expectEnd()
            try await good.exchange("still good")
            for peer in [good, bad] { peer.close() }
            await world.settle()
            #expect(try await server.drained() == .of(accepted: 2, completed: 1, failed: 1))
            let report = try #require(world.reports.first)
            #expect(world.reports.count == 1 && report.severity == .warning)
            let peer = try #require(bad.endpoint)
            #expect(report.description.contains("\(peer)") && report.description.contains("Bad"))
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `an error of AIO's is reported with its code`() async throws {
        try await withServerHost { world, aio in
            let server = try await aio.serving { _ = try await $0.read(exactly: 100) }
            let peer = try await server.connect()
            try await peer.send("half")
            peer.halfClose()
            try await peer.expectEnd()
            peer.close()
            await world.settle()
            #expect(try await server.drained() == .of(accepted: 1, failed: 1))
            #expect(world.reports.map { $0.error?.code } == [.connectionClosedEarly])
        }
    }

    @Test(.simulated(seeds: 0..<20))
    func `ten failures a second are reported, and the number of the others is said`() async throws {
        try await withServerHost { world, aio in
            let server = try await aio.serving { _ in throw Bad() }
            func fail(_ count: Int) async throws {
                for _ in 0..<count {
                    let peer = try await server.connect()
                    try await peer.expectEnd()
                    peer.close()
                }
            }
            try await fail(25)
            #expect(world.reports.count == 10)
            try await world.advance(by: .seconds(1))
            try await fail(12)
            #expect(world.reports.count == 20)
            try await world.advance(by: .seconds(1))
            try await fail(1)
            let said = world.reports.map { Self.leftOut(of: $0.message) ?? 0 }
            #expect(said == Array(repeating: 0, count: 10) + [15] + Array(repeating: 0, count: 9) + [2])
            #expect(try await server.drained().failed == 38)
        }
    }

    /// The number in "(17 failures before it were not reported)".
    private static func leftOut(of message: String) -> Int? {
        guard message.contains("not reported"), let open = message.firstIndex(of: "(") else { return nil }
        return Int(message[message.index(after: open)...].prefix { $0.isNumber })
    }

    // MARK: Misuse, and what cannot be

    @Test(.simulated(seeds: 0..<20)) func `a server is served once`() async throws {
        try await withServerHost { _, aio in
            let server = try await aio.serving { try await $0.echo() }
            let peer = try await server.connect()
            try await peer.exchange("one")
            #expect(await errorCode { try await server.server.serve { _ in } } == .misuse)
            try await peer.exchange("still")
            peer.close()
            #expect(try await server.drained().accepted == 1)
            #expect(await errorCode { try await server.server.serve { _ in } } == .misuse)
        }
    }

    @Test(.simulated()) func `options that make no sense are refused by name`() async throws {
        try await withServerHost { _, aio in
            for (name, change) in [
                ("connectionsMax", { $0.connectionsMax = 0 }),
                ("connectionsPerPeerMax", { $0.connectionsPerPeerMax = 0 }), ("backlog", { $0.backlog = -1 }),
                ("drain", { $0.drainFirstBytesTimeout = .seconds(-1) }),
                ("receiveWindow", { $0.connection = .testing { $0.receiveWindow = 0 } }),
            ] as [(String, (inout ServerOptions) -> Void)] {
                let options = ServerOptions.testing(.worker, change)
                let error = await #expect(throws: AIOError.self) {
                    try await aio.listen(on: "*:80", options: options)
                }
                #expect(error?.code == .invalidArgument && error?.detail?.contains(name) == true)
            }
            #expect(await errorCode { _ = try await aio.listen(on: [Endpoint]()) } == .invalidArgument)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `an address in use is an error, and then none is listened on`()
        async throws
    {
        try await withServerHost { world, aio in
            let taken = try await aio.listen(on: "*:80")
            #expect(await errorCode { _ = try await aio.listen(on: "*:80") } == .addressInUse)
            #expect(await errorCode { _ = try await aio.listen(on: "*:81", "*:80") } == .addressInUse)
            await world.settle()
            try await world.host("client").connect(to: "server:81").expectRefused()
            _ = consume taken
        }
    }

    @Test(.simulated(seeds: 0..<50))
    func `a server that is never served closes its sockets, and whoever was queued sees it`() async throws {
        try await withServerHost { world, aio in
            var server: Server? = try await aio.listen(on: "*:80")
            var peers: [MockPeer] = []
            for _ in 0..<10 { peers.append(try await world.host("client").connect(to: "server:80")) }
            #expect(server != nil)
            server = nil
            for peer in peers { try await peer.expectReset() }
            try await world.host("client").connect(to: "server:80").expectRefused()
            #expect(aio.statistics.connections == 0 && aio.statistics.total.accepted == 0)
        }
    }

    // MARK: After the end

    @Test(.simulated(seeds: 0..<20))
    func `nothing is listened on or served after shutdown, and nothing is left of what was`() async throws {
        try await withServerHost { world, aio in
            let kernel = world.host("server").kernel
            let served = try await aio.listen(on: "*:80", "unix:/run/a.sock")
            let dropped = try await aio.listen(on: "*:81", "unix:/run/b.sock")
            try await aio.shutdown()
            for endpoint in served.endpoints + dropped.endpoints {
                guard endpoint.path == nil else { continue }
                try await world.host("client").connect(to: endpoint.reachable).expectRefused()
            }
            #expect(await errorCode { _ = try await aio.listen(on: "*:80") } == .shutDown)
            #expect(await errorCode { try await served.serve { _ in } } == .shutDown)
            #expect(await errorCode { try await aio.serve(on: "*:80") { _ in } } == .shutDown)
            _ = consume dropped
            for path in ["/run/a.sock", "/run/b.sock"] {
                #expect(kernel.socketFileIdentity(at: path) == nil)
            }
        }
    }

    @Test(.simulated(seeds: 0..<30))
    func `a listening socket that breaks drains the server, and is what serve throws`() async throws {
        try await withServerHost { world, aio in
            let gate = Gate()
            let server = try await aio.serving(.testing { $0.sharesListener = true }) {
                try await $0.echo(behind: gate)
            }
            let peer = try await server.connect()
            try await peer.send("reply")
            try await world.wait(for: "the request") { gate.count == 1 }
            let rule = world.host("server").faults.add(.accept, .fail(.invalidArgument))
            let last = try await server.connect()
            try await last.expectReset()
            try await server.connect().expectRefused()
            #expect(rule.useCount == 1)
            gate.open()
            try await peer.expect("reply")
            try await peer.expectEnd()
            peer.close()
            let error = await #expect(throws: AIOError.self) { try await server.report }
            #expect(error?.call == "accept4" && error?.code == .invalidArgument)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `a listening socket that cannot be watched is what serve throws`()
        async throws
    {
        try await withServerHost { world, aio in
            let server = try await aio.listen(on: "*:80")
            let rule = world.host("server").faults.add {
                $0.name == .control && $0.local != nil ? .fail(.noMemory) : nil
            }
            let serving = world.beside("serve") { try await server.serve { _ in } }
            let error = await #expect(throws: AIOError.self) { try await serving.value }
            #expect(error?.call == "epoll_ctl" && error?.code == .outOfMemory)
            // One socket a worker.
            #expect(rule.useCount == 2)
            try await world.host("client").connect(to: "server:80").expectRefused()
        }
    }
}
