// Recording in the handler itself: what passes through a RecordedConnection, over real sockets.

import AIO
import AIOKernel
import AIORecording
import Testing

@Suite(.timeLimit(.minutes(20))) struct RecordedConnectionTests {
    /// Serves one connection with a handler that records, and runs a client against it.
    private func recorded(
        limits: ConnectionLimits = ConnectionLimits(),
        serving handler: @escaping @Sendable (RecordedConnection) async throws -> Void,
        _ client: (Connection) async throws -> Void
    ) async throws -> Recording {
        let recorder = ConnectionRecorder()
        try await withProactor { aio in
            var options = ServerOptions()
            options.connection = limits
            let server = try await aio.listen(on: "127.0.0.1:0", options: options)
            async let served = server.serve { connection in
                // What it throws is the test's own.
                try? await recorder.record(connection, handler)
            }
            try await aio.connect(to: server.endpoint) { try await client($0) }
            server.drain(within: .seconds(20))
            _ = try await served
        }
        return try #require(recorder.recording)
    }

    @Test func `all ways to read and to write are recorded, and nothing twice`() async throws {
        let recording = try await recorded { connection in
            try await connection.write("a")
            #expect(try await connection.peek(atLeast: 2) == "12")
            #expect(try await connection.read(exactly: 2) == "12")
            try await connection.write(["b", "c"])
            #expect(try await connection.read(atMost: 1) == "3")
            #expect(connection.send("d") == .queued(pending: 1))
            for try await bytes in connection.chunks {
                #expect(bytes == "4")
                break
            }
            connection.send(["e", "f"])
            try await connection.flush()
            #expect(try await connection.readAll(atMost: 10) == "56")
            connection.finish()
            #expect(connection.send("refused") == .refused(.closed))
        } _: { client in
            for (word, answer) in [("12", "a"), ("3", "bc"), ("4", "d"), ("56", "ef")] as [(Bytes, Bytes)] {
                #expect(try await client.read(exactly: answer.count) == answer)
                try await client.write(word)
            }
            client.finish()
            #expect(try await client.read() == nil)
        }
        #expect(
            recording.story == [
                #"server "a""#, #"client "12""#, #"server "bc""#, #"client "3""#, #"server "d""#,
                #"client "4""#,
                #"server "ef""#, #"client "56""#, "client end", "server end",
            ])
        #expect(recording.isComplete)
        #expect(recording.server?.port != nil && recording.client?.port != recording.server?.port)
    }

    @Test func `this side is the client of a connection that it made`() async throws {
        let recorder = ConnectionRecorder()
        try await withProactor { aio in
            let server = try await aio.listen(on: "127.0.0.1:0")
            async let served = server.serve { try await $0.write("hello") }
            try await aio.connect(to: server.endpoint) { connection in
                try await recorder.record(connection) { connection in
                    try await connection.write("x")
                    #expect(try await connection.readAll(atMost: 10) == "hello")
                }
            }
            server.drain(within: .seconds(20))
            _ = try await served
            #expect(recorder.recording?.server == server.endpoint)
        }
        // The server did not wait for the client, and may have been first.
        let story = try #require(recorder.recording).story
        #expect(story.contains(#"client "x""#) && story.contains(#"server "hello""#))
        #expect(story.suffix(2) == ["server end", "client end"])
    }

    @Test
    func
        `a handler that returns ends its side, one that aborts resets it, and so does one that is cancelled`()
        async throws
    {
        let returns = try await recorded {
            try await $0.write("a")
        } _: {
            _ = try await $0.readAll(atMost: 10)
        }
        #expect(returns.story == [#"server "a""#, "server end"])
        let aborts = try await recorded {
            $0.abort()
        } _: {
            _ = try? await $0.read()
        }
        #expect(aborts.story == ["server reset"])
        let closes = try await recorded { connection in
            connection.close()
            await #expect(throws: AIOError.self) { try await connection.read() }
        } _: {
            _ = try await $0.read()
        }
        #expect(closes.story == ["server end"])
        let isCancelled = try await recorded { _ in
            throw CancellationError()
        } _: {
            _ = try? await $0.read()
        }
        #expect(isCancelled.story == ["server reset"])
        for recording in [returns, aborts, closes, isCancelled] { #expect(recording.isComplete) }
    }

    @Test func `a reset by the client is recorded where the handler meets it`() async throws {
        let recording = try await recorded { connection in
            try await connection.write("a")
            await #expect(throws: AIOError.self) { try await connection.read() }
        } _: { client in
            let answer = try await client.read()
            #expect(answer == "a")
            client.abort()
        }
        #expect(recording.story == [#"server "a""#, "client reset"] && recording.isComplete)
    }

    @Test func `a timeout is neither side's doing`() async throws {
        var limits = ConnectionLimits()
        limits.idleTimeout = .milliseconds(20)
        let recording = try await recorded(limits: limits) { connection in
            await #expect(throws: AIOError.self) { try await connection.read() }
        } _: {
            _ = try? await $0.read()
        }
        #expect(recording.story.isEmpty)
        #expect(recording.ending?.kind == .failed("client: timedOut: read(the connection was idle)"))
    }

    @Test func `what the program did wrong is not recorded`() async throws {
        let recording = try await recorded { connection in
            await #expect(throws: AIOError.self) { try await connection.read(atMost: 0) }
            await #expect(throws: AIOError.self) { try await connection.readAll(atMost: 2) }
            await #expect(throws: AIOError.self) { try await connection.read(exactly: 4) }
            let all = try await connection.readAll(atMost: 10)
            #expect(all == "123")
        } _: { client in
            try await client.write("123")
            client.finish()
            _ = try await client.read()
        }
        #expect(recording.story == [#"client "123""#, "client end", "server end"] && recording.isComplete)
    }

    @Test func `what send refuses is not recorded`() async throws {
        var limits = ConnectionLimits()
        (limits.lowWaterMark, limits.highWaterMark, limits.outboundByteCountMax) = (1, 1, 1)
        limits.whenOutboundIsFull = .refuse
        let recording = try await recorded(limits: limits) { connection in
            // Nothing is written before the handler waits.
            #expect(connection.send("ab") == .aboveMark(pending: 2))
            #expect(connection.send("cd") == .refused(.queueFull))
        } _: { client in
            let all = try await client.readAll(atMost: 10)
            #expect(all == "ab")
        }
        #expect(recording.story == [#"server "ab""#, "server end"])
    }

    @Test func `a write that is cancelled was not sent, and so the recording ends there`() async throws {
        var limits = ConnectionLimits()
        (limits.lowWaterMark, limits.highWaterMark) = (0, 0)
        let recording = try await recorded(limits: limits) { connection in
            let block = Bytes([UInt8](repeating: 97, count: 1 << 20))
            await #expect(throws: CancellationError.self) {
                try await withThrowingTaskGroup { group in
                    // More than the sockets hold, and nobody reads.
                    group.addTask { while true { try await connection.write(block) } }
                    while connection.connection.pendingByteCount == 0 { await Task.yield() }
                    group.cancelAll()
                    try await group.waitForAll()
                }
            }
            connection.connection.abort()
        } _: { client in
            _ = try await client.closed()
        }
        #expect(recording.ending?.kind == .cut("a write was cancelled"))
    }
}
