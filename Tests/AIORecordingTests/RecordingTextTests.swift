// The text form by itself: what it looks like, that it reads back, and what is said about texts that are none.

import AIOBytes
import AIOKernel
import AIORecording
import Testing

@Suite struct RecordingTextTests {
    private let conversation = Recording(
        client: .ip(.loopbackV4, port: 50_312), server: .ip(.loopbackV6, port: 25),
        events: [
            .init(microseconds: 0, .server, .bytes("220 \"ready\"\r\n")),
            .init(microseconds: 1_520, .client, .bytes("EHLO there\r\n")),
            .init(microseconds: 1_700, .server, .bytes("250-hello\r\n250 SIZE 1000\r\n")),
            .init(microseconds: 1_701, .client, .bytes([0, 1, 0xFF, 0xFE, 65])),
            .init(microseconds: 1_702, .client, .bytes("tab\t \\ \u{fc}")),
            .init(microseconds: 1_702, .client, .bytes(Bytes())),
            .init(microseconds: 2_000, .client, .end),
            .init(microseconds: 2_100, .server, .reset),
        ], ending: .init(microseconds: 2_200, .closed))

    private let text = #"""
        aio-recording 1
        client "127.0.0.1:50312"
        server "[::1]:25"
        0 server "220 \"ready\"\r\n"
        1520 client "EHLO there\r\n"
        1700 server "250-hello\r\n"
        + "250 SIZE 1000\r\n"
        1701 client <0001fffe41>
        1702 client "tab\t \\ \xc3\xbc"
        1702 client ""
        2000 client end
        2100 server reset
        2200 closed

        """#

    @Test func `a recording is a line an event, with quoted text where that is shorter than digits`() {
        #expect(conversation.text == text)
    }

    @Test func `the text reads back as the recording`() throws {
        #expect(try Recording(parsing: text) == conversation)
    }

    @Test func `the three endings have lines of their own`() throws {
        for (kind, line) in [
            (Recording.Ending.Kind.closed, "5 closed"),
            (.failed("it \"timed\"\nout"), #"5 failed "it \"timed\"\nout""#),
            (.cut("full"), #"5 cut "full""#),
        ] {
            let recording = Recording(ending: .init(microseconds: 5, kind))
            #expect(recording.text == "aio-recording 1\n\(line)\n")
            #expect(try Recording(parsing: recording.text) == recording)
        }
    }

    @Test(arguments: SplitMix64.seeds)
    func `any recording reads back as itself`(seed: UInt64) throws {
        var chance = SplitMix64(state: seed)
        for _ in 0..<20 {
            let recording = Recording.random(&chance)
            #expect(try Recording(parsing: recording.text) == recording)
        }
    }

    @Test func `long payloads go on in further lines, none of which is long`() throws {
        var chance = SplitMix64(state: 7)
        let noise = Bytes((0..<10_000).map { _ in UInt8.random(in: 0...255, using: &chance) })
        let text = Bytes([UInt8](repeating: 97, count: 10_000))
        for (bytes, size) in [(noise, 2.2), (text, 1.1)] {
            let recording = Recording(events: [.init(microseconds: 1, .client, .bytes(bytes))])
            let lines = recording.text.split(separator: "\n")
            #expect(lines.allSatisfy { $0.utf8.count <= 110 })
            #expect(Double(recording.text.utf8.count) < 10_000 * size)
            #expect(try Recording(parsing: recording.text) == recording)
        }
    }

    @Test func `what people do to a text by hand is understood`() throws {
        let changed = """
            aio-recording 1\r
            # a comment, and an empty line

            server   "127.0.0.1:25"
              10  client   "a"\r
            # in between
              +   <4A4b>
            20 server end

