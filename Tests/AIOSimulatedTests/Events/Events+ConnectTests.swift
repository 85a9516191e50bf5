// Making connections in the event stream: what it knows meanwhile, each way in which it fails, and when.

import AIO
import AIOKernel
import AIOTesting
import Testing

@Suite struct ConnectTests {
    /// Why connecting to `endpoint` failed.
    private func failure(
        of endpoint: String, _ aio: Proactor, limits: ConnectionLimits? = nil
    ) async throws -> AIOError {
        let connection = try aio.events.connect(to: endpoint, limits: limits)
        guard case .connectFailed(let error) = try await aio.closeReason(of: connection) else {
            throw StreamEnded()
        }
        #expect(connection.local == nil)
        #expect(connection.send("x") == .refused(.closed))
        #expect(aio.statistics.connections == 0)
        return error
    }

    @Test(.simulated(seeds: 0..<30)) func `who refuses, and whom, is in the reason`() async throws {
        try await withProgram { world, aio in
            let far = world.host("far")
            let error = try await failure(of: "far:9", aio)
            #expect(error.code == .connectionRefused)
            #expect(error.call == "connect" && error.detail == "\(Endpoint.ip(far.address, port: 9))")
        }
    }

    @Test(.simulated(seeds: 0..<20))
    func `a path where nothing is, and a host that nobody knows, are events`()
        async throws
    {
        try await withProgram { world, aio async throws in
            #expect(try await failure(of: "unix:/run/nothing", aio).code == .notFound)
            #expect(try await failure(of: "unix:@nobody", aio).code == .connectionRefused)
            #expect(try await failure(of: "nobody:80", aio).code == .hostNotFound)
            world.names.set("broken", failingWith: .nameResolutionFailed)
            #expect(try await failure(of: "broken:80", aio).code == .nameResolutionFailed)
        }
    }

    @Test(.simulated(seeds: 0..<10)) func `text that is no address is thrown at once`() async throws {
        try await withProgram { _, aio in
            for text in ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "unix:", "[::1:80"] {
                let error = try #require(throws: AIOError.self) { try aio.events.connect(to: text) }
                #expect(error.code == .malformedEndpoint)
            }
            #expect(aio.statistics.connections == 0)
        }
    }

    @Test(.simulated(seeds: 0..<10)) func `limits that make no sense are thrown at once`() async throws {
        try await withProgram { _, aio in
            let limits = ConnectionLimits.with { $0.receiveWindow = 0 }
            let error = try #require(throws: AIOError.self) {
                try aio.events.connect(to: "127.0.0.1:1", limits: limits)
            }
            #expect(error.code == .invalidArgument)
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: [Duration.milliseconds(100), .seconds(30)])
    func `a peer that never answers is given up after the connect timeout`(_ timeout: Duration) async throws {
        try await withProgram(within: .seconds(31)) { world, aio in
            let cut = world.isolate(world.host("far"))
            let start = world.clock.now
            let connection = try aio.events.connect(to: "far:80", timeout: timeout)
            guard case .connectFailed(let error) = try await aio.closeReason(of: connection) else {
                return #expect(Bool(false), "connected")
            }
            #expect(error.code == .timedOut)
            let passed = start.duration(to: world.clock.now)
            #expect(passed >= timeout && passed < timeout + .milliseconds(2))
            cut.heal()
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `looking up a name takes from the same time`() async throws {
        try await withProgram(within: .seconds(6)) { world, aio in
            _ = try world.host("far").listen(on: "*:80")
            world.names.delay = .seconds(60) ... .seconds(60)
            let start = world.clock.now
            let limits = ConnectionLimits.with { $0.connectTimeout = .seconds(5) }
            #expect(try await failure(of: "far:80", aio, limits: limits).code == .timedOut)
            let passed = start.duration(to: world.clock.now)
            #expect(passed >= .seconds(5) && passed < .milliseconds(5_002))
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `an attempt that is under way can be closed`() async throws {
        try await withProgram { world, aio in
            let cut = world.isolate(world.host("far"))
            let closed = try aio.events.connect(to: "far:80")
            let aborted = try aio.events.connect(to: "far:80")
            if world.seed % 2 == 0 { await world.settle() }
            closed.close()
            aborted.abort()
            var reasons: [Connection: CloseReason] = [:]
            try await aio.run { event in
                guard case .closed(let connection, let reason) = event else { return false }
                reasons[connection] = reason
                return reasons.count == 2
            }
            #expect(reasons == [closed: .local, aborted: .aborted])
            cut.heal()
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: Road.allCases)
    func `what is sent while connecting arrives once connected`(_ road: Road) async throws {
        try await withProgram { world, aio in
            let listener = try road.farHost(of: world).listen(on: road.farEndpoint)
            let client = try aio.events.connect(to: listener.endpoint)
            #expect(client.peer == listener.endpoint && client.local == nil)
            #expect(client.send("early ") == .queued(pending: 6))
            client.send(["b", "ird"])
            client.finish()
            #expect(client.send("late") == .refused(.closed))
            let peer = try await listener.accept()
            #expect(try await peer.receiveToEnd() == "early bird")
            peer.close()
            var kinds: [String] = []
            try await aio.run { event in
                kinds.append(event.kind)
                return event.kind == "closed"
            }
            #expect(kinds == ["connected", "closed"])
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `connections made count against the same limit as those accepted`()
        async throws
    {
        try await withProgram(configure: { $0.connectionsMax = 2 }) { world, aio in
            _ = try world.host("far").listen(on: "*:80")
            let first = try aio.events.connect(to: "far:80")
            _ = try aio.events.connect(to: "far:80")
            let error = try #require(throws: AIOError.self) { try aio.events.connect(to: "far:80") }
            #expect(error.code == .limitReached)
            #expect(error.detail?.contains("connectionsMax: 2") == true)
            first.abort()
            #expect(try await aio.closeReason(of: first) == .aborted)
            #expect(throws: Never.self) { try aio.events.connect(to: "far:80") }
        }
    }
}
