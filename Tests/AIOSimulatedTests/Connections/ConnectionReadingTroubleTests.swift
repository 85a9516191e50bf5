// Straight-line reads when something is in their way: resets, ends of this side, other readers, full windows, silence.

import AIO
import AIOTesting
import Testing

@Suite struct ConnectionReadingTroubleTests {
    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.everywhere, Road.withResets)
    func `bytes that came before a reset are read, then it is thrown`(
        _ executor: HandlerExecutor, _ road: Road
    ) async throws {
        try await serving(over: road, .on(executor)) { connection async throws in
            #expect(try await connection.closed() == .reset)
            #expect(try await connection.read(atMost: 2) == "ab")
            #expect(try await connection.read() == "cde")
            for _ in 0..<2 {
                #expect(await code { _ = try await connection.read() } == .connectionReset)
                #expect(await code { _ = try await connection.read(exactly: 1) } == .connectionReset)
                #expect(await code { _ = try await connection.peek() } == .connectionReset)
                #expect(await code { _ = try await connection.readAll(atMost: 1) } == .connectionReset)
            }
        } peer: { stage in
            try await stage.peer.send("abcde")
            await stage.settle()
            stage.peer.reset()
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.everywhere, Road.withResets)
    func `a reset ends a read that waits`(_ executor: HandlerExecutor, _ road: Road) async throws {
        let error = try await serving(over: road, .on(executor)) { connection in
            await code { _ = try await connection.read() }
        } peer: { stage in
            await stage.settle()
            #expect(stage.connection.readIsWaiting)
            stage.peer.reset()
        }
        #expect(error == .connectionReset)
    }

    @Test(.simulated(seeds: 0..<30)) func `what a reset cut short is not all that readAll was to read`()
        async throws
    {
        try await serving { connection async throws in
            #expect(await code { _ = try await connection.readAll(atMost: 100) } == .connectionReset)
            #expect(await code { _ = try await connection.read(exactly: 10) } == .connectionReset)
            #expect(try await connection.read() == "half")
            #expect(await code { _ = try await connection.read() } == .connectionReset)
        } peer: { stage in
            try await stage.peer.send("half")
            await stage.settle()
            stage.peer.reset()
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.everywhere)
    func `a second read while one waits is an error, and the first is not disturbed`(
        _ executor: HandlerExecutor
    ) async throws {
        let first = try await serving(.on(executor)) { connection in
            try await connection.read()
        } peer: { stage in
            let connection = stage.connection
            await stage.settle()
            #expect(await code { _ = try await connection.read() } == .misuse)
            #expect(await code { _ = try await connection.read(exactly: 1) } == .misuse)
            #expect(await code { _ = try await connection.readAll(atMost: 1) } == .misuse)
            #expect(await code { _ = try await connection.peek() } == .misuse)
            #expect(await code { for try await _ in connection.chunks {} } == .misuse)
            #expect(connection.readIsWaiting)
            try await stage.peer.send("for the first")
        }
        #expect(first == "for the first")
    }

    @Test(.simulated(seeds: 0..<30))
    func `connections of the event stream cannot be read, and lose nothing by the attempt`() async throws {
        try await withProgram { world, aio in
            let pair = try await aio.pair()
            func expectMisuse() async {
                #expect(await code { _ = try await pair.server.read() } == .misuse)
                #expect(await code { _ = try await pair.server.read(exactly: 1) } == .misuse)
                #expect(await code { _ = try await pair.server.peek() } == .misuse)
                #expect(await code { _ = try await pair.server.readAll(atMost: 10) } == .misuse)
            }
            await expectMisuse()
            // Also when there would be something to read,
            pair.client.send("for the stream")
            await world.settle()
            await expectMisuse()
            var text = ""
            try await aio.run { event in
                if case .received(let bytes, pair.server) = event {
                    text += String(decoding: bytes, as: UTF8.self)
                }
                return text.count == 14
            }
            #expect(text == "for the stream")
            // and at the end.
            pair.client.finish()
            try await aio.run { if case .peerHalfClosed(pair.server) = $0 { true } else { false } }
            await expectMisuse()
        }
    }

    @Test(.simulated(seeds: 0..<10), arguments: HandlerExecutor.everywhere, [Arrival.drawn, .chaos])
    func `one task reads while another writes`(_ executor: HandlerExecutor, _ arrival: Arrival) async throws {
        let total = 150_000
        let count = try await serving(.on(executor), arrival: arrival) { connection in
            async let read = {
                var position = 0
                for try await chunk in connection.chunks {
                    guard Tape.matches(chunk, at: position) else {
                        throw TapeBroken(position: position)
                    }
                    position += chunk.count
                }
                return position
            }()
            for position in stride(from: 0, to: total, by: 15_000) {
                try await connection.write(Tape.bytes(at: position, count: 15_000))
            }
            connection.finish()
            return try await read
        } peer: { stage in
            try await stage.peer.sendTape(total)
            stage.peer.halfClose()
            #expect(try await stage.peer.receiveTape() == total)
        }
        #expect(count == total)
    }

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.everywhere, [1_000, 50_000])
    func `a handler that does not read stops the peer after one window, and gets everything later`(
        _ executor: HandlerExecutor, window: Int
    ) async throws {
        let mayRead = Promise<Void>()
        try await serving(.on(executor) { $0.receiveWindow = window }) { connection in
            try await mayRead.value()
            for try await _ in connection.chunks {}
        } peer: { stage in
            #expect(try await stage.peer.expectBackpressure(atMost: window) == window)
            #expect(stage.total.bytesReceived == UInt64(window) && stage.total.readPauses >= 1)
            #expect(stage.total.slabsInUse <= window / 4_096 + 1)
            mayRead.keep()
            stage.peer.halfClose()
            stage.peer.resume()
            try await stage.peer.expectEnd()
            #expect(stage.total.bytesReceived == UInt64(stage.peer.sentByteCount))
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.everywhere)
    func `a read that waits ends with the idle timeout, counted from the last byte`(
        _ executor: HandlerExecutor
    ) async throws {
        try await serving(.on(executor) { $0.idleTimeout = .seconds(100) }, within: .seconds(200)) {
            connection async throws in
            #expect(try await connection.read() == "x")
            let start = connection.clock.now
            #expect(await code { _ = try await connection.read() } == .timedOut)
            let passed = start.duration(to: connection.clock.now)
            #expect(passed > .seconds(99) && passed < .seconds(101))
            #expect(await code { _ = try await connection.read(exactly: 2) } == .timedOut)
            #expect(try await connection.closed() == .idle)
        } peer: { stage in
            try await stage.world.advance(by: .seconds(99))
            try await stage.peer.send("x")
            try await stage.peer.expectEnd(within: .seconds(200))
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: [true, false], HandlerExecutor.everywhere)
    func `a read that waits ends when another task closes the connection`(
        isAbort: Bool, _ executor: HandlerExecutor
    ) async throws {
        let error = try await serving(.on(executor)) { connection in
            await code { _ = try await connection.read() }
        } peer: { stage in
            await stage.settle()
            #expect(stage.connection.readIsWaiting)
            if isAbort { stage.connection.abort() } else { stage.connection.close() }
        }
        #expect(error == .closed)
    }

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.everywhere)
    func `a server that drains ends a read that waits, but not one in the middle of something`(
        _ executor: HandlerExecutor
    ) async throws {
        try await serving(.on(executor), within: .seconds(16)) { connection async throws in
            #expect(try await connection.read() == "begun")
            #expect(try await connection.read(exactly: 8) == "finished")
            #expect(try await connection.read() == nil)
        } peer: { stage in
            try await stage.peer.send("begun")
            await stage.settle()
            try await stage.peer.send("fin")
            await stage.settle()
            #expect(stage.total.bytesReceived == 8 && stage.connection.readIsWaiting)
            stage.aio.drain(within: .seconds(20))
            try await stage.world.advance(by: .seconds(15))
            #expect(stage.connection.readIsWaiting)
            try await stage.peer.send("ished")
        }
    }
}