            """
        let read = try Recording(parsing: changed)
        #expect(read.events.map(\.action) == [.bytes("aJK"), .end])
        #expect(read.server == .ip(.loopbackV4, port: 25))
    }

    @Test func `a text that was not written to its end is read up to its last whole line`() throws {
        let bytes = Array(text.utf8)
        let firstLine = "aio-recording 1\n".utf8.count
        for count in firstLine...bytes.count {
            let read = try Recording(parsing: String(decoding: bytes[..<count], as: UTF8.self))
            let lines = bytes[..<count].count { $0 == 10 }
            // Three lines before the first event, and one event that has two.
            let eventCount = max(0, min(lines, 12) - 3 - (lines >= 7 ? 1 : 0))
            #expect(read.events.count == eventCount)
            #expect(read.isComplete == (count == bytes.count))
            if lines != 6 { #expect(read.events == Array(conversation.events.prefix(eventCount))) }
        }
    }

    @Test(arguments: [
        ("", #"line 1: this is no recording: its first line is not "aio-recording 1""#),
        ("aio-recording 1", #"line 1: this is no recording: its first line is not "aio-recording 1""#),
        ("GET / HTTP/1.1\n", #"line 1: this is no recording: its first line is not "aio-recording 1""#),
        ("aio-recording 2\n", #"line 1: this is a recording of version "2"; 1 is known"#),
        ("aio-recording 1 x\n", #"line 1: the line goes on with "x""#),
    ])
    func `what is no recording is told from its first line`(text: String, problem: String) {
        #expect(throws: RecordingFormatError.self) { try Recording(parsing: text) }
        #expect(problemOf(text) == problem)
    }

    @Test(arguments: [
        ("client 127.0.0.1:1", "an address in quotation marks is missing"),
        ("client \"127.0.0.1\"", "\"127.0.0.1\" has no port; expected 127.0.0.1:80"),
        ("client \"\\xff:1\"", "an address is not UTF-8"),
        ("client \"a:1\"\nclient \"a:1\"", "a second address of the client"),
        ("1 client end\nserver \"a:1\"", "the address of the server comes after the first event"),
        (
            "peer \"a:1\"",
            "a line begins with a time, \"+\", \"#\", \"client\" or \"server\", and not with \"peer\""
        ),
        (
            "-1 client end",
            "a line begins with a time, \"+\", \"#\", \"client\" or \"server\", and not with \"-1\""
        ),
        ("1x client end", "\"1x\" is no time: a whole number of microseconds, at most 9223372036854775"),
        (
            "99999999999999999999 client end",
            "\"99999999999999999999\" is no time: a whole number of microseconds, at most 9223372036854775"
        ),
        ("5 client \"a\"\n4 client \"b\"", "the time goes back, from 5 to 4"),
        ("5", "behind a time comes \"client\", \"server\", \"closed\", \"failed\" or \"cut\", and not \"\""),
        (
            "5 nobody",
            "behind a time comes \"client\", \"server\", \"closed\", \"failed\" or \"cut\", and not \"nobody\""
        ),
        ("5 client", "a client sends \"text\" or <digits>, or it does \"end\" or \"reset\", but not \"\""),
        (
            "5 client ended",
            "a client sends \"text\" or <digits>, or it does \"end\" or \"reset\", but not \"ended\""
        ),
        ("5 client end now", "the line goes on with \"now\""),
        ("5 client \"a\" \"b\"", "the line goes on with \"\\\"b\\\"\""),
        ("5 client \"a", "the closing quotation mark is missing"),
        ("5 client \"a\\", "the closing quotation mark is missing"),
        ("5 client \"\\q\"", "there is no escape \"\\\" with \"q\""),
        ("5 client \"\\x4\"", "\"\\x\" is followed by two hexadecimal digits"),
        ("5 client \"ü\"", "\"\\xc3\" is not escaped"),
        ("5 client <4", "<digits> are pairs of hexadecimal digits"),
        ("5 client <41", "the closing \">\" is missing"),
        ("5 client <4 1>", "<digits> are pairs of hexadecimal digits"),
        ("+ \"a\"", "\"+\" comes behind no bytes that could go on"),
        ("5 client end\n+ \"a\"", "\"+\" comes behind no bytes that could go on"),
        ("5 client \"a\"\n+ a", "\"text\" or <digits> are missing"),
        ("5 client end\n6 client \"a\"", "the client ended already, in line 2"),
        ("5 client end\n6 client end", "the client ended already, in line 2"),
        ("5 client reset\n6 server \"a\"", "the connection was reset already, in line 2"),
        ("5 closed\n6 client \"a\"", "something comes after the end of the recording, \"closed\""),
        ("5 failed", "a reason in quotation marks is missing"),
        ("5 cut <41>", "a reason in quotation marks is missing"),
    ])
    func `each error is told with its line`(lines: String, problem: String) {
        let number = 2 + lines.count { $0 == "\n" }
        #expect(problemOf("aio-recording 1\n\(lines)\n") == "line \(number): \(problem)")
    }

    private func problemOf(_ text: String) -> String? {
        do throws(RecordingFormatError) {
            _ = try Recording(parsing: text)
            return nil
        } catch {
            return error.description
        }
    }

    /// Changes at random, as whoever edits, merges or breaks a file does.
    private func mutate(_ text: inout [UInt8], _ chance: inout SplitMix64) {
        guard !text.isEmpty else { return }
        let place = chance.number(below: text.count)
        switch chance.number(below: 6) {
        case 0: text[place] = UInt8.random(in: 0...255, using: &chance)
        case 1: text.remove(at: place)
        case 2: text.insert(Array("\"\\<>+#\n\r 019xclient".utf8).randomElement(using: &chance)!, at: place)
        case 3: text.removeSubrange(place..<min(text.count, place + chance.number(below: 40)))
        case 4:
            let part = text[place..<min(text.count, place + chance.number(below: 40))]
            text.insert(contentsOf: part, at: chance.number(below: text.count))
        default: text.swapAt(place, chance.number(below: text.count))
        }
    }

    @Test(arguments: SplitMix64.seeds)
    func `no change makes the parser trap, and what it accepts reads back as itself`(seed: UInt64) throws {
        var chance = SplitMix64(state: seed)
        for _ in 0..<30 {
            var text = Array(Recording.random(&chance).text.utf8)
            for _ in 0...chance.number(below: 4) { mutate(&text, &chance) }
            guard let read = try? Recording(parsing: String(decoding: text, as: UTF8.self)) else { continue }
            #expect(try Recording(parsing: read.text) == read, "seed \(seed)")
        }
    }
}
