// Frames, filters and switches in mid-stream, on the production engine in simulation: every split, every executor, order of replies,
// limits and deadlines.

import AIOTesting
import Testing

@testable import AIO
@testable import AIOFraming
@testable import AIOWorkers

private func options(
    _ framing: Framing = .raw, filter: FrameFilter? = nil, _ executor: HandlerExecutor = .worker,
    _ change: (inout ConnectionLimits) -> Void = { _ in }
) -> ServerOptions {
    var options = ServerOptions()
    options.framing = framing
    options.filter = filter
    options.executor = executor
    var limits = ConnectionLimits()
    change(&limits)
    options.connection = limits
    return options
}

@Suite struct FramesTests {
    // MARK: Reading

    @Test(arguments: HandlerExecutor.all) func `lines are handed out whole, wherever the bytes are split`(
        _ executor: HandlerExecutor
    ) async throws {
        try await withMockPeer(
            options: options(.lines(), executor), arrival: .everySplit,
            serving: { connection in
                for try await line in connection.lines { try await connection.write("<\(line)>") }
            }
        ) { peer in
            try await peer.send("one\r\n\r\ntwo\nth")
            try await peer.send("ree\r\nrest")
            try await peer.expect("<one><><two><three>")
            peer.halfClose()
            try await peer.expect("<rest>")
            try await peer.expectEnd()
        }
    }

    @Test(.simulated(seeds: 0..<100)) func `lines in chaos, asked for without options`() async throws {
        try await withMockPeer(
            arrival: .chaos,
            serving: { connection in
                for try await line in connection.lines { try await connection.write("\(line);") }
            }
        ) { peer in
            for number in 0..<20 { try await peer.send("line \(number)\n") }
            try await peer.expect(Bytes((0..<20).map { "line \($0);" }.joined()))
            peer.halfClose()
            try await peer.expectEnd()
        }
    }

    @Test(arguments: HandlerExecutor.all)
    func `a handler switches to raw bytes and back wherever it likes, and nothing is lost`(
        _ executor: HandlerExecutor
    ) async throws {
        let log = Log<Bytes>()
        try await withMockPeer(
            options: options(.lines(), executor), arrival: .everySplit,
            serving: { connection in
                while let line = try await connection.read() {
                    log.add(line)
                    guard line.starts(with: "DATA".utf8) else { continue }
                    try connection.frame(by: .raw)
                    log.add(try await connection.read(exactly: 5) ?? "none")
                    try connection.frame(by: .lines())
                }
            }
        ) { peer in
            log.removeAll()
            try await peer.send("a\nDATA\n\n2\n\n5last\nDATA\n12345b\n")
            peer.halfClose()
            try await peer.expectEnd()
            #expect(log.values == ["a", "DATA", "\n2\n\n5", "last", "DATA", "12345", "b"])
        }
    }

    @Test func `a body up to a delimiter comes in pieces, and what follows is cut as before`() async throws {
        let log = Log<Bytes>()
        try await withMockPeer(
            options: options(.lines()), arrival: .everySplit,
            serving: { connection in
                while let line = try await connection.read() {
                    log.add(line)
                    guard line == "DATA" else { continue }
                    var body = ""
                    try await connection.withStream(until: "\r\n.\r\n", byteCountMax: 1_000) { pieces in
                        for try await piece in pieces { body += String(decoding: piece, as: UTF8.self) }
                    }
                    log.add(Bytes(body))
                }
            }
        ) { peer in
            log.removeAll()
            try await peer.send("DATA\r\nx\r\n\r\n.\r.\r\r\n.\r\nQUIT\r\n")
            peer.halfClose()
            try await peer.expectEnd()
            #expect(log.values == ["DATA", "x\r\n\r\n.\r.\r", "QUIT"])
        }
    }

    @Test(.simulated(seeds: 0..<50)) func `a frame may be larger than the receive window`() async throws {
        let frame = String(repeating: "x", count: 3_000)
        try await withMockPeer(
            options: options(.lengthPrefixed(byteCount: 2, byteCountMax: 5_000)) { $0.receiveWindow = 100 },
            arrival: .drawn,
            serving: { connection in
                for try await frame in connection.chunks { try await connection.write("\(frame.count);") }
            }
        ) { peer in
            for count in [3_000, 0, 1, 2_999] {
                let length: Bytes = Bytes([UInt8(count >> 8), UInt8(count & 255)])
                try await peer.send(Bytes(joining: [length, Bytes(String(frame.prefix(count)))]))
            }
            try await peer.expect("3000;0;1;2999;")
            peer.halfClose()
            try await peer.expectEnd()
        }
    }

    // MARK: What cannot be cut

