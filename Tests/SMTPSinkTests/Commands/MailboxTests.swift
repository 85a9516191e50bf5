import Testing

@testable import SMTPSinkCore

@Suite struct MailboxTests {
    @Test(
        arguments: [
            ("a@b", "a", "b", "a@b"),
            ("first.last+tag@mail.example.org", "first.last+tag", "mail.example.org", nil),
            ("!#$%&'*+-/=?^_`{|}~@b", "!#$%&'*+-/=?^_`{|}~", "b", nil),
            (#""a b"@c"#, "a b", "c", nil),
            (#""a\"\\>@b"@c"#, #"a"\>@b"#, "c", nil),
            (#"""@c"#, "", "c", nil),
            ("a@[192.0.2.1]", "a", "[192.0.2.1]", nil),
            ("a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]", nil),
            ("@one,@two.example:a@b", "a", "b", "a@b"),
            ("räksmörgås@exämple.se", "räksmörgås", "exämple.se", nil),
        ] as [(String, String, String, String?)])
    func `mailboxes are taken apart`(path: String, localPart: String, domain: String, text: String?) throws {
        let mailbox = try #require(Mailbox(path: path[...]))
        #expect(mailbox.localPart == localPart)
        #expect(mailbox.domain == domain)
        #expect(mailbox.text == text ?? path)
    }

    @Test(arguments: [
        "", "a", "@", "a@", "@b", "a@b@c", ".a@b", "a.@b", "a..b@c", "a b@c", "a@b c", "a@.b", "a@b.",
        "a@b..c", "a@-b",
        "a@b-", "a@b_c", #""a@b"#, #""a"b@c"#, #""a\"#, "a@[", "a@[]", "a@[1", "a@[1]2", "a<@b", "a>@b",
        "a@b>", "a(b)@c",
        "@one:", "@one,two:a@b", "@:a@b", "@one a@b", "a,b@c", "a;b@c", "a:b@c",
    ]) func `what is no mailbox is none`(path: String) { #expect(Mailbox(path: path[...]) == nil) }

    @Test func `parts have their limits`() {
        func name(_ count: Int) -> String { String(repeating: "x", count: count) }
        #expect(Mailbox(path: "\(name(64))@b") != nil)
        #expect(Mailbox(path: "\(name(65))@b") == nil)
        #expect(Mailbox(path: "a@\(name(63))") != nil)
        #expect(Mailbox(path: "a@\(name(64))") == nil)
        #expect(Mailbox(path: "a@\(name(63)).\(name(63)).\(name(63)).\(name(60))") != nil)
        #expect(Mailbox(path: "a@\(name(63)).\(name(63)).\(name(63)).\(name(61))") == nil)
    }

    @Test func `what is not ASCII says so`() {
        #expect(Mailbox(path: "ä@b")?.isInternational == true)
        #expect(Mailbox(path: "a@b")?.isInternational == false)
    }
}
