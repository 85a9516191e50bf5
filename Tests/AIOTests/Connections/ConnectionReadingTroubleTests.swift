// Straight-line reads when something is in their way: resets, ends of this side, other readers, full windows,
// silence.

import AIO
import Testing

extension Loopback {
    @Suite struct ConnectionReadingTroubleTests {
        @Test(arguments: HandlerExecutor.all)
        func `bytes that came before a reset are read, then it is thrown`(_ executor: HandlerExecutor)
            async throws
        {
            try await serving(.testing(executor)) { connection async throws in
                #expect(try await connection.closed() == .reset)
                #expect(try await connection.read(atMost: 2) == "ab")
                #expect(try await connection.read() == "cde")
                for _ in 0..<2 {
                    #expect(await code { _ = try await connection.read() } == .connectionReset)
                    #expect(await code { _ = try await connection.read(exactly: 1) } == .connectionReset)
                    #expect(await code { _ = try await connection.peek() } == .connectionReset)
                    #expect(await code { _ = try await connection.readAll(atMost: 1) } == .connectionReset)
                }
            } peer: { peer, aio in
                try peer.send("abcde")
                #expect(await eventually { aio.statistics.total.bytesReceived == 5 })
                peer.reset()
            }
        }

        @Test(arguments: HandlerExecutor.all)
        func `a reset ends a read that waits`(_ executor: HandlerExecutor) async throws {
            let waiting = Promise<Connection>()
            let error = try await serving(.testing(executor)) { connection in
                waiting.put(connection)
                return await code { _ = try await connection.read() }
            } peer: { peer, _ in
                let connection = await waiting.value()
                #expect(await eventually { connection.readIsWaiting })
                peer.reset()
            }
            #expect(error == .connectionReset)
        }

        @Test func `what a reset cut short is not all that readAll was to read`() async throws {
            try await serving { connection async throws in
                #expect(await code { _ = try await connection.readAll(atMost: 100) } == .connectionReset)
                #expect(await code { _ = try await connection.read(exactly: 10) } == .connectionReset)
                #expect(try await connection.read() == "half")
                #expect(await code { _ = try await connection.read() } == .connectionReset)
            } peer: { peer, aio in
                try peer.send("half")
                #expect(await eventually { aio.statistics.total.bytesReceived == 4 })
                peer.reset()
            }
        }

        @Test(arguments: HandlerExecutor.all)
        func `a second read while one waits is an error, and the first is not disturbed`(
            _ executor: HandlerExecutor
        ) async throws {
            let ready = Promise<Connection>()
            let first = try await serving(.testing(executor)) { connection in
                ready.put(connection)
                return try await connection.read()
            } peer: { peer, _ in
                let connection = await ready.value()
                #expect(await eventually { connection.readIsWaiting })
                #expect(await code { _ = try await connection.read() } == .misuse)
                #expect(await code { _ = try await connection.read(exactly: 1) } == .misuse)
                #expect(await code { _ = try await connection.readAll(atMost: 1) } == .misuse)
                #expect(await code { _ = try await connection.peek() } == .misuse)
                #expect(await code { for try await _ in connection.chunks {} } == .misuse)
                #expect(connection.readIsWaiting)
                try peer.send("for the first")
            }
            #expect(first == "for the first")
        }

        @Test func `connections of the event stream cannot be read, and lose nothing by the attempt`()
            async throws
        {
            try await withProactor(.testing()) { aio in
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
                #expect(await eventually { aio.statistics.total.bytesReceived == 14 })
                await expectMisuse()
                #expect(
                    try await aio.first { if case .received(let bytes, _) = $0 { bytes } else { nil } }
                        == "for the stream")
                // and at the end.
                pair.client.finish()
                try await aio.run { if case .peerHalfClosed(pair.server) = $0 { true } else { false } }
                await expectMisuse()
            }
        }

        @Test func `one task reads while another writes`() async throws {
            let total = isSanitized ? 2 << 20 : 16 << 20
            let count = try await serving { connection in
                async let read = {
                    var position = 0
                    for try await chunk in connection.chunks {
                        guard Pattern.matches(chunk, at: position) else {
                            throw PatternBroken(position: position)
                        }
                        position += chunk.count
                    }
                    return position
                }()
                for position in stride(from: 0, to: total, by: 1 << 16) {
                    try await connection.write(Pattern.bytes(at: position, count: 1 << 16))
                }
                connection.finish()
                return try await read
            } peer: { peer, _ in
                async let received = peer.receivePattern()
                try await peer.sendPattern(total)
                peer.finish()
                #expect(try await received == total)
            }
            #expect(count == total)
        }

        @Test(arguments: HandlerExecutor.all)
        func `a handler that does not read stops the peer, and gets everything later`(
            _ executor: HandlerExecutor
        ) async throws {
            let window = 50_000
            let mayRead = Promise<Void>()
            let pushed = Promise<Int>()
            let read = try await serving(.testing(executor) { $0.receiveWindow = window }) { connection in
                await mayRead.value()
                var count = 0
                for try await chunk in connection.chunks { count += chunk.count }
                return count
            } peer: { peer, aio in
                let count = try await onThread { try peer.push(upTo: 256 << 20) }
                pushed.put(count)
                #expect(count < 128 << 20, "the peer was stopped")
                let total = aio.statistics.total
                #expect(total.bytesReceived == UInt64(window))
                #expect(total.readPauses >= 1)
                #expect(total.slabsInUse <= 4)
                mayRead.put(())
                peer.finish()
            }
            #expect(await read == pushed.value())
        }

        @Test(arguments: HandlerExecutor.all)
        func `a read that waits ends with the idle timeout`(_ executor: HandlerExecutor) async throws {
            try await serving(.testing(executor) { $0.idleTimeout = .milliseconds(100) }) {
                connection async throws in
                #expect(try await connection.read() == "x")
                #expect(await code { _ = try await connection.read() } == .timedOut)
                #expect(await code { _ = try await connection.read(exactly: 2) } == .timedOut)
                #expect(try await connection.closed() == .idle)
            } peer: { peer, _ in
                try peer.send("x")
                _ = try await onThread { try peer.receiveToEnd() }
            }
        }

        @Test func `a read that waits ends when another task closes the connection`() async throws {
            for isAbort in [false, true] {
                let ready = Promise<Connection>()
                let error = try await serving { connection in
                    ready.put(connection)
                    return await code { _ = try await connection.read() }
                } peer: { peer, _ in
                    let connection = await ready.value()
                    #expect(await eventually { connection.readIsWaiting })
                    if isAbort { connection.abort() } else { connection.close() }
                }
                #expect(error == .closed)
            }
        }

        @Test func `a server that drains ends a read that waits, but not one in the middle of something`()
            async throws
        {
            let ready = Promise<Connection>()
            try await serving { connection async throws in
                #expect(try await connection.read() == "begun")
                ready.put(connection)
                #expect(try await connection.read(exactly: 8) == "finished")
                #expect(try await connection.read() == nil)
            } peer: { peer, aio in
                try peer.send("begun")
                let connection = await ready.value()
                try peer.send("fin")
                #expect(
                    await eventually { aio.statistics.total.bytesReceived == 8 && connection.readIsWaiting })
                aio.drain(within: .seconds(20))
                await connection.worker {}
                #expect(connection.readIsWaiting)
                try peer.send("ished")
            }
        }
    }
}
