// Whole sessions on the production engine in simulation: order of replies, every split, limits, deadlines.

import AIO
import AIOTesting
import SMTPSinkCore
import Testing

@Suite struct SinkHandlerTests {
    // MARK: Order

    @Test func `a session and the filter answer in the order of the commands, at every split`() async throws {
        try await withSink(.testing(MemoryStore()), arrival: .everySplit, sayingHello: false) { peer in
            try await peer.send("EHLO client.test\r\nBOGUS\r\nNOOP\r\nRSET\r\n\r\nVRFY a\r\nQUIT\r\n")
            try await peer.expect(
                "\(Replies.hello)\(Replies.unknown)\(Replies.noop)\(Replies.reset)\(Replies.unknown)")
            try await peer.expect(
                "252 2.5.0 nobody is looked up here; send, and it will be taken\r\n\(Replies.goodbye)")
            try await peer.expectEnd()
        }
    }

    @Test(arguments: [HandlerExecutor.worker, .partner, .global])
    func `a pipelined session is the same on each executor`(executor: HandlerExecutor) async throws {
        let store = MemoryStore()
        let options = SinkOptions.testing(store)
        var server = try options.serverOptions()
        server.executor = executor
        try await withMockPeer(
            { SinkHandler($0, options: options) }, options: server, arrival: .oneByteAtATime
        ) { peer in
            try await peer.expect(Replies.greeting)
            try await peer.send("EHLO client.test\r\n\(envelope)NOOP\r\nQUIT\r\n.\r\nNOOP\r\nQUIT\r\n")
            try await peer.expect(
                "\(Replies.hello)\(Replies.envelope)\(Replies.taken)\(Replies.noop)\(Replies.goodbye)")
            try await peer.expectEnd()
        }
        #expect(store.messages == ["NOOP\r\nQUIT\r\n"])
    }

    @Test(.simulated(seeds: 0..<60)) func `pipelined messages in chaos`() async throws {
        let store = MemoryStore()
        try await withSink(.testing(store), arrival: .chaos) { peer in
            for number in 0..<5 {
                try await peer.send("\(envelope)Number: \(number)\r\n..\r\nQUIT\r\n.\r\nBOGUS\r\n")
                try await peer.expect("\(Replies.envelope)\(Replies.taken)\(Replies.unknown)")
            }
            try await peer.send("QUIT\r\n")
            try await peer.expect(Replies.goodbye)
            try await peer.expectEnd()
        }
        #expect(store.messages == (0..<5).map { "Number: \($0)\r\n.\r\nQUIT\r\n" })
    }

    @Test func `QUIT with a blank behind it, which the session answers, is QUIT`() async throws {
        try await withSink(.testing(MemoryStore()), arrival: .drawn) { peer in
            try await peer.send("QUIT now\r\nquit \r\nNOOP\r\n")
            try await peer.expect("501 5.5.4 QUIT takes no argument\r\n\(Replies.goodbye)")
            try await peer.expectEnd()
        }
    }

    // MARK: Text

    @Test func `text that looks like commands is text, wherever the stream is split`() async throws {
        let store = MemoryStore()
        try await withSink(.testing(store), arrival: .everySplit) { peer in
            store.empty()
            try await peer.send("\(envelope)NOOP\r\n..\r\nQUIT\r\n\r\n.\r\nNOOP\r\n")
            try await peer.expect("\(Replies.envelope)\(Replies.taken)\(Replies.noop)")
            #expect(store.messages == ["NOOP\r\n.\r\nQUIT\r\n\r\n"])
        }
    }

    @Test func `an empty message ends with the first dot`() async throws {
        let store = MemoryStore()
        try await withSink(.testing(store), arrival: .everySplit) { peer in
            store.empty()
            try await peer.send("\(envelope).\r\nNOOP\r\n")
            try await peer.expect("\(Replies.envelope)\(Replies.taken)\(Replies.noop)")
            #expect(store.messages == [""])
        }
    }

    @Test(arguments: ["x\n.\n", "x\n.\r\n", "x\r.\r\n", "x\r\n.\n", "x\r\n.\r", "x\r.\r"])
    func `what smuggles ends no message, and such a message is refused`(text: String) async throws {
        let store = MemoryStore()
        try await withSink(.testing(store), arrival: .everySplit) { peer in
            try await peer.send(
                "\(envelope)\(text)MAIL FROM:<evil@x>\r\nRCPT TO:<y@z>\r\nDATA\r\nevil\r\n.\r\nNOOP\r\n")
            try await peer.expect("\(Replies.envelope)\(Replies.bareNewline)\(Replies.noop)")
            #expect(store.messages == [])
        }
    }

