import AIO
import Testing

@testable import SMTPSinkCore

@Suite struct SinkFilterTests {
    private func outcome(_ line: Bytes) throws -> FilterOutcome {
        try SinkFilter.make(rules: SessionRules()).judge(line).outcome
    }

    private func replyCode(_ line: Bytes) throws -> String? {
        try outcome(line).reply.map { String(decoding: $0.prefix(3), as: UTF8.self) }
    }

    @Test(arguments: [
        "HELO x", "ehlo x", "MAIL FROM:<>", "rcpt to:<a@b>", "DATA", "data ", "BDAT 5 LAST", "RSET", "quit ",
        "QUIT now",
    ]) func `what a session decides about passes`(line: String) throws {
        #expect(try outcome(Bytes(line)) == .pass)
    }

    @Test(
        arguments: [
            ("NOOP", "250"), ("noop words", "250"), ("HELP", "214"), ("help MAIL", "214"), ("VRFY", "501"),
            ("vrfy a", "252"),
            ("EXPN list", "502"), ("STARTTLS", "502"), ("AUTH PLAIN x", "502"), ("BOGUS", "500"), ("", "500"),
            (" NOOP", "500"),
            ("NOOPS", "500"), ("MAILFROM:<a@b>", "500"), ("GET / HTTP/1.1", "500"), ("\u{0}\u{1}", "500"),
        ]) func `what needs no session is answered`(line: String, code: String) throws
    {
        #expect(try replyCode(Bytes(line)) == code)
        if case .reply = try outcome(Bytes(line)) {} else { Issue.record("\(line) ends the connection") }
    }

    @Test func `QUIT ends the connection behind its reply`() throws {
        #expect(try outcome("qUIT") == .replyAndClose("221 2.0.0 localhost says goodbye\r\n"))
    }

    @Test func `lines have their limits, and MAIL has more`() throws {
        func line(_ verb: String, _ count: Int) -> Bytes {
            Bytes(verb + " " + String(repeating: "x", count: count - verb.utf8.count - 1))
        }
        #expect(try outcome(line("RCPT", 510)) == .pass)
        #expect(try replyCode(line("RCPT", 511)) == "500")
        #expect(try replyCode(line("NOOP", 511)) == "500")
        #expect(try outcome(line("MAIL", 563)) == .pass)
        #expect(try replyCode(line("MAIL", 564)) == "500")
    }
}
