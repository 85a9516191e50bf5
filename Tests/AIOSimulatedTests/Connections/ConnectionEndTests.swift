// The ways a connection of the event stream ends: close delivers, abort does not, and nothing follows either but closed.

import AIO
import AIOTesting
import Testing

@Suite struct ConnectionEndTests {
    // MARK: Closing

    @Test(.simulated(seeds: 0..<30), arguments: Road.allCases)
    func `a reply is never truncated, though the peer's request was not read to its end`(_ road: Road)
        async throws
    {
        // Closing a socket with unread input resets it, and the reset overtakes what was sent before.
        try await withProgram(configure: { $0.connection.receiveWindow = 1_024 }) { world, aio in
            let met = try await aio.meet(in: world, over: road)
            // More than the window: when the reply comes, most of this is unread.
            async let sent: Void = met.peer.sendTape(40_000)
            try await aio.run { if case .received(_, met.server) = $0 { true } else { false } }
            met.server.send(Tape.bytes(count: 150_000))
            met.server.close()
            #expect(try await met.peer.receiveTape() == 150_000)
            try await sent
            met.peer.close()
            #expect(try await aio.closeReason(of: met.server) == .local)
        }
    }

    @Test(.simulated(seeds: 0..<15), arguments: Road.allCases)
    func `close sends everything that was queued, however large`(_ road: Road) async throws {
        try await withProgram { world, aio in
            let met = try await aio.meet(
                in: world, over: road, limits: .with { $0.outboundByteCountMax = 1 << 30 })
            for index in 0..<16 { met.server.send(Tape.bytes(at: index * 30_000, count: 30_000)) }
            met.server.close()
            #expect(met.server.send("more") == .refused(.closed))
            #expect(try await met.peer.receiveTape() == 16 * 30_000)
            met.peer.close()
            #expect(try await aio.closeReason(of: met.server) == .local)
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: Road.withResets)
    func `abort resets the connection, whatever is called after it`(_ road: Road) async throws {
        try await withProgram { world, aio in
            let met = try await aio.meet(in: world, over: road)
            met.server.abort()
            met.server.abort()
            met.server.close()
            #expect(try await aio.closeReason(of: met.server) == .aborted)
            try await met.peer.expectReset()
            #expect(met.server.send("x") == .refused(.closed))
        }
    }

    @Test(.simulated(seeds: 0..<30))
    func `after close nothing is delivered but closed, also of what was taken off the list already`()
        async throws
    {
        try await withProgram { world, aio in
            let met = try await aio.meet(in: world)
            // Slices of several slabs wait together, and the peer's end behind them.
            try await met.peer.sendTape(60_000)
            met.peer.halfClose()
            await world.settle()
            #expect(aio.statistics.total.bytesReceived == 60_000)
            var received = 0
            var kinds: [String] = []
            try await aio.run { event in
                kinds.append(event.kind)
                if case .received(let bytes, _) = event {
                    received += bytes.count
                    met.server.close()
                }
                return event.kind == "closed"
            }
            #expect(kinds == ["received", "closed"])
            #expect(received < 60_000, "the close came in the middle of the batch")
        }
    }

    @Test(.simulated(seeds: 0..<30))
    func `closing a connection whose accepted was just taken drops its bytes`() async throws {
        try await withProgram(configure: { $0.workerCount = 2 }) { world, aio in
            _ = try await aio.events.listen(on: "*:80")
            var peers: [MockPeer] = []
            for _ in 0..<6 { peers.append(try await Road.tcp.connect(in: world)) }
            for peer in peers { try await peer.send("never seen") }
            await world.settle()
            #expect(aio.statistics.total.bytesReceived == 60)
            for peer in peers { peer.halfClose() }
            var closed = 0
            try await aio.run { event in
                switch event {
                case .accepted(let connection): connection.close()
                case .closed: closed += 1
                default: Issue.record("\(event.kind) after close")
                }
                return closed == 6
            }
        }
    }

    // MARK: Lingering

    private static func lingering(_ change: (inout ConnectionLimits) -> Void = { _ in }) -> ConnectionLimits {
        .with {
            $0.lingerTimeout = .seconds(10)
            $0.outboundByteCountMax = 1 << 30
            change(&$0)
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: Road.allCases)
    func `a peer that never ends is cut after the linger timeout`(_ road: Road) async throws {
        try await withProgram(within: .seconds(11)) { world, aio in
            let met = try await aio.meet(in: world, over: road, limits: Self.lingering())
            let start = world.clock.now
            met.server.send("bye")
            met.server.close()
            try await met.peer.expect("bye")
            try await met.peer.expectEnd()
            #expect(try await aio.closeReason(of: met.server) == .local)
            let passed = start.duration(to: world.clock.now)
            #expect(passed >= .seconds(10) && passed < .milliseconds(10_002))
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: Road.allCases)
    func
        `a peer that takes nothing of what is queued is cut after the linger timeout, and the reason says so`(
            _ road: Road
        ) async throws
    {
        try await withProgram(within: .seconds(11)) { world, aio in
            let met = try await aio.meet(in: world, over: road, limits: Self.lingering())
            met.peer.stall()
            for index in 0..<10 { met.server.send(Tape.bytes(at: index * 30_000, count: 30_000)) }
            await world.settle()
            let start = world.clock.now
            met.server.close()
            guard case .failed(let error) = try await aio.closeReason(of: met.server) else {
                return #expect(Bool(false), "bytes that were queued are lost, and the reason does not say so")
            }
            #expect(error.code == .timedOut)
            #expect(met.server.pendingByteCount == 0)
            let passed = start.duration(to: world.clock.now)
            #expect(passed >= .seconds(10) && passed < .milliseconds(10_002))
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: Road.allCases)
    func `a peer that takes what is queued little by little gets all of it, however long that takes`(
        _ road: Road
    ) async throws {
        try await withProgram(within: .seconds(100)) { world, aio in
            let met = try await aio.meet(in: world, over: road, limits: Self.lingering())
            met.peer.stall()
            met.server.send(Tape.bytes(count: 200_000))
            met.server.close()
            while met.peer.receivedByteCount + kernelByteCount < 200_000 {
                try await world.advance(by: .seconds(9))
                try #require(aio.statistics.total.openConnections == 1, "it was cut")
                met.peer.stall(after: 24_000)
                await world.settle()
            }
            met.peer.resume()
            #expect(try await met.peer.receiveTape() == 200_000)
            met.peer.close()
            #expect(try await aio.closeReason(of: met.server) == .local)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `a peer that goes on sending is cut after the linger byte limit`()
        async throws
    {
        try await withProgram { world, aio in
            let limits = Self.lingering { $0.lingerByteCountMax = 30_000 }
            let met = try await aio.meet(in: world, limits: limits)
            met.server.close()
            let endless = Bytes([UInt8](repeating: 0, count: 10_000))
            var sent = 0
            while aio.statistics.total.openConnections > 0, sent < 100_000 {
                try await met.peer.send(endless)
                await world.settle()
                sent += endless.count
            }
            #expect(try await aio.closeReason(of: met.server) == .local)
            #expect(sent == 40_000, "the piece that passes the limit is the last")
            let received = aio.statistics.total.bytesReceived
            #expect(received > 30_000 && received <= 40_000)
        }
    }

    // MARK: Idle

    @Test(.simulated(seeds: 0..<20))
    func `a connection on which nothing happens is closed with idle, one that is used is not`() async throws {
        try await withProgram(within: .seconds(400)) { world, aio in
            let idle = ConnectionLimits.with { $0.idleTimeout = .seconds(150) }
            let quiet = try await aio.pair(serverLimits: idle)
            let start = world.clock.now
            let busy = try await aio.pair(serverLimits: idle)
            // The busy one exchanges a byte every 20 s, also when the quiet one is gone.
            try aio.events.schedule(after: .seconds(20), tag: 1)
            var exchanged = 0
            try await aio.run { event in
                switch event {
                case .timer:
                    busy.client.send("x")
                    try aio.events.schedule(after: .seconds(20), tag: 1)
                case .received(_, busy.server): exchanged += 1
                case .closed(busy.server, let reason): Issue.record("closed: \(reason)")
                case .closed(quiet.server, let reason):
                    #expect(reason == .idle)
                    let passed = start.duration(to: world.clock.now)
                    #expect(passed >= .milliseconds(149_999) && passed < .milliseconds(150_002))
                    #expect(exchanged == 7)
                case .closed(quiet.client, let reason): #expect(reason == .peer || reason == .reset)
                default: break
                }
                return exchanged == 17
            }
            #expect(aio.statistics.total.openConnections == 2)
        }
    }
}
