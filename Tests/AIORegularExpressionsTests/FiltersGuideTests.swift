// The code of docs/filters.md, built and run; and that all of the page's code is here, to the letter but for the
// indentation.

import AIOBytes
import AIOFraming
import AIORegularExpressions
import Foundation
import Testing

struct IsLongerThan: FramePattern {
    let byteCount: Int

    func matches(_ frame: RawSpan) -> Bool { frame.byteCount > byteCount }
}

@Suite struct FiltersGuideTests {
    @Test func `the guide's mail commands are passed, answered, ended and dropped`() throws {
        let smtp = try FrameFilter(
            judging: .everyFrame, otherwise: .reply("500 5.5.1 unknown command\r\n"),
            rules: [
                .pass(.anyOf(["HELO", "EHLO", "MAIL", "RCPT", "DATA"], as: .word, ignoringCase: true)),
                .reply("250 2.0.0 OK\r\n", to: .word("NOOP", ignoringCase: true)),
                .replyAndClose("221 2.0.0 Bye\r\n", to: .word("QUIT", ignoringCase: true), named: "goodbyes"),
                .replyAndClose("554 5.7.0 no\r\n", to: .prefix("GET /"), named: "browsers"),
                .drop(.exactly("")),
            ])
        #expect(smtp.judge("mail FROM:<a@b>").outcome == .pass)
        #expect(smtp.judge("MAILBOX").outcome == .reply("500 5.5.1 unknown command\r\n"))
        #expect(smtp.judge("noop").outcome == .reply("250 2.0.0 OK\r\n"))
        #expect(smtp.judge("QUIT").outcome == .replyAndClose("221 2.0.0 Bye\r\n"))
        #expect(smtp.judge("GET / HTTP/1.1").outcome == .replyAndClose("554 5.7.0 no\r\n"))
        #expect(smtp.judge("").outcome == .drop)
        #expect(smtp.ruleNames[1] == #"2: word "NOOP" in any case"#)
    }

    @Test func `the guide's pattern of one's own is asked`() throws {
        let filter = try FrameFilter(
            judging: .firstFrame, rules: [.close(on: .matching(IsLongerThan(byteCount: 4)))])
        #expect(filter.judge("12345").outcome == .close)
        #expect(filter.judge("1234").outcome == .pass)
    }

    @Test func `the guide's expressions match`() throws {
        let anyCase = RegularExpression.Options(.wholeFrame, ignoringCase: true)
        let envelope = try FrameFilter(
            judging: .everyFrame, otherwise: .reply("501 5.5.4 syntax\r\n"),
            rules: [
                .pass(.regularExpression("MAIL FROM:<[^<>]*>( .*)?", options: anyCase)),
                .pass(.matching(try RegularExpression(#"RCPT TO:<[^<>@]+@[a-z0-9.-]+>"#)), named: "rcpt"),
            ])
        #expect(envelope.judge("mail from:<> SIZE=100").rule == 0)
        #expect(envelope.judge("RCPT TO:<a@example.org>").rule == 1)
        #expect(envelope.judge("RCPT TO:<a@>").outcome == .reply("501 5.5.4 syntax\r\n"))
    }

    @Test func `the guide shows code that is built and run`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        func lines(_ text: some StringProtocol) -> String {
            text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.joined(
                separator: "\n")
        }
        let source = lines(try String(contentsOf: URL(filePath: #filePath), encoding: .utf8))
        let page = try String(contentsOf: root.appending(path: "docs/filters.md"), encoding: .utf8)
        let blocks = page.components(separatedBy: "```swift\n").dropFirst()
            .compactMap { $0.components(separatedBy: "```").first }
        #expect(blocks.count == 3)
        for block in blocks { #expect(source.contains(lines(block)), "\(block)") }
    }
}
