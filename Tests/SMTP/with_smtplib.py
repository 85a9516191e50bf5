"""Mail by Python's smtplib."""

from __future__ import annotations

import smtplib

import sink
from checks import Check, expect, expect_equal

MESSAGE_COUNT = 300


def many(path: str) -> str:
    with sink.running(path) as server, smtplib.SMTP("127.0.0.1", server.port, "client.test", timeout=10) as client:
        sent = [f"Number: {number}\r\n\r\n{'.' * (number % 5)}\r\n{'x' * number}\r\n".encode()
                for number in range(MESSAGE_COUNT)]
        for message in sent:
            client.sendmail("a@b.test", ["c@d.test"], message)
        stored = server.messages
        expect(len(stored) == MESSAGE_COUNT, f"{len(stored)} messages are stored")
        for number, message in enumerate(stored):
            expect_equal(message.content, sent[number], f"message {number}")
    return f"{MESSAGE_COUNT} messages"


def extensions(path: str) -> str:
    with sink.running(path) as server, smtplib.SMTP("127.0.0.1", server.port, "client.test", timeout=10) as client:
        client.ehlo()
        for name in ("pipelining", "size", "8bitmime", "smtputf8", "enhancedstatuscodes", "chunking"):
            expect(client.has_extn(name), f"{name} is not announced")
        text = "Subject: ä\r\n\r\nö\r\n".encode()
        client.sendmail("ä@b.test", ["ö@d.test"], text, ["BODY=8BITMIME", "SMTPUTF8"])
        message = server.only_message()
        expect_equal(message.content, text, "the message")
        expect_equal(message.return_path, "ä@b.test".encode(), "Return-Path")
        expect(b"with UTF8SMTP id" in message.received, f"Received: is {message.received!r}")
        codes = [client.docmd(command)[0] for command in (
            "NOOP", "HELP", "VRFY someone", "EXPN all", "BOGUS", "MAIL FROM:<x@y> FOO=1",
            "MAIL FROM:<x@y> SIZE=99999999999", "DATA", "RCPT TO:<x@y>", "MAIL", "RSET")]
        expect(codes == [250, 214, 252, 502, 500, 555, 552, 503, 503, 501, 250], f"the replies are {codes}")
    return "SIZE, BODY, SMTPUTF8, and eleven other commands"


def unusual_addresses(path: str) -> str:
    commands = [("<>", "<Postmaster>"), (r'<"\@"@b.test>', '<"a b>"@[127.0.0.1]>'), ("<@one,@two:a@b>", "<@three:c@d>")]
    wanted = [(b"", b"postmaster"), (rb'"\@"@b.test', b'"a b>"@[127.0.0.1]'), (b"a@b", b"c@d")]
    with sink.running(path) as server, smtplib.SMTP("127.0.0.1", server.port, "client.test", timeout=10) as client:
        client.helo()
        for sender, recipient in commands:
            dialogue = ((f"MAIL FROM:{sender}", 250), (f"RCPT TO:{recipient}", 250), ("DATA", 354), (".", 250))
            for command, code in dialogue:
                got = client.docmd(command)
                expect(got[0] == code, f"{command!r} is answered with {got}")
        stored = [(message.return_path, message.recipients[0]) for message in server.messages]
        expect(stored == wanted, f"stored are {stored}")
    return "the null sender, quotes, source routes, Postmaster"


CHECKS = [
    Check("smtplib: 300 messages on one connection", many),
    Check("smtplib: extensions and commands", extensions),
    Check("smtplib: unusual addresses", unusual_addresses),
]
