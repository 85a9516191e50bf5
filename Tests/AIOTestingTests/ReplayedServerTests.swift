// Recordings replayed the other way round: the server's side, into a client under test.

import AIO
import AIOKernel
import AIORecording
import AIOTesting
import Testing

/// Reads a line, to its end.
private func line(_ connection: Connection) async throws -> Bytes? {
    var count = 1
    while let seen = try await connection.peek(atLeast: count) {
        if let end = seen.firstIndex(of: 10) {
            return try await connection.read(exactly: end - seen.startIndex + 1)
        }
        if seen.count < count { return nil }
        count = seen.count + 1
    }
    return nil
}

/// Logs in, and asks for something that it has been told.
@Sendable private func ask(_ aio: Proactor, _ endpoint: Endpoint) async throws {
    try await aio.connect(to: endpoint) { connection in
        guard let greeting = try await line(connection) else { return }
        try await connection.write("re: \(greeting)")
        guard let answer = try await line(connection) else { return }
        try await connection.write("and: \(answer)")
        connection.finish()
        while try await connection.read() != nil {}
    }
}

/// The same, but for the error that it takes what one read brings for a line.
@Sendable private func askByRead(_ aio: Proactor, _ endpoint: Endpoint) async throws {
    try await aio.connect(to: endpoint) { connection in
        guard let greeting = try await connection.read() else { return }
        try await connection.write("re: \(greeting)")
        guard let answer = try await connection.read() else { return }
        try await connection.write("and: \(answer)")
        connection.finish()
        while try await connection.read() != nil {}
    }
}

@Suite struct ReplayedServerTests {
    private let conversation = """
        aio-recording 1
        1 server "hello 4711\\r\\n"
        20 client "re: hello 4711\\r\\n"
        30 server "fine\\r\\n"
        40 client "and: fine\\r\\n"
        41 client end
        50 server "bye"
        51 server end
        52 closed

        """

    private func recording(_ change: (String) -> String = { $0 }) throws -> Recording {
        try Recording(parsing: change(conversation))
    }

    @Test(
        .simulated(seeds: 0..<30),
        arguments: [.asSent, .drawn, .together, .oneByteAtATime, .split(at: 3), .everySplit, .chaos]
            as [Arrival])
    func `a client passes that does what it did, however what the server sends arrives`(arrival: Arrival)
        async throws
    {
        let report = try await withReplayedServer(of: try recording(), arrival: arrival, ask)
        #expect(report.received == "re: hello 4711\r\nand: fine\r\n" && report.ending == .end)
    }

    @Test func `a client that takes a read for a line passes as it was sent, and is found otherwise`()
        async throws
    {
        let recording = try recording()
        func finds(_ arrival: Arrival, _ seeds: Range<UInt64>) async throws -> Bool {
            for seed in seeds {
                let text = try await replayMismatch {
                    _ = try await Simulation(seed: seed).run { _ in
                        try await withReplayedServer(of: recording, arrival: arrival, askByRead)
                    }
                }
                if text != nil { return true }
            }
            return false
        }
        #expect(try await !finds(.asSent, 0..<20))
        #expect(try await finds(.drawn, 0..<20))
        #expect(try await finds(.everySplit, 0..<1))
    }

    @Test(.simulated(seeds: 0..<10)) func `what the client does otherwise is found, with the place`()
        async throws
    {
        let recording = try recording { $0.replacing("re: hello 4711", with: "re: hello 4712") }
        let text = try await replayMismatch { try await withReplayedServer(of: recording, ask) }
        #expect(text?.contains("in event 2 of the recording, at 20 µs:") == true)
        #expect(text?.contains("^ byte 13") == true)
    }

    @Test(.simulated(seeds: 0..<30)) func `an answer does not come before the client has asked`() async throws
    {
        try await withReplayedServer(of: try recording(), arrival: .drawn) { aio, endpoint in
            try await aio.connect(to: endpoint) { connection in
                #expect(try await line(connection) == "hello 4711\r\n")
                try await connection.write("re: hello 47")
                try await aio.clock.sleep(for: .seconds(10))
                #expect(connection.statistics.unreadByteCount == 0)
                try await connection.write("11\r\n")
                #expect(try await line(connection) == "fine\r\n")
                try await connection.write("and: fine\r\n")
                connection.finish()
                #expect(try await connection.readAll(atMost: 10) == "bye")
            }
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `a reset by the server passes in a client that throws for it`()
        async throws
    {
        let recording = try Recording(
            parsing: """
                aio-recording 1
                1 server "hello 4711\\r\\n"
                20 client "re: hello 4711\\r\\n"
                30 server reset
                31 closed

                """)
        try await withReplayedServer(of: recording) { aio, endpoint in
            try await aio.connect(to: endpoint) { connection in
                let greeting = try #require(try await line(connection))
                try await connection.write("re: \(greeting)")
                let error = await #expect(throws: AIOError.self) { try await connection.read() }
                if let error { throw error }
            }
        }
    }

    @Test(.simulated(seeds: 0..<5)) func `a client that does not connect is told of, or tells why`()
        async throws
    {
        struct Its: Error {}
        let recording = try recording()
        let error = await #expect(throws: SimulationError.self) {
            try await withReplayedServer(of: recording) { _, _ in }
        }
        #expect(error?.description.contains("the client to connect: not within") == true)
        await #expect(throws: Its.self) {
            try await withReplayedServer(of: recording) { _, _ in throw Its() }
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `what a client recorded of itself it passes again`() async throws {
        let recorder = ConnectionRecorder()
        let client: @Sendable (Proactor, Endpoint, ConnectionRecorder) async throws -> Void = {
            aio, endpoint, recorder in
            try await aio.connect(to: endpoint) { connection in
                try await recorder.record(connection) { connection in
                    for word in ["one", "two"] as [Bytes] {
                        try await connection.write(word)
                        #expect(try await connection.read(exactly: 3) == word)
                    }
                    connection.finish()
                    #expect(try await connection.read() == nil)
                }
            }
        }
        try await withSimulation { world in
            world.host("echo").run { aio in
                try await aio.serve(on: "*:7") { connection in
                    for try await bytes in connection.chunks { try await connection.write(bytes) }
                }
            }
            try await world.advance(by: .milliseconds(1))
            try await world.host("client").withProactor { aio in
                try await client(aio, Endpoint(parsing: "echo:7"), recorder)
            }
        }
        let recording = try #require(recorder.recording)
        #expect(recording.server?.port == 7 && recording.isComplete)
        try await withReplayedServer(of: recording, arrival: .drawn) { aio, endpoint in
            try await client(aio, endpoint, ConnectionRecorder())
        }
    }
}
