// Every state of a session with every stimulus.

import AIO
import Testing

@testable import SMTPSinkCore

@Suite struct SessionTests {
    /// How to get into each state, by lines.
    private enum Place: String, CaseIterable {
        case fresh, ready, sender, addressed, text, chunks

        var lines: [Bytes] {
            let all: [Bytes] = ["EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>"]
            return switch self {
            case .fresh: []
            case .ready: Array(all.prefix(1))
            case .sender: Array(all.prefix(2))
            case .addressed: all
            case .text: all + ["DATA"]
            case .chunks: all + ["BDAT 5"]
            }
        }
    }

    private func code(_ action: Session.Action) -> String {
        switch action {
        case .reply(let reply): "\(reply.code)"
        case .replyAndDrop(let reply): "drop \(reply.code)"
        case .receiveText(_, let reply): "text \(reply.code)"
        case .receiveChunk(_, let byteCount, let isLast): "chunk \(byteCount)\(isLast ? " last" : "")"
        case .skipChunk(let byteCount, let reply): "skip \(byteCount) \(reply.code)"
        }
    }

    @Test func `every state answers every command as the table says`() {
        let commands: [Bytes] = [
            "EHLO y", "HELO y", "MAIL FROM:<e@f>", "RCPT TO:<g@h>", "DATA", "BDAT 7", "BDAT 7 LAST", "RSET",
            "QUIT",
        ]
        let table: [(Place, [String])] = [
            (
                .fresh,
                [
                    "drop 250", "drop 250", "503", "503", "503", "skip 7 503", "skip 7 503", "drop 250",
                    "drop 221",
                ]
            ),
            (
                .ready,
                [
                    "drop 250", "drop 250", "250", "503", "503", "skip 7 503", "skip 7 503", "drop 250",
                    "drop 221",
                ]
            ),
            (
                .sender,
                [
                    "drop 250", "drop 250", "503", "250", "503", "skip 7 503", "skip 7 503", "drop 250",
                    "drop 221",
                ]
            ),
            (
                .addressed,
                [
                    "drop 250", "drop 250", "503", "250", "text 354", "chunk 7", "chunk 7 last", "drop 250",
                    "drop 221",
                ]
            ),
            (
                .text,
                [
                    "drop 250", "drop 250", "503", "503", "503", "skip 7 503", "skip 7 503", "drop 250",
                    "drop 221",
                ]
            ),
            (
                .chunks,
                [
                    "drop 250", "drop 250", "503", "503", "503", "chunk 7", "chunk 7 last", "drop 250",
                    "drop 221",
                ]
            ),
        ]
        #expect(table.map(\.0) == Place.allCases)
        for (place, answers) in table {
            for (command, answer) in zip(commands, answers) {
                var session = Session(rules: SessionRules())
                for line in place.lines { _ = session.lineArrived(line) }
                #expect(code(session.lineArrived(command)) == answer, "\(place.rawValue), \(command)")
            }
        }
    }

    @Test(arguments: ["RSET", "EHLO z", "ended"]) func `what forgets a message begins anew`(by: String) {
        for place in Place.allCases where place != .fresh {
            var session = Session(rules: SessionRules())
            for line in place.lines { _ = session.lineArrived(line) }
            if by == "ended" { session.messageEnded() } else { _ = session.lineArrived(Bytes(by)) }
            #expect(code(session.lineArrived("RCPT TO:<c@d>")) == "503", "\(place.rawValue)")
            #expect(code(session.lineArrived("MAIL FROM:<a@b>")) == "250", "\(place.rawValue)")
        }
    }

    @Test func `RSET before HELO does not say hello`() {
        var session = Session(rules: SessionRules())
        _ = session.lineArrived("RSET")
        session.messageEnded()
        #expect(code(session.lineArrived("MAIL FROM:<a@b>")) == "503")
    }

    @Test func `a refused command changes nothing`() {
        var session = Session(rules: SessionRules())
        for line: Bytes in [
            "EHLO x", "MAIL FROM:<a@b", "MAIL FROM:<a@b> FOO=1", "MAIL FROM:<ä@b>",
            "MAIL FROM:<a@b> SIZE=999999999999",
        ] {
            _ = session.lineArrived(line)
        }
        #expect(code(session.lineArrived("RCPT TO:<c@d>")) == "503")
        _ = session.lineArrived("MAIL FROM:<a@b>")
        #expect(code(session.lineArrived("RCPT TO:<c>")) == "501")
        #expect(code(session.lineArrived("DATA")) == "503")
    }

    @Test func `one recipient too many is a 452, and the others stay`() {
        var rules = SessionRules()
        rules.recipientsMax = 2
        var session = Session(rules: rules)
        for line: Bytes in ["HELO x", "MAIL FROM:<>", "RCPT TO:<a@b>", "RCPT TO:<c@d>"] {
            _ = session.lineArrived(line)
        }
        #expect(code(session.lineArrived("RCPT TO:<e@f>")) == "452")
        guard case .receiveText(let envelope, _) = session.lineArrived("DATA") else {
            Issue.record("DATA is refused")
            return
        }
        #expect(envelope.sender == .null)
        #expect(envelope.recipients.map(\.text) == ["a@b", "c@d"])
    }

    @Test func `the size that MAIL announces is looked at`() {
        var rules = SessionRules()
        rules.messageByteCountMax = 100
        var session = Session(rules: rules)
        _ = session.lineArrived("EHLO x")
        #expect(code(session.lineArrived("MAIL FROM:<> SIZE=101")) == "552")
        #expect(code(session.lineArrived("MAIL FROM:<> SIZE=100")) == "250")
    }

    @Test func `addresses beyond ASCII need SMTPUTF8`() {
        var session = Session(rules: SessionRules())
        _ = session.lineArrived("EHLO x")
        #expect(code(session.lineArrived("MAIL FROM:<ä@b>")) == "553")
        #expect(code(session.lineArrived("MAIL FROM:<a@b>")) == "250")
        #expect(code(session.lineArrived("RCPT TO:<ö@d>")) == "553")
        _ = session.lineArrived("RSET")
        #expect(code(session.lineArrived("MAIL FROM:<ä@b> SMTPUTF8")) == "250")
        #expect(code(session.lineArrived("RCPT TO:<ö@d>")) == "250")
    }

    @Test func `HELO is not told of extensions, and cannot use them`() {
        var session = Session(rules: SessionRules())
        guard case .replyAndDrop(let reply) = session.lineArrived("HELO x") else {
            return #expect(Bool(false))
        }
        #expect(reply.lines.count == 1)
        #expect(code(session.lineArrived("MAIL FROM:<> SIZE=1")) == "555")
    }
}

@Suite struct ReplyTests {
    @Test func `all lines but the last have a hyphen`() {
        #expect(Reply(250, nil, "one").bytes == "250 one\r\n")
        #expect(Reply(250, "2.0.0", "one", "two").bytes == "250-2.0.0 one\r\n250 2.0.0 two\r\n")
    }
}
