import AIO
import Testing

@testable import SMTPSinkCore

@Suite struct CommandParserTests {
    private func parse(_ line: String, isExtended: Bool = true) -> Result<Command, Reply> {
        parse(Bytes(line), isExtended: isExtended)
    }

    private func parse(_ line: Bytes, isExtended: Bool = true) -> Result<Command, Reply> {
        do throws(Reply) {
            return .success(try CommandParser.parse(line, isExtended: isExtended))
        } catch {
            return .failure(error)
        }
    }

    private func code(_ line: String, isExtended: Bool = true) -> String {
        switch parse(line, isExtended: isExtended) {
        case .success(let command): "\(command)"
        case .failure(let reply): "\(reply.code) \(reply.status ?? "")"
        }
    }

    @Test func `commands, in any case, and with white space at their ends`() throws {
        let mailbox = try #require(Mailbox(path: "a@b"))
        #expect(
            parse("ehlo  x")
                == .failure(Reply(501, "5.5.4", "EHLO needs a host name or an address in brackets")))
        #expect(parse("EHLO [127.0.0.1]") == .success(.hello(domain: "[127.0.0.1]", isExtended: true)))
        #expect(parse("helo x \t") == .success(.hello(domain: "x", isExtended: false)))
        #expect(parse("mail from:<a@b>") == .success(.mail(.mailbox(mailbox), MailParameters())))
        #expect(parse("MAIL FROM:<>") == .success(.mail(.null, MailParameters())))
        #expect(parse("Rcpt To:<a@b>") == .success(.recipient(mailbox)))
        #expect(parse("RCPT TO:<PostMaster>") == .success(.recipient(.postmaster)))
        #expect(parse("data ") == .success(.data))
        #expect(parse("RSET") == .success(.reset))
        #expect(parse("quit  ") == .success(.quit))
        #expect(parse("BDAT 5") == .success(.chunk(byteCount: 5, isLast: false)))
        #expect(parse("bdat 0 last") == .success(.chunk(byteCount: 0, isLast: true)))
    }

    @Test func `parameters of MAIL`() throws {
        var all = MailParameters()
        all.size = 12
        all.isEightBit = true
        all.isUTF8 = true
        #expect(parse("MAIL FROM:<> SIZE=12 body=8bitmime SMTPUTF8") == .success(.mail(.null, all)))
        var huge = MailParameters()
        huge.size = .max
        #expect(parse("MAIL FROM:<> SIZE=99999999999999999999") == .success(.mail(.null, huge)))
        for words in [
            "SIZE", "SIZE=", "SIZE=x", "SIZE=-1", "SIZE=999999999999999999999", "BODY", "BODY=9BIT",
        ] {
            #expect(code("MAIL FROM:<> \(words)") == "501 5.5.4", "\(words)")
        }
        for words in ["SMTPUTF8=1", "SIZE=1 SIZE=1", "SIZE=1 size=2"] {
            #expect(code("MAIL FROM:<> \(words)") == "501 5.5.4", "\(words)")
        }
        for words in ["FOO", "FOO=1", "AUTH=<>", "RET=HDRS", "=", "SIZE=1 FOO"] {
            #expect(code("MAIL FROM:<> \(words)") == "555 5.5.4", "\(words)")
        }
        #expect(code("MAIL FROM:<> SIZE=1", isExtended: false) == "555 5.5.4")
        #expect(code("RCPT TO:<a@b> NOTIFY=NEVER") == "555 5.5.4")
    }

    @Test func `a bracket in quotes does not end a path`() throws {
        let mailbox = try #require(Mailbox(path: #""a>b"@c"#))
        #expect(parse(#"RCPT TO:<"a>b"@c>"#) == .success(.recipient(mailbox)))
    }

    @Test(arguments: [
        "MAIL", "MAIL ", "MAIL FROM", "MAIL FROM:", "MAIL FROM: <a@b>", "MAIL FROM :<a@b>", "MAIL FROM:a@b",
        "MAIL FROM:<a@b",
        "MAIL TO:<a@b>", "MAIL FROM:<a@b>SIZE=1", "RCPT FROM:<a@b>", "RCPT TO:a@b", "DATA x", "RSET x",
        "QUIT x", "HELO", "EHLO ",
        "EHLO a b", "BDAT", "BDAT x", "BDAT -1", "BDAT +1", "BDAT 1 FIRST", "BDAT 1 LAST LAST",
        "BDAT 9999999999999999999",
        #"RCPT TO:<"a@b>"#,
    ]) func `wrong arguments are a 501`(line: String) { #expect(code(line) == "501 5.5.4") }

    @Test func `wrong addresses are a 501 of their own`() {
        #expect(code("MAIL FROM:<a>") == "501 5.1.7")
        #expect(code("RCPT TO:<a>") == "501 5.1.3")
        #expect(code("RCPT TO:<>") == "501 5.1.3")
        #expect(code("MAIL FROM:<postmaster>") == "501 5.1.7")
    }

    @Test func `what is no text is a 500, and nothing traps`() {
        for line: Bytes in [
            [0xff, 0xfe], "MAIL\0FROM", "DATA\u{1b}", "NOOP\r", "\u{7f}", "", " ", "FOO", "😀",
        ] {
            guard case .failure(let reply) = parse(line) else {
                Issue.record("\(line) is a command")
                continue
            }
            #expect(reply.code == 500)
        }
    }

    @Test func `after a count that is none the connection ends`() {
        guard case .failure(let reply) = parse("BDAT many") else { return #expect(Bool(false)) }
        #expect(reply.closes)
    }
}
