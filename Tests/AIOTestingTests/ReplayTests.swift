// Recordings, made in a simulation through a recording proxy, and replayed: into the handler they were made with, however
// what the client sent arrives; and into handlers that are wrong, which are found, with the place.

import AIO
import AIOKernel
import AIORecording
import Testing

@testable import AIOTesting

/// Greets, answers each line in capitals, says goodbye when asked to or when the client ends.
@Sendable private func shout(_ connection: Connection) async throws {
    try await connection.write("220 ready\r\n")
    let hasQuit = try await connection.forEachLine { line in
        try await connection.write(Bytes(line.uppercased() + "\r\n"))
        return line != "quit"
    }
    if !hasQuit { try await connection.write("bye\r\n") }
}

/// The same, but for the error that it takes what one read brings for whole lines.
private func shoutByRead(_ connection: Connection) async throws {
    try await connection.write("220 ready\r\n")
    for try await bytes in connection.chunks {
        try await connection.write(Bytes(String(decoding: bytes, as: UTF8.self).uppercased()))
        if !bytes.starts(with: "one") && !bytes.starts(with: "two") { return }
    }
    try await connection.write("bye\r\n")
}

private actor Shout: ConnectionHandler {
    let connection: Connection
    private var text = ""
    init(_ connection: Connection) { self.connection = connection }

    func connected() async throws { try await connection.write("220 ready\r\n") }

    func dataReceived(_ bytes: Bytes) async throws {
        text += String(decoding: bytes, as: UTF8.self)
        while let end = text.firstIndex(of: "\r\n") {
            try await connection.write(Bytes(text[...end].uppercased()))
            text = String(text[text.index(after: end)...])
        }
    }

    func peerFinished() async throws { try await connection.write("bye\r\n") }
}

/// A conversation in which each side waits for the other, and the client ends first.
private func talk(_ peer: MockPeer, _ world: Simulation) async throws {
    try await peer.expect("220 ready\r\n")
    try await peer.send("one\r\n")
    try await peer.expect("ONE\r\n")
    try await peer.send("two\r\n")
    try await peer.send("three\r\n")
    peer.halfClose()
    try await peer.expect("TWO\r\nTHREE\r\nbye\r\n")
    try await peer.expectEnd()
}

