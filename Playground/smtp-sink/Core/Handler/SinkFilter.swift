// What the worker answers by itself, before a session is woken: commands that change nothing, and lines that
// are no commands.

public import AIO

/// The filter of a server's command lines. Everything that the session decides about passes.
///
/// A reply comes in its place among the others, so a client that pipelines may rely on the order. Text of
/// messages is never judged: while it comes, the connection has no lines.
public enum SinkFilter {
    /// RFC 5321, section 4.5.3.1.4, without CR LF.
    static let lineByteCountMax = 510
    /// MAIL may be longer by what SIZE (RFC 1870), 8BITMIME (RFC 6152) and SMTPUTF8 (RFC 6531) add.
    static let mailLineByteCountMax = lineByteCountMax + 26 + 17 + 10

    public static func make(rules: SessionRules) throws(FilterError) -> FrameFilter {
        let tooLong: Bytes = "500 5.5.2 the line is too long\r\n"
        let goodbye = Reply(221, "2.0.0", "\(rules.hostname) says goodbye").bytes
        return try FrameFilter(
            judging: .everyFrame, otherwise: .reply("500 5.5.1 unknown command\r\n"),
            rules: [
                .reply(tooLong, to: longer(than: mailLineByteCountMax), named: "long lines"),
                .pass(.word("MAIL", ignoringCase: true), named: "MAIL"),
                .reply(tooLong, to: longer(than: lineByteCountMax), named: "long lines but MAIL"),
                .replyAndClose(goodbye, to: .exactly("QUIT", ignoringCase: true), named: "QUIT"),
                .pass(
                    .anyOf(
                        ["HELO", "EHLO", "RCPT", "DATA", "BDAT", "RSET", "QUIT"], as: .word,
                        ignoringCase: true),
                    named: "for the session"),
                .reply("250 2.0.0 done\r\n", to: .word("NOOP", ignoringCase: true), named: "NOOP"),
                .reply(help, to: .word("HELP", ignoringCase: true), named: "HELP"),
                .reply(
                    "501 5.5.4 VRFY whom?\r\n", to: .exactly("VRFY", ignoringCase: true), named: "VRFY nobody"
                ),
                .reply(
                    "252 2.5.0 nobody is looked up here; send, and it will be taken\r\n",
                    to: .word("VRFY", ignoringCase: true), named: "VRFY"),
                .reply(
                    "502 5.5.1 not implemented\r\n",
                    to: .anyOf(
                        ["EXPN", "TURN", "ETRN", "AUTH", "STARTTLS"], as: .word, ignoringCase: true),
                    named: "not implemented"),
            ])
    }

    private static let help: Bytes =
        "214-2.0.0 HELO EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT\r\n214 2.0.0 RFC 5321 says more\r\n"

    private static func longer(than byteCount: Int) -> FilterPattern {
        .matching(LongerThan(byteCount: byteCount))
    }

    private struct LongerThan: FramePattern {
        let byteCount: Int
        func matches(_ frame: RawSpan) -> Bool { frame.byteCount > byteCount }
    }
}
