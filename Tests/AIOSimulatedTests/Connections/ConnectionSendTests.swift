// What becomes of a send: outcomes, marks, caps, and half-close.

import AIO
import AIOTesting
import Testing

@Suite struct ConnectionSendTests {
    /// A connection to a peer that does not read, and of which the kernel takes no more. How many bytes were sent.
    private func stalled(
        _ world: Simulation, _ aio: Proactor, over road: Road, _ limits: ConnectionLimits
    ) async throws -> (peer: MockPeer, server: Connection, sent: Int) {
        let met = try await aio.meet(in: world, over: road, limits: limits)
        met.peer.stall()
        var sent = 0
        while met.server.pendingByteCount == 0 {
            met.server.send(Tape.bytes(at: sent, count: 16_000))
            sent += 16_000
            try #require(sent <= 2 * kernelByteCount)
            await world.settle()
        }
        return (met.peer, met.server, sent)
    }

    @Test(.simulated(seeds: 0..<20), arguments: Road.allCases)
    func `a send says how much is queued, and whether that is above the mark`(_ road: Road) async throws {
        try await withProgram { world, aio in
            let limits = ConnectionLimits.with {
                $0.highWaterMark = 20_000
                $0.lowWaterMark = 10_000
                $0.outboundByteCountMax = 30_000
                $0.whenOutboundIsFull = .refuse
            }
            let (peer, server, before) = try await stalled(world, aio, over: road, limits)
            var total = before
            func send(_ count: Int) -> SendOutcome {
                let outcome = server.send(Tape.bytes(at: total, count: count))
                if case .refused = outcome {} else { total += count }
                return outcome
            }
            let pending = server.pendingByteCount
            #expect(send(0) == .queued(pending: pending))
            #expect(send(20_000 - pending) == .queued(pending: 20_000))
            #expect(send(1) == .aboveMark(pending: 20_001))
            #expect(send(9_998) == .aboveMark(pending: 29_999))
            // One send may exceed the limit; the next is refused.
            #expect(send(50_000) == .aboveMark(pending: 79_999))
            #expect(send(1) == .refused(.queueFull))
            #expect(server.send(["a", "b"]) == .refused(.queueFull))
            #expect(server.pendingByteCount == 79_999)

            // The peer reads: one drained, and everything that was not refused.
            peer.resume()
            try await aio.run { if case .drained(server) = $0 { true } else { false } }
            #expect(server.pendingByteCount <= 10_000)
            try await peer.expectTape(total)
            await world.settle()
            #expect(server.pendingByteCount == 0)
            #expect(aio.events.drain().isEmpty, "drained comes once")
            #expect(send(5) == .queued(pending: 5))
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: Road.withResets)
    func `by default a full queue closes the connection, with slowConsumer as its reason`(_ road: Road)
        async throws
    {
        try await withProgram { world, aio in
            let limits = ConnectionLimits.with {
                $0.highWaterMark = 20_000
                $0.lowWaterMark = 10_000
                $0.outboundByteCountMax = 30_000
            }
            let (peer, server, sent) = try await stalled(world, aio, over: road, limits)
            server.send(Tape.bytes(at: sent, count: 40_000))
            #expect(server.send("x") == .refused(.queueFull))
            #expect(server.send("x") == .refused(.closed))
            #expect(try await aio.closeReason(of: server) == .slowConsumer)
            #expect(server.pendingByteCount == 0)
            peer.resume()
            await world.settle()
            try await peer.expectTape(peer.receivedByteCount)
            try await peer.expectReset()
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: Road.allCases)
    func `finish lets the peer have the rest and go on sending`(_ road: Road) async throws {
        try await withProgram { world, aio in
            let met = try await aio.meet(in: world, over: road)
            met.server.send(Tape.bytes(count: 200_000))
            met.server.finish()
            #expect(met.server.send("more") == .refused(.closed))
            #expect(try await met.peer.receiveTape() == 200_000)
            try await met.peer.send("after your end")
            met.peer.close()
            var text = ""
            let reason: CloseReason = try await aio.first { event in
                if case .received(let bytes, _) = event { text += String(decoding: bytes, as: UTF8.self) }
                if case .closed(_, let reason) = event { return reason }
                return nil
            }
            #expect(text == "after your end")
            #expect(reason == .local)
        }
    }
}
