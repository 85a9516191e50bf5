// Whoever is slow stops whoever is fast, and nothing grows meanwhile.

import AIO
import AIOTesting
import Testing

@Suite struct BackPressureTests {
    @Test(.simulated(seeds: 0..<20), arguments: [5_000, 100_000])
    func `a consumer that stops iterating stops the peer after one window, and goes on with everything`(
        window: Int
    ) async throws {
        try await withProgram(configure: { $0.connection.receiveWindow = window }) { world, aio in
            let met = try await aio.meet(in: world)
            #expect(try await met.peer.expectBackpressure(atMost: window) == window)
            #expect(aio.statistics.total.bytesReceived == UInt64(window))
            #expect(aio.statistics.total.readPauses >= 1)
            #expect(aio.statistics.total.slabsInUse <= window / 4_096 + 1)
            met.peer.halfClose()
            var received = 0
            try await aio.run { event in
                if case .received(let bytes, met.server) = event { received += bytes.count }
                return event.kind == "closed"
            }
            #expect(received == met.peer.sentByteCount && received > window)
        }
    }

    /// An echo in the event stream; how much has waited to be sent at most, when `isDone` or it has closed.
    private func echo(_ aio: Proactor) async throws -> Int {
        var pendingMax = 0
        try await aio.run { event in
            if case .received(let bytes, let connection) = event {
                if case .refused(let refusal) = connection.send(bytes) { Issue.record("refused: \(refusal)") }
                pendingMax = max(pendingMax, connection.pendingByteCount)
            }
            return event.kind == "closed"
        }
        return pendingMax
    }

    @Test(.simulated(seeds: 0..<20), arguments: Road.allCases)
    func `an echo server never fills its queue for a peer that sends and does not read, and loses nothing`(
        _ road: Road
    ) async throws {
        try await withProgram(within: .seconds(3_601)) { world, aio in
            let limits = ConnectionLimits.with {
                $0.receiveWindow = 16_384
                $0.highWaterMark = 16_384
                $0.lowWaterMark = 8_192
                $0.outboundByteCountMax = 200_000
                $0.writeProgressTimeout = .seconds(7_200)
                $0.idleTimeout = .seconds(7_200)
            }
            let met = try await aio.meet(in: world, over: road, limits: limits)
            async let echoed = echo(aio)
            // At once as much as the buffers, the mark and the window hold.
            let block = Bytes([UInt8](repeating: 7, count: 2_000))
            let atOnce = kernelByteCount + 3 * 16_384
            let taken = try await met.peer.expectBackpressure(atMost: atOnce, sending: block)
            #expect(taken > kernelByteCount && aio.statistics.total.readHolds >= 1)
            // A hold lets a little through each time that its own time, which doubles, has passed: half of what is free
            // below the cap. So never the cap.
            try await world.advance(by: .seconds(3_600))
            #expect(met.server.pendingByteCount < limits.outboundByteCountMax)
            met.peer.halfClose()
            met.peer.resume()
            let received = try await met.peer.receiveToEnd()
            #expect(received.count == met.peer.sentByteCount)
            met.peer.close()
            #expect(try await echoed < limits.outboundByteCountMax)
        }
    }

    // MARK: Broadcasts

    private static let chunk = 8_192
    private static let rounds = 40

    private static func limits(_ change: (inout ConnectionLimits) -> Void = { _ in }) -> ConnectionLimits {
        .with {
            $0.highWaterMark = 16_384
            $0.lowWaterMark = 8_192
            $0.outboundByteCountMax = 65_536
            change(&$0)
        }
    }

    /// A member that reads nothing, and three that do.
    private func members(
        _ world: Simulation, _ aio: Proactor, _ limits: ConnectionLimits
    ) async throws -> (slow: Met, fast: [Met]) {
        let slow = try await aio.meet(in: world, limits: limits)
        slow.peer.stall()
        var fast: [Met] = []
        for _ in 0..<3 {
            let peer = try await Road.tcp.connect(in: world)
            fast.append(Met(server: try await aio.nextAccepted(), peer: peer, listener: slow.listener))
        }
        return (slow, fast)
    }

    /// Sends to all of them, and waits for those that read. `closed` is what ended meanwhile.
    private func broadcast(
        _ aio: Proactor, slow: Connection, fast: [Met], closed: inout [Connection: CloseReason]
    ) async throws -> (accepted: Int, refused: Int) {
        var accepted = 0
        var refused = 0
        var ended = closed
        for round in 0..<Self.rounds {
            let bytes = Tape.bytes(at: round * Self.chunk, count: Self.chunk)
            if case .refused = slow.send(bytes) { refused += 1 } else { accepted += 1 }
            for member in fast {
                guard case .aboveMark = member.server.send(bytes) else { continue }
                try await aio.run { event in
                    if case .closed(let connection, let reason) = event { ended[connection] = reason }
                    if case .drained(member.server) = event { return true }
                    return false
                }
            }
        }
        closed = ended
        return (accepted, refused)
    }

    /// Closes the members that read, which have got everything.
    private func end(_ fast: [Met]) async throws {
        for member in fast { member.server.close() }
        for member in fast {
            #expect(try await member.peer.receiveTape() == Self.rounds * Self.chunk)
            member.peer.close()
        }
    }

    @Test(.simulated(seeds: 0..<15))
    func `by default a slow member of a broadcast is cut and the others get everything`() async throws {
        try await withProgram(configure: { $0.workerCount = 2 }) { world, aio in
            let (slow, fast) = try await members(world, aio, Self.limits())
            var closed: [Connection: CloseReason] = [:]
            let (accepted, refused) = try await broadcast(aio, slow: slow.server, fast: fast, closed: &closed)
            #expect(refused > 0)
            #expect(
                accepted * Self.chunk <= kernelByteCount + 65_536 + Self.chunk,
                "its cap, and what the kernel holds")
            #expect(slow.server.send("x") == .refused(.closed))
            if closed[slow.server] == nil {
                closed[slow.server] = try await aio.closeReason(of: slow.server)
            }
            #expect(closed == [slow.server: .slowConsumer])
            try await end(fast)
        }
    }

    @Test(.simulated(seeds: 0..<15))
    func `with the refusing policy a slow member stays, and gets what was not refused`() async throws {
        try await withProgram(configure: { $0.workerCount = 2 }) { world, aio in
            let (slow, fast) = try await members(world, aio, Self.limits { $0.whenOutboundIsFull = .refuse })
            var closed: [Connection: CloseReason] = [:]
            let (accepted, refused) = try await broadcast(aio, slow: slow.server, fast: fast, closed: &closed)
            #expect(refused > 0 && accepted > 0 && closed.isEmpty)
            #expect(slow.server.send("x") == .refused(.queueFull))
            slow.peer.resume()
            // Those that were accepted were the first ones.
            try await slow.peer.expectTape(accepted * Self.chunk)
            try await aio.run { if case .drained(slow.server) = $0 { true } else { false } }
            slow.server.send("back")
            try await slow.peer.expect("back")
            try await end(fast)
        }
    }
}