    @Test(.simulated(seeds: 0..<30))
    func `a line that is too long is answered behind the others, and closes`()
        async throws
    {
        try await withMockPeer(
            options: options(.lines(byteCountMax: 10, overlong: .reply("too long\r\n"))),
            serving: { connection in
                do {
                    for try await line in connection.lines { try await connection.write("\(line)!") }
                } catch let error as AIOError { #expect(error.code == .frameTooLong) }
                guard case .failed(let error) = try await connection.closed() else {
                    Issue.record("closed for another reason")
                    return
                }
                #expect(error.code == .frameTooLong)
            }
        ) { peer in
            try await peer.send("fine\n12345678901\nnever seen\n")
            try await peer.expect("fine!too long\r\n")
            try await peer.expectEnd()
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `a stream that ends in the middle of a frame is an error`()
        async throws
    {
        try await withMockPeer(
            options: options(.netstrings()),
            serving: { connection in
                let hello = try await connection.read()
                #expect(hello == "hello")
                let error = await #expect(throws: AIOError.self) { try await connection.read() }
                #expect(error?.code == .malformedFrame)
            }
        ) { peer in
            try await peer.send("5:hello,3:ab")
            peer.halfClose()
            try await peer.expectEnd()
        }
    }

    @Test(.simulated(seeds: 0..<30))
    func `a peer that drips a byte a second is cut when its line should be whole`()
        async throws
    {
        try await withSimulation { world in
            try await withMockPeer(
                options: options(.lines()) { $0.frameTimeout = .seconds(20) },
                serving: { connection in
                    let error = await #expect(throws: AIOError.self) { try await connection.read() }
                    #expect(error?.code == .timedOut)
                }
            ) { peer in
                let start = world.clock.now
                while !peer.hasEnded {
                    try await peer.send("x")
                    try await world.clock.sleep(for: .seconds(1))
                }
                let passed = start.duration(to: world.clock.now)
                #expect(passed >= .seconds(20) && passed <= .seconds(22))
            }
        }
    }

    @Test(.simulated(seeds: 0..<10)) func `whole lines in time keep a connection for as long as they come`()
        async throws
    {
        try await withSimulation { world in
            try await withMockPeer(
                options: options(.lines()) { $0.frameTimeout = .seconds(20) },
                serving: { for try await line in $0.lines { #expect(line == "xx") } }
            ) { peer in
                for _ in 0..<20 {
                    try await peer.send("x")
                    try await world.clock.sleep(for: .seconds(15))
                    try await peer.send("x\n")
                }
                #expect(!peer.hasEnded)
            }
        }
    }

    // MARK: Filters

    private static let verbs = try! FrameFilter(
        judging: .everyFrame, otherwise: .reply("500 unknown\n"),
        rules: [
            .pass(.anyOf(["EHLO", "NOOP"], as: .word, ignoringCase: true)),
            .drop(.exactly("")), .replyAndClose("221 bye\n", to: .word("QUIT")),
        ])

    @Test(arguments: HandlerExecutor.all) func `answers of a filter keep their place among the handler's`(
        _ executor: HandlerExecutor
    ) async throws {
        let log = Log<Bytes>()
        try await withMockPeer(
            options: options(.lines(), filter: Self.verbs, executor), arrival: .everySplit,
            serving: { connection in
                for try await line in connection.lines {
                    log.add(line)
                    try await connection.write("250 \(line)\n")
                }
            }
        ) { peer in
            log.removeAll()
            try await peer.send("EHLO a\nBOGUS\n\nnoop\nBAD\nQUIT\nNOOP\n")
            try await peer.expect("250 EHLO a\n500 unknown\n250 noop\n500 unknown\n221 bye\n")
            try await peer.expectEnd()
            #expect(log.values == ["EHLO a", "noop"])
        }
    }

    @Test(.simulated(seeds: 0..<100)) func `the same under many schedules and arrivals`() async throws {
        try await withMockPeer(
            options: options(.lines(), filter: Self.verbs), arrival: .chaos,
            serving: { connection in
                for try await line in connection.lines { try await connection.write("250 \(line)\n") }
            }
        ) { peer in
            try await peer.send("EHLO a\nBOGUS\n\nnoop\nBAD\nQUIT\nNOOP\n")
            try await peer.expect("250 EHLO a\n500 unknown\n250 noop\n500 unknown\n221 bye\n")
            try await peer.expectEnd()
        }
    }

    @Test(.simulated(seeds: 0..<20))
    func `a flood of frames that are answered is read no faster than answers leave`()
        async throws
    {
        try await withMockPeer(
            options: options(.lines(), filter: Self.verbs),
            serving: { connection in while let _ = try? await connection.read() {} }
        ) { peer in
            try await peer.expectBackpressure(atMost: 400_000, sending: "BOGUS\n")
            peer.resume()
            try await peer.send("EHLO\n")
            peer.reset()
        }
    }

    @Test(.simulated(seeds: 0..<20))
    func `a switched framing is not filtered, and the one before is again afterwards`()
        async throws
    {
        try await withMockPeer(
            options: options(.lines(), filter: Self.verbs),
            serving: { connection in
                for try await line in connection.lines {
                    try await connection.write("250 \(line)\n")
                    try await connection.withFraming(.lines()) { frames in
                        for try await line in frames {
                            if line == "." { break }
                            try await connection.write("> \(line)\n")
                        }
                    }
                }
            }
        ) { peer in
            try await peer.send("NOOP\nBOGUS\n.\nBOGUS\n")
            try await peer.expect("250 NOOP\n> BOGUS\n500 unknown\n")
        }
    }

    // MARK: Handlers and events

    private actor Mailbox: LineHandler {
        let connection: Connection
        private var wanted = 0
        init(_ connection: Connection) { self.connection = connection }

        func lineReceived(_ line: Bytes) async throws {
            if line.starts(with: "RAW ".utf8) {
                wanted = Int(String(decoding: line.dropFirst(4), as: UTF8.self)) ?? 0
                try setRawMode()
            } else {
                try await connection.write("<\(line)>")
            }
        }

        func rawReceived(_ bytes: Bytes) async throws {
            let taken = bytes.prefix(wanted)
            wanted -= taken.count
            try await connection.write("[\(taken.count)]")
            if wanted == 0 { try setLineMode(unread: bytes[taken.endIndex...]) }
        }
    }

    @Test(.simulated(seeds: 0..<50)) func `a line handler is called with lines, and with bytes in raw mode`()
        async throws
    {
        try await withMockPeer(Mailbox.init) { peer in
            try await peer.send("a\r\nRAW 3\r\n")
            try await peer.send("xyz")
            try await peer.send("b\r\n")
            try await peer.expect("<a>[3]<b>")
            try await peer.send("RAW 2\r\nxyz\r\n")
            try await peer.expect("[2]<z>")
        }
    }

    @Test(.simulated(seeds: 0..<50)) func `events of a listener with a framing are whole frames`()
        async throws
    {
        try await withSimulation { world in
            let server = world.host("server")
            try await server.withProactor { aio in
                let listener = try await aio.events.listen(
                    on: "*:80", framing: .lines(), filter: Self.verbs)
                _ = listener
                async let talk: Void = {
                    let peer = try await world.host("client").connect(to: "server:80", arrival: .drawn)
                    try await peer.send("NOOP 1\nBOGUS\nNOOP 2\n")
                    try await peer.expect("250 NOOP 1\n500 unknown\n250 NOOP 2\n")
                    try await peer.send("QUIT\n")
                    try await peer.expect("221 bye\n")
                    try await peer.expectEnd()
                    peer.close()
                }()
                for await event in aio.events {
                    switch event {
                    case .received(let line, let connection): connection.send("250 \(line)\n")
                    case .closed(_, let reason):
                        #expect(reason == .rejected)
                        try await talk
                        return
                    default: break
                    }
                }
            }
        }
    }

    @Test(.simulated(seeds: 0..<10)) func `frames that are taken are counted, and reads that complete none`()
        async throws
    {
        try await withSimulation { world in
            let host = world.host("server")
            try await host.withProactor { aio in
                let listening = try await aio.listen(
                    on: .ip(host.address, port: 80), options: options(.lines()))
                async let serving = listening.serve { for try await _ in $0.lines {} }
                let peer = try await world.host("client").connect(
                    to: listening.endpoint, arrival: .oneByteAtATime)
                try await peer.send("123456789\n")
                await world.settle()
                let total = aio.statistics.total
                #expect(total.framesSurfaced == 1 && total.bytesReceived == 10)
                #expect(total.readerWakesAvoided == 9)
                peer.close()
                listening.drain()
                _ = try await serving
            }
        }
    }

    @Test(.simulated(seeds: 0..<20))
    func `what was judged in vain, because the framing changed before it, is not counted`() async throws {
        let filter = try FrameFilter(
            judging: .everyFrame, otherwise: .reply("500\n"), rules: [.pass(.word("DATA"), named: "data")])
        try await withServerHost { _, aio in
            let server = try await aio.serving(
                .testing {
                    $0.framing = .lines()
                    $0.filter = filter
                }
            ) { connection in
                while try await connection.read() != nil {
                    try connection.frame(by: .raw)
                    let body = try await connection.read(exactly: 6)
                    try await connection.write(body ?? "nothing")
                    try connection.frame(by: .lines(), isFiltered: true)
                }
            }
            let peer = try await server.connect(arrival: .together)
            try await peer.send("DATA\nab\ncd\nbad\nDATA\nef\ngh\n")
            try await peer.expect("ab\ncd\n500\nef\ngh\n")
            peer.halfClose()
            try await peer.expectEnd()
            let counts = try #require(try await server.drained().filterCounts)
            #expect(counts["data"] == 2 && counts.otherwise == 1)
        }
    }

    @Test func `a line that comes byte by byte lies in one piece`() async throws {
        try await withServerHost { world, aio in
            let seen = Log<Connection>()
            let server = try await aio.serving(.testing { $0.framing = .lines() }) { connection in
                seen.add(connection)
                while try await connection.read() != nil {}
            }
            // Two of them, by turns, so that the bytes of neither lie side by side.
            let peers = try await server.connect(2, arrival: .oneByteAtATime)
            for _ in 0..<20 {
                for peer in peers { try await peer.send("x") }
                await world.settle()
            }
            #expect(seen.count == 2)
            for connection in seen.values {
                let isScattered = connection.core.lock.withLock {
                    connection.core.shared.framing!.buffer.isScattered
                }
                #expect(!isScattered && connection.statistics.unreadByteCount == 20)
            }
            for peer in peers { peer.close() }
            _ = try await server.drained()
        }
    }
}
