// Actors as handlers: which calls they get, in which order, on which thread, and once.

import AIO
import AIOTesting
import Testing

@Suite struct HandlerTests {
    @Test(.simulated(seeds: 0..<30), arguments: HandlerExecutor.all)
    func `the calls come in order, on the handler's thread, and closed is the last`(executor: HandlerExecutor)
        async throws
    {
        let calls = Log<Diary.Call>()
        try await withMockPeer({ Diary($0, calls, executor: executor) }, options: .testing(executor)) {
            peer in
            try await peer.expect("hello ")
            try await peer.exchange("one")
            try await peer.exchange("two")
            peer.halfClose()
            try await peer.expect(" bye")
            try await peer.expectEnd()
        }
        #expect(
            calls.values == [
                .connected, .dataReceived("one"), .returned, .dataReceived("two"), .returned, .peerFinished,
                .closed(.peer),
            ])
    }

    @Test(.simulated(seeds: 0..<30), arguments: HandlerExecutor.all, [Arrival.oneByteAtATime, .chaos])
    func `each call is made after the one before, in whichever pieces the bytes come`(
        executor: HandlerExecutor, arrival: Arrival
    ) async throws {
        let calls = Log<Diary.Call>()
        try await withMockPeer(
            { Diary($0, calls, executor: executor) }, options: .testing(executor), arrival: arrival
        ) { peer in
            try await peer.send("some words to be cut")
            peer.halfClose()
            try await peer.expect("hello some words to be cut bye")
            try await peer.expectEnd()
        }
        #expect(calls.received == "some words to be cut")
        let between = calls.values.dropFirst().dropLast(2)
        for (index, call) in between.enumerated() { #expect((call == .returned) == !index.isMultiple(of: 2)) }
        #expect(
            calls.values.first == .connected && calls.values.suffix(2) == [.peerFinished, .closed(.peer)])
    }

    @Test(.simulated(seeds: 0..<30), arguments: HandlerExecutor.all)
    func `bytes that come while a call waits are for the next call, which is made after it`(
        executor: HandlerExecutor
    ) async throws {
        let calls = Log<Diary.Call>()
        let gate = Gate()
        try await withMockPeer(
            {
                Diary($0, calls, executor: executor) { connection, bytes in
                    if bytes == "first" { await gate.wait() }
                    try await connection.write(bytes)
                }
            }, options: .testing(executor)
        ) { peer in
            try await peer.send("first")
            try await Simulation.world.wait(for: "the first call") { gate.count == 1 }
            try await peer.send("second")
            peer.halfClose()
            await peer.settle()
            #expect(calls.values == [.connected, .dataReceived("first")])
            gate.open()
            try await peer.expect("hello firstsecond bye")
            try await peer.expectEnd()
        }
        #expect(
            calls.values == [
                .connected, .dataReceived("first"), .returned, .dataReceived("second"), .returned,
                .peerFinished, .closed(.peer),
            ])
    }

    @Test(.simulated(seeds: 0..<20), arguments: ["connected", "dataReceived", "peerFinished"])
    func `an error of any call ends the connection, and closed is still called, once`(call: String)
        async throws
    {
        try await withServerHost { world, aio in
            let calls = Log<Diary.Call>()
            let server = try await aio.serving(actor: { Diary($0, calls, failsIn: call) })
            let peer = try await server.connect()
            try await peer.send("x")
            peer.halfClose()
            let expected = ["connected": "", "dataReceived": "hello ", "peerFinished": "hello x"]
            #expect(try await peer.receiveToEnd() == Bytes(expected[call]!))
            peer.close()
            #expect(try await server.drained().failed == 1)
            #expect(calls.closes.count == 1)
            let passed: [Diary.Call] = [.connected, .dataReceived("x"), .returned, .peerFinished]
            let count = ["connected": 1, "dataReceived": 2, "peerFinished": 4][call]!
            #expect(Array(calls.values.dropLast()) == Array(passed.prefix(count)))
            #expect(world.reports.count == 1 && world.reports.first?.message.contains("Failed") == true)
        }
    }

    @Test(.simulated(seeds: 0..<20))
    func `an initialiser that throws is a failed handler, and its connection ends`() async throws {
        try await withServerHost { world, aio in
            let calls = Log<Diary.Call>()
            let server = try await aio.serving(actor: { connection -> Diary in
                if connection.isAccepted { throw Diary.Failed() }
                return Diary(connection, calls)
            })
            let peer = try await server.connect()
            try await peer.expectEnd()
            peer.close()
            #expect(try await server.drained().failed == 1)
            #expect(calls.count == 0 && world.reports.count == 1)
        }
    }

    // MARK: Every end

    /// How a connection can end, and what `closed` is told then.
    enum End: CaseIterable, Sendable {
        case peer, reset, local, aborted, idle, drain, cut, shutDown

        var reason: CloseReason {
            switch self {
            case .peer: .peer
            case .reset: .reset
            case .local, .drain, .shutDown: .local
            case .aborted, .cut: .aborted
            case .idle: .idle
            }
        }
    }

    @Test(.simulated(seeds: 0..<10), arguments: End.allCases, HandlerExecutor.all)
    func `closed is called once, with the reason`(end: End, executor: HandlerExecutor) async throws {
        let calls = Log<Diary.Call>()
        try await withServerHost { world, aio in
            let connections = Log<Connection>()
            let options = ServerOptions.testing(executor) {
                $0.connection = .testing { $0.idleTimeout = .seconds(40) }
            }
            let server = try await aio.serving(
                options,
                actor: {
                    connections.add($0)
                    return Diary($0, calls, executor: executor)
                })
            let peer = try await server.connect()
            try await peer.expect("hello ")
            try await peer.exchange("?")
            let start = world.clock.now
            var ending: SideTask<Void>?
            switch end {
            case .peer: peer.halfClose()
            case .reset: peer.reset()
            case .local: connections.values[0].close()
            case .aborted: connections.values[0].abort()
            case .idle: break
            case .drain: server.server.drain(within: .seconds(600))
            case .cut: server.serving.cancel()
            case .shutDown: ending = world.beside("shutdown") { try await aio.shutdown() }
            }
            switch end {
            case .reset: break
            case .peer: try await peer.expect(" bye")
            case .aborted, .cut: try await peer.expectReset()
            case .local, .idle, .drain, .shutDown: try await peer.expectEnd()
            }
            peer.close()
            try await world.wait(for: "closed") { !calls.closes.isEmpty }
            #expect(world.time(since: start).isAbout(end == .idle ? .seconds(40) : .zero))
            try await ending?.value
            let report = try await server.drained()
            #expect(report.completed + report.failed == 1)
            // A cut may find a handler at its read or on its way back to it.
            if end != .cut { #expect(report.completed == 1) }
        }
        #expect(calls.closes == [end.reason] && calls.values.last == .closed(end.reason))
        #expect(calls.values.contains(.peerFinished) == (end == .peer))
    }
}