    @Test func `a bare LF ends no command`() async throws {
        try await withSink(.testing(MemoryStore()), arrival: .everySplit) { peer in
            try await peer.send("NOOP\nRSET\r\nNOOP x\nQUIT\r\n")
            try await peer.expect("\(Replies.unknown)\(Replies.noop)")
        }
    }

    @Test func `a message is kept with the trace that is made for it`() async throws {
        let store = MemoryStore()
        try await withSink(.testing(store)) { peer in
            try await peer.send(
                "MAIL FROM:<@old:a@b.test> BODY=8BITMIME SIZE=10\r\nRCPT TO:<\"c d\"@e>\r\nDATA\r\n")
            try await peer.expect(Replies.envelope)
            try await peer.send("\u{e4}\r\n.\r\n")
            try await peer.expect(Replies.taken)
        }
        #expect(store.messages == ["\u{e4}\r\n"])
        let header = String(decoding: store.headers[0], as: UTF8.self)
        #expect(
            header.hasPrefix(
                "Return-Path: <a@b.test>\r\nX-Envelope-To: <\"c d\"@e>\r\nReceived: from client.test ("))
    }

    // MARK: Limits

    @Test func `a message may have as many bytes as are announced, and not one more`() async throws {
        let store = MemoryStore()
        let line = Bytes(String(repeating: "x", count: 498) + "\r\n")
        try await withSink(.testing(store), arrival: .drawn) { peer in
            for (tail, answer) in [("", Replies.taken), ("x", Replies.tooLarge), ("", Replies.taken)] {
                let first = tail.isEmpty ? line : Bytes(joining: [Bytes(tail), line])
                try await peer.send("\(envelope)\(first)\(line).\r\n")
                try await peer.expect("\(Replies.envelope)\(answer)")
            }
            try await peer.send("MAIL FROM:<a@b> SIZE=1001\r\n")
            try await peer.expect(Replies.tooLarge)
        }
        #expect(store.messages.map(\.count) == [1_000, 1_000])
    }

    @Test func `a message that is far too large is read and thrown away, and the session goes on`()
        async throws
    {
        let store = MemoryStore()
        let line = Bytes(String(repeating: "x", count: 998) + "\r\n")
        try await withSink(.testing(store)) { peer in
            try await peer.send(envelope)
            try await peer.expect(Replies.envelope)
            for _ in 0..<300 { try await peer.send(line) }
            try await peer.send(".\r\n\(envelope)x\r\n.\r\n")
            try await peer.expect("\(Replies.tooLarge)\(Replies.envelope)\(Replies.taken)")
        }
        #expect(store.messages == ["x\r\n"])
        #expect(store.discardedCount == 1)
    }

    @Test func `lines that are too long are refused, and the session goes on`() async throws {
        let store = MemoryStore()
        let long = Bytes(String(repeating: "x", count: 2_000))
        try await withSink(
            .testing(store) { $0.rules.messageByteCountMax = 10_000 }, arrival: .drawn, sayingHello: false
        ) { peer in
            try await peer.send("HELO x\r\nNOOP \(long)\r\nMAIL FROM:<\(long)@b>\r\nNOOP\r\n")
            try await peer.send("\(envelope)\(long)\r\n.\r\nNOOP\r\n")
            try await peer.expect(
                "250 mail.test greets x\r\n\(Replies.tooLong)\(Replies.tooLong)\(Replies.noop)")
            try await peer.expect("\(Replies.envelope)\(Replies.longTextLine)\(Replies.noop)")
        }
        #expect(store.messages == [])
    }

    @Test func `too many recipients are refused one by one, pipelined`() async throws {
        let store = MemoryStore()
        try await withSink(.testing(store)) { peer in
            let recipients = Bytes((0..<5).map { "RCPT TO:<u\($0)@x>\r\n" }.joined())
            let tooMany: Bytes = "452 4.5.3 too many recipients; send this to the others once more\r\n"
            try await peer.send("MAIL FROM:<>\r\n\(recipients)DATA\r\n")
            try await peer.expect(
                "\(Replies.mail)\(Replies.recipient)\(Replies.recipient)\(Replies.recipient)")
            try await peer.expect("\(tooMany)\(tooMany)\(Replies.data)")
            try await peer.send("x\r\n.\r\n")
            try await peer.expect(Replies.taken)
        }
        #expect(store.messages.count == 1)
    }

    @Test func `connections above the maximum are told to come later`() async throws {
        let options = SinkOptions.testing(MemoryStore()) { $0.connectionsMax = 1 }
        try await withMockServer(
            { SinkHandler($0, options: options) }, options: try options.serverOptions()
        ) { server in
            let first = try await server.connect()
            try await first.expect(Replies.greeting)
            let second = try await server.connect()
            try await second.expect("421 4.3.2 too many connections; try again later\r\n")
            try await second.expectEnd()
        }
    }

    // MARK: Failures

    @Test(arguments: [1, 2]) func `a store that fails is a 451, whichever write it is`(write: Int)
        async throws
    {
        let store = MemoryStore(failsAtWrite: write)
        let line = Bytes(String(repeating: "x", count: 998) + "\r\n")
        try await withSink(
            .testing(store) { $0.rules.messageByteCountMax = 1 << 20 }, sayingHello: false
        ) { peer in
            try await peer.send("HELO x\r\n\(envelope)")
            try await peer.expect("250 mail.test greets x\r\n\(Replies.envelope)")
            for _ in 0..<100 { try await peer.send(line) }
            try await peer.send(".\r\nNOOP\r\n")
            try await peer.expect(
                "451 4.3.0 the message could not be stored; try again later\r\n\(Replies.noop)")
        }
        #expect(store.messages == [])
        #expect(store.discardedCount == 1)
    }

    @Test func `the end of the stream within a message drops it`() async throws {
        let store = MemoryStore()
        try await withSink(.testing(store)) { peer in
            try await peer.send("\(envelope)x\r\n.\r")
            peer.halfClose()
            try await peer.expect("\(Replies.envelope)421 4.3.2 this ends before the message does\r\n")
            try await peer.expectEnd()
        }
        #expect(store.messages == [])
        #expect(store.discardedCount == 1)
    }

    @Test func `half a command at the end of the stream is none`() async throws {
        let store = MemoryStore()
        try await withSink(.testing(store)) { peer in
            try await peer.send("NOOP\r\nNOOP")
            peer.halfClose()
            try await peer.expect(Replies.noop)
            try await peer.expectEnd()
        }
    }

    @Test func `text that comes too slowly is cut by the deadline`() async throws {
        let store = MemoryStore()
        try await withSimulation { world in
            try await withSink(.testing(store) { $0.dataTimeout = .seconds(90) }) { peer in
                try await peer.send(envelope)
                try await peer.expect(Replies.envelope)
                let start = world.clock.now
                for _ in 0..<8 {
                    try await peer.send("x\r\n")
                    try await world.advance(by: .seconds(10))
                }
                try await peer.expect("421 4.4.2 the message took too long\r\n", within: .seconds(20))
                let time = start.duration(to: world.clock.now)
                #expect(time >= .seconds(90) && time < .seconds(91))
                try await peer.expectEnd()
            }
        }
        #expect(store.messages == [])
        #expect(store.discardedCount == 1)
    }

    // MARK: Draining

    @Test(.simulated(seeds: 0..<40))
    func `a drain tells idle sessions, and waits for messages that have begun`() async throws {
        let store = MemoryStore()
        let options = SinkOptions.testing(store)
        try await withMockServer(
            { SinkHandler($0, options: options) }, options: try options.serverOptions()
        ) { server in
            let shutDown: Bytes = "421 4.3.2 mail.test is shutting down\r\n"
            let idle = try await server.connect(), busy = try await server.connect()
            for peer in [idle, busy] {
                try await peer.expect(Replies.greeting)
                try await peer.send("EHLO client.test\r\n")
                try await peer.expect(Replies.hello)
            }
            try await busy.send("\(envelope)x\r\n")
            try await busy.expect(Replies.envelope)
            await server.settle()
            server.drain(within: .seconds(600))
            try await idle.expect(shutDown)
            try await idle.expectEnd()
            try await busy.expectSilence(for: .seconds(5))
            try await busy.send("y\r\n.\r\n")
            try await busy.expect("\(Replies.taken)\(shutDown)")
            try await busy.expectEnd()
        }
        #expect(store.messages == ["x\r\ny\r\n"])
    }
}
