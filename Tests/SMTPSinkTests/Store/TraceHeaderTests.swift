import AIO
import Testing

@testable import SMTPSinkCore

@Suite struct TraceHeaderTests {
    private func header(
        to recipients: [String], from sender: String? = "a@b", isExtended: Bool = true, isUTF8: Bool = false,
        peer: Endpoint = .ip(.v4(192, 0, 2, 1), port: 5)
    ) throws -> Bytes {
        var parameters = MailParameters()
        parameters.isUTF8 = isUTF8
        let path: ReversePath =
            if let sender { .mailbox(try #require(Mailbox(path: sender[...]))) } else { .null }
        var envelope = Envelope(sender: path, parameters: parameters)
        envelope.recipients = try recipients.map { try #require(Mailbox(path: $0[...])) }
        return TraceHeader.make(
            for: envelope, client: ("client.test", isExtended), peer: peer, hostname: "mail.test", id: "7",
            secondsSince1970: 1_234_567_890)
    }

    @Test func `of one recipient the Received line speaks, too`() throws {
        #expect(
            try header(to: ["c@d"])
                == """
                Return-Path: <a@b>\r
                X-Envelope-To: <c@d>\r
                Received: from client.test ([192.0.2.1])\r
                \tby mail.test with ESMTP id 7\r
                \tfor <c@d>;\r
                \tFri, 13 Feb 2009 23:31:30 +0000\r\n
                """)
    }

    @Test func `of several it does not, and the null sender is empty brackets`() throws {
        #expect(
            try header(to: ["c@d", "e@f"], from: nil, isExtended: false, peer: .ip(.loopbackV6, port: 5))
                == """
                Return-Path: <>\r
                X-Envelope-To: <c@d>\r
                X-Envelope-To: <e@f>\r
                Received: from client.test ([IPv6:::1])\r
                \tby mail.test with SMTP id 7;\r
                \tFri, 13 Feb 2009 23:31:30 +0000\r\n
                """)
    }

    @Test func `addresses beyond ASCII came with UTF8SMTP`() throws {
        let text = String(decoding: try header(to: ["ö@d"], isUTF8: true), as: UTF8.self)
        #expect(text.contains("with UTF8SMTP id"))
        #expect(text.contains("for <ö@d>;"))
    }
}

@Suite struct MailDateTests {
    @Test(
        arguments: [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_078_012_800, "Sun, 29 Feb 2004 00:00:00 +0000"),
            (1_230_767_999, "Wed, 31 Dec 2008 23:59:59 +0000"),
            (4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000"),
            (-5, "Thu, 1 Jan 1970 00:00:00 +0000"),
        ]) func `dates are those of the calendar`(seconds: Int, text: String)
    {
        #expect(MailDate.text(secondsSince1970: seconds) == text)
    }
}