/// The same, as a file has it.
private func conversation(_ change: (inout Recording) -> Void = { _ in }) throws -> Recording {
    var recording = try Recording(
        parsing: #"""
            aio-recording 1
            10 server "220 ready\r\n"
            20 client "one\r\n"
            30 server "ONE\r\n"
            2000040 client "two\r\n"
            2000050 client "three\r\n"
            2000060 server "TWO\r\n"
            + "THREE\r\n"
            7000070 client end
            7000080 server "bye\r\n"
            7000090 server end
            7000100 closed

            """#)
    change(&recording)
    return recording
}

@Suite struct ReplayTests {
    // MARK: Recordings that pass

    private static let arrivals: [Arrival] = [
        .asSent, .drawn, .together, .oneByteAtATime, .split(at: 3), .split(at: 7), .chaos,
    ]

    @Test(.simulated(seeds: 0..<100), arguments: arrivals)
    func `what was recorded in a simulation passes in the handler it was recorded with`(arrival: Arrival)
        async throws
    {
        let recording = try await record(serving: shout, talk)
        #expect(recording.isComplete)
        let report = try await withReplay(of: recording, arrival: arrival, serving: shout)
        #expect(report.received == "220 ready\r\nONE\r\nTWO\r\nTHREE\r\nbye\r\n")
        #expect(report.ending == .end)
        try await withReplay(of: recording, Shout.init, arrival: arrival)
    }

    @Test(.simulated(seeds: 0..<5)) func `it passes when it is split at every place`() async throws {
        try await withReplay(of: try conversation(), arrival: .everySplit, serving: shout)
        try await withReplay(of: try conversation(), Shout.init, arrival: .everySplit)
    }

    @Test(.simulated(seeds: 0..<30), arguments: arrivals)
    func `a reset by the client passes, also if the handler throws for it`(arrival: Arrival) async throws {
        let recording = try await record(serving: shout) { peer, world in
            try await peer.expect("220 ready\r\n")
            try await peer.send("one\r\n")
            try await peer.expect("ONE\r\n")
            try await peer.send("tw")
            await world.settle()
            peer.reset()
        }
        #expect(recording.events.last?.action == .reset && recording.events.last?.side == .client)
        let report = try await withReplay(of: recording, arrival: arrival, serving: shout)
        #expect(report.ending == .open)
        #expect(report.received == "220 ready\r\nONE\r\n")
        try await withReplay(of: recording, Shout.init, arrival: arrival)
    }

    @Test(.simulated(seeds: 0..<50)) func `before a client's reset comes all that it had sent`() async throws
    {
        let recording = try Recording(
            parsing: #"""
                aio-recording 1
                1 client "a"
                2 client "b"
                3 client reset
                4 closed

                """#)
        let heard = Heard()
        try await withReplay(of: recording, arrival: .drawn) { connection in
            for try await bytes in connection.chunks { heard.add(bytes) }
        }
        #expect(heard.bytes == "ab")
    }

    @Test(.simulated(seeds: 0..<50)) func `what the client said after the server's end is still said`()
        async throws
    {
        let recording = try Recording(
            parsing: #"""
                aio-recording 1
                1 server "a"
                2 server end
                3 client "b"
                4 client "c"
                5 client end
                6 closed

                """#)
        let heard = Heard()
        try await withReplay(of: recording, arrival: .drawn) { connection in
            try await connection.write("a")
            connection.finish()
            for try await bytes in connection.chunks { heard.add(bytes) }
        }
        #expect(heard.bytes == "bc")
    }

    @Test(.simulated(seeds: 0..<20)) func `a reset by the server passes in a handler that resets`()
        async throws
    {
        let abort: @Sendable (Connection) async throws -> Void = { connection in
            try await connection.write("220 ready\r\n")
            _ = try await connection.read()
            connection.abort()
        }
        let recording = try await record(serving: abort) { peer, _ in
            try await peer.expect("220 ready\r\n")
            try await peer.send("x")
            try await peer.expectReset()
        }
        #expect(recording.events.last?.action == .reset && recording.events.last?.side == .server)
        let report = try await withReplay(of: recording, arrival: .drawn, serving: abort)
        #expect(report.ending == .reset)
        let text = try await replayMismatch {
            try await withReplay(of: recording) { connection in
                try await connection.write("220 ready\r\n")
                _ = try await connection.read()
            }
        }
        #expect(text == "expected a reset after 11 bytes, as in the recording\nthe other side ended")
    }

    @Test(.simulated(seeds: 0..<40))
    func `an answer is recorded behind what it answers, also if that had to wait for room`() async throws {
        let byteCount = 20_000, perAnswer = 100
        var limits = ConnectionLimits()
        // A write waits until the one before has been taken by the kernel.
        (limits.lowWaterMark, limits.highWaterMark) = (0, 0)
        let recording = try await record(
            on: .global, limits: limits,
            serving: { connection in
                var received = 0, answers = 0
                for try await bytes in connection.chunks {
                    received += bytes.count
                    while (answers + 1) * perAnswer <= received {
                        try await connection.write(".")
                        answers += 1
                    }
                }
            }
        ) { peer, _ in
            try await peer.send(Bytes([UInt8](repeating: 120, count: byteCount)))
            peer.halfClose()
            let answers = try await peer.receiveToEnd()
            #expect(answers.count == byteCount / perAnswer)
        }
        var sent = 0, answers = 0
        for event in recording.events {
            guard case .bytes(let bytes) = event.action else { continue }
            if event.side == .client { sent += bytes.count } else { answers += bytes.count }
            #expect(answers * perAnswer <= sent)
        }
        #expect(sent == byteCount)
    }

    @Test(.simulated(seeds: 0..<50))
    func `a reset is recorded as that of the side that did it, also if a write meets it`() async throws {
        let recording = try await record(serving: { connection in
            _ = try await connection.read()
            connection.abort()
        }) { peer, _ in
            let block = Bytes([UInt8](repeating: 120, count: 10_000))
            while !peer.hasEnded { try await peer.send(block) }
        }
        #expect(recording.events.last?.side == .server && recording.events.last?.action == .reset)
    }

    @Test(.simulated(seeds: 0..<20))
    func `of a recording that was cut, what comes beyond it is not looked at`()
        async throws
    {
        let endings: [Recording.Ending?] = [
            nil, .init(microseconds: 3_000_000, .cut("full")),
            .init(microseconds: 3_000_000, .failed("idle")),
        ]
        for ending in endings {
            let cut = try conversation { recording in
                recording.events.removeLast(4)
                recording.events.append(.init(microseconds: 2_000_060, .server, .bytes("TWO\r\nTH")))
                recording.ending = ending
            }
            let report = try await withReplay(of: cut, serving: shout)
            #expect(report.received.starts(with: "220 ready\r\nONE\r\nTWO\r\nTH"))
        }
    }

    // MARK: Order and time

    @Test(.simulated(seeds: 0..<50))
    func `what the client said after it had heard something is not said before that has come`() async throws {
        let recording = try Recording(
            parsing: #"""
                aio-recording 1
                1 server "ab"
                2 client "x"
                3 server end
                4 client end
                5 closed

                """#)
        try await withReplay(of: recording, arrival: .drawn) { connection in
            let clock = try #require(connection.proactor?.clock)
            try await connection.write("a")
            try await clock.sleep(for: .seconds(10))
            #expect(connection.statistics.bytesReceived == 0)
            try await connection.write("b")
            #expect(try await connection.read() == "x")
            try await clock.sleep(for: .seconds(10))
            // Not ended by the client yet.
            await #expect(throws: AIOError.self) {
                try await connection.withTimeout(.seconds(5)) { _ = try await connection.read() }
            }
            connection.finish()
            #expect(try await connection.read() == nil)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `times are virtual where they are recorded, and can be kept`()
        async throws
    {
        let recording = try await record(serving: shout) { peer, world in
            try await peer.expect("220 ready\r\n")
            try await world.advance(by: .seconds(90))
            try await peer.send("quit\r\n")
            try await peer.expect("QUIT\r\n")
            try await peer.expectEnd()
            peer.halfClose()
        }
        let asked = try #require(recording.events.first { $0.side == .client })
        #expect((89_000_000...91_000_000).contains(asked.microseconds))
        let slow = try await withReplay(of: recording, timing: .asRecorded, serving: shout)
        #expect(slow.duration >= asked.time && slow.duration < asked.time + .seconds(1))
        let fast = try await withReplay(of: recording, serving: shout)
        #expect(fast.duration < .seconds(1))
    }

    @Test(.simulated()) func `a handler may take as long as the server did, and patience longer`()
        async throws
    {
        let recording = try Recording(
            parsing: #"""
                aio-recording 1
                1 client "x"
                500000000 server "slow"
                500000001 server end
                500000002 client end
                500000003 closed

                """#)
        for (seconds, passes) in [(400, true), (509, true), (511, false)] {
            let text = try await replayMismatch {
                try await withReplay(of: recording, patience: .seconds(10)) { connection in
                    _ = try await connection.read()
                    try await connection.proactor?.clock.sleep(for: .seconds(seconds))
                    try await connection.write("slow")
                }
            }
            #expect((text == nil) == passes)
            if !passes { #expect(text?.contains("nothing more came for") == true) }
        }
    }

    @Test func `the same seed makes the same recording, to the microsecond`() async throws {
        var recordings: [Recording] = []
        for seed in [1, 1, 2] as [UInt64] {
            recordings.append(
                try await Simulation(seed: seed).run { _ in try await record(serving: shout, talk) })
        }
        #expect(recordings[0] == recordings[1] && recordings[0] != recordings[2])
    }

    // MARK: Handlers that are wrong

    @Test func `a handler that takes a read for a line passes as it was sent, and is found otherwise`()
        async throws
    {
        let recording = try conversation { $0.events.removeAll { $0.action == .bytes("three\r\n") } }
        let shorter = try Recording(
            parsing: recording.text.replacing("+ \"THREE\\r\\n\"\n", with: ""))
        func finds(_ arrival: Arrival, _ seeds: Range<UInt64>) async throws -> Bool {
            for seed in seeds {
                let text = try await replayMismatch {
                    _ = try await Simulation(seed: seed).run { _ in
                        try await withReplay(of: shorter, arrival: arrival, serving: shoutByRead)
                    }
                }
                if text != nil { return true }
            }
            return false
        }
        #expect(try await !finds(.asSent, 0..<20))
        #expect(try await finds(.drawn, 0..<20))
        #expect(try await finds(.oneByteAtATime, 0..<1))
        #expect(try await finds(.everySplit, 0..<1))
        #expect(try await finds(.split(at: 2), 0..<1))
    }

    @Test(.simulated(seeds: 0..<10))
    func `a wrong byte is found, with its place in the stream and in the recording`()
        async throws
    {
        let recording = try conversation()
        let text = try await replayMismatch {
            try await withReplay(of: recording) { connection in
                try await connection.write("220 ready\r\n")
                for try await bytes in connection.chunks {
                    let text = String(decoding: bytes, as: UTF8.self).uppercased()
                    try await connection.write(Bytes(text.replacing("TWO", with: "TOO")))
                }
                try await connection.write("bye\r\n")
            }
        }
        let shown = try #require(text)
        #expect(shown.contains("in event 6 of the recording, at 2000060 µs:"))
        #expect(shown.contains(#"expected "220 ready\r\nONE\r\nTWO\r\nTHREE\r\nbye\r\n""#))
        #expect(shown.contains(#"got "220 ready\r\nONE\r\nTO"#))
        #expect(shown.contains("^ byte 17"))
    }

    @Test(.simulated(seeds: 0..<5)) func `too few bytes, too many, and an end that does not come are found`()
        async throws
    {
        let recording = try conversation()
        let returns: @Sendable (Connection) async throws -> Void = { _ in }
        let stays: @Sendable (Connection) async throws -> Void = { connection in
            try await connection.proactor?.clock.sleep(for: .seconds(200))
        }
        let resets: @Sendable (Connection) async throws -> Void = { connection in
            try await connection.proactor?.clock.sleep(for: .seconds(1))
            connection.abort()
        }
        let cases: [(last: Bytes, then: @Sendable (Connection) async throws -> Void, shows: [String])] = [
            (
                "", returns,
                ["in event 8 of the recording, at 7000080 µs:", "^ byte 28", "the other side ended"]
            ),
            ("by", stays, ["in event 8 of the recording", "^ byte 30", "nothing more came"]),
            ("bye\r\n!", returns, ["after all that the server sent in the recording:", "^ byte 33"]),
            (
                "bye\r\n", stays,
                ["expected the end after 33 bytes, as in the recording", "nothing more came"]
            ),
            ("bye\r\n", resets, ["expected the end after 33 bytes, as in the recording", "failed"]),
        ]
        for (last, then, shows) in cases {
            let text = try await replayMismatch {
                try await withReplay(of: recording) { connection in
                    try await connection.write("220 ready\r\n")
                    for try await bytes in connection.chunks {
                        try await connection.write(Bytes(String(decoding: bytes, as: UTF8.self).uppercased()))
                    }
                    try await connection.write(last)
                    try await then(connection)
                }
            }
            for part in shows { #expect(text?.contains(part) == true, "\(part) in \(text ?? "nothing")") }
        }
    }

    @Test(.simulated()) func `a handler that waits for what the recording does not have is told of`()
        async throws
    {
        let recording = try conversation()
        let text = try await replayMismatch {
            try await withReplay(of: recording) { connection in
                // Does not greet.
                _ = try await connection.read()
                try await connection.write("220 ready\r\n")
            }
        }
        #expect(text?.contains("in event 1 of the recording, at 10 µs:") == true)
        #expect(text?.contains("nothing more came for") == true)
    }

    @Test(.simulated()) func `what the handler throws fails the replay`() async throws {
        struct Broken: Error {}
        let recording = try conversation()
        let error = await #expect(throws: SimulationError.self) {
            try await withReplay(of: recording, expecting: .anything) { _ in throw Broken() }
        }
        #expect(error?.description.contains("Broken") == true)
    }

    // MARK: Other expectations

    @Test(.simulated(seeds: 0..<20))
    func `with any expectation the client's side is played, and what came is returned`()
        async throws
    {
        let heard = Heard()
        let report = try await withReplay(of: try conversation(), expecting: .anything) { connection in
            for try await bytes in connection.chunks { heard.add(bytes) }
            try await connection.write("something else, and longer than anything in the recording")
        }
        #expect(heard.bytes == "one\r\ntwo\r\nthree\r\n")
        #expect(report.received == "something else, and longer than anything in the recording")
        #expect(report.ending == .end)
    }

    @Test(.simulated(seeds: 0..<20)) func `a closure compares what is never the same`() async throws {
        let recording = try Recording(
            parsing: #"""
                aio-recording 1
                1 client "time?\r\n"
                2 server "it is 10:00\r\n"
                3 server end
                4 client end
                5 closed

                """#)
        @Sendable func isTime(_ bytes: Bytes) -> Bool { bytes.starts(with: "it is ") && bytes.count == 13 }
        func replay(_ answer: Bytes, resets: Bool = false) async throws -> String? {
            try await replayMismatch {
                try await withReplay(
                    of: recording, expecting: .matching { isTime($0) && isTime($1) }, arrival: .drawn
                ) { connection in
                    _ = try await connection.read(exactly: 7)
                    try await connection.write(answer)
                    if resets {
                        try await connection.proactor?.clock.sleep(for: .seconds(1))
                        connection.abort()
                    }
                }
            }
        }
        #expect(try await replay("it is 23:59\r\n") == nil)
        let reset = try await replay("it is 23:59\r\n", resets: true)
        #expect(reset?.contains("expected the end after 13 bytes, as in the recording") == true)
        let wrong = try await replay("it is late\r\n")
        #expect(wrong?.contains("what came does not match what the server sent in the recording") == true)
        #expect(wrong?.contains("^ byte 6") == true)
    }

    // MARK: The real world

    @Test(.timeLimit(.minutes(20))) func `a conversation over a real network is replayed in the simulation`()
        async throws
    {
        let recorder = ConnectionRecorder()
        try await withProactor { aio in
            let origin = try await aio.listen(on: "127.0.0.1:0"),
                proxy = try await aio.listen(on: "127.0.0.1:0")
            let target = origin.endpoint
            async let served = origin.serve(shout)
            async let proxied = proxy.serve { client in
                try await aio.connect(to: target) { _ = try await recordingRelay(client, $0, into: recorder) }
            }
            try await aio.connect(to: proxy.endpoint) { connection in
                #expect(try await connection.read(exactly: 11) == "220 ready\r\n")
                try await connection.write("one\r\ntwo\r\n")
                #expect(try await connection.read(exactly: 10) == "ONE\r\nTWO\r\n")
                try await connection.write("quit\r\n")
                #expect(try await connection.readAll(atMost: 100) == "QUIT\r\n")
            }
            for server in [proxy, origin] { server.drain() }
            _ = try await (proxied, served)
        }
        let recording = try Recording(parsing: #require(recorder.recording).text)
        #expect(recording.isComplete)
        for seed in 0..<20 as Range<UInt64> {
            _ = try await Simulation(seed: seed).run { _ in
                try await withReplay(of: recording, arrival: .drawn, serving: shout)
            }
        }
    }
}
