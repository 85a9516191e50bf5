"""What no mail library would send: cut where it hurts, out of order, too much, or not mail at all."""

from __future__ import annotations

import random
import time

import sink
from checks import Check, expect, expect_equal
from wire import ENVELOPE, connected

SEED = 5321


def order(path: str) -> str:
    with sink.running(path) as server, connected(server.port, greets=False) as wire:
        message = b"QUIT\r\n..\r\n.\r\n"
        wire.send(b"EHLO client.test\r\nBOGUS\r\nNOOP\r\n" + ENVELOPE + message + b"NOOP\r\nBOGUS\r\nRSET\r\nQUIT\r\n")
        wire.expect(250, 500, 250, 250, 250, 354, 250, 250, 500, 250, 221)
        wire.expect_end()
        expect_equal(server.only_message().content, b"QUIT\r\n.\r\n", "the message")
    return "eleven replies to one packet"


def split(path: str) -> str:
    session = ENVELOPE + b"Subject: x\r\n\r\n..\r\nend\r\n.\r\nNOOP\r\n"
    with sink.running(path) as server, connected(server.port) as wire:
        for cut in range(1, len(session)):
            wire.send(session[:cut])
            # Long enough that the server has read the one before the other comes.
            time.sleep(0.002)
            wire.send(session[cut:])
            wire.expect(250, 250, 354, 250, 250)
        for message in server.messages:
            expect_equal(message.content, b"Subject: x\r\n\r\n.\r\nend\r\n", "the message")
    return f"at each of {len(session) - 1} places"


def smuggling(path: str) -> str:
    evil = b"MAIL FROM:<evil@x>\r\nRCPT TO:<y@z>\r\nDATA\r\nevil\r\n.\r\n"
    ends = [b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r", b"\r\n\x00.\r\n"]
    with sink.running(path) as server, connected(server.port) as wire:
        for end in ends[:-1]:
            wire.send(ENVELOPE + b"x" + end + evil + b"NOOP\r\n")
            wire.expect(250, 250, 354, 550, 250)
        expect(server.names == [], f"{server.names} is stored")
        wire.send(ENVELOPE + b"x" + ends[-1] + evil)
        wire.expect(250, 250, 354, 250)
        expect_equal(server.only_message().content, b"x" + ends[-1] + evil[:-3], "the message")
    return f"{len(ends)} ends that are none"


def garbage(path: str) -> str:
    generator = random.Random(SEED)
    with sink.running(path) as server:
        for _ in range(10):
            with connected(server.port, greets=False) as wire:
                junk = generator.randbytes(20_000)
                wire.send(junk + b"\r\nNOOP\r\n")
                codes = [wire.reply() for _ in range(junk.count(b"\r\n") + 2)]
                expect(codes[-1] == 250 and set(codes[:-1]) == {500}, f"the replies are {codes}")
        with connected(server.port, greets=False) as wire:
            wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nNOOP\r\n")
            wire.expect(500, 500, 500, 250)
        with connected(server.port) as wire:
            wire.send(b"NOOP " + b"x" * 1_000_000 + b"\r\nNOOP\r\n")
            wire.expect(500, 250)
    return f"10 times 20,000 bytes, a line of 1,000,000 (seed {SEED})"


def limits(path: str) -> str:
    line = b"x" * 998 + b"\r\n"
    with sink.running(path, "--size-max", "100000", "--recipients-max", "5") as server, connected(server.port) as wire:
        wire.send(ENVELOPE + line * 100 + b".\r\n" + ENVELOPE + line * 100 + b"\r\n.\r\n")
        wire.expect(250, 250, 354, 250, 250, 250, 354, 552)
        wire.send(ENVELOPE + line * 3000 + b".\r\n" + ENVELOPE + b"x" + line + b".\r\n")
        wire.expect(250, 250, 354, 552, 250, 250, 354, 500)
        wire.send(b"MAIL FROM:<a@b>\r\n" + b"RCPT TO:<c@d>\r\n" * 7 + b"RSET\r\n")
        wire.expect(250, 250, 250, 250, 250, 250, 452, 452, 250)
        expect_equal(server.only_message().content, line * 100, "the message")
    return "size, line, recipients"


def chunks(path: str) -> str:
    content = random.Random(SEED).randbytes(3000).replace(b"\r", b"r").replace(b"\n", b"n")
    content = b"\r\n".join(content[i:i + 500] for i in range(0, 3000, 500)) + b"\r\n.\r\n"
    with sink.running(path) as server, connected(server.port) as wire:
        wire.send(b"BDAT 4\r\nQUITMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")
        wire.send(b"BDAT 1000\r\n" + content[:1000])
        wire.send(b"BDAT %d LAST\r\n" % (len(content) - 1000) + content[1000:] + b"NOOP\r\n")
        wire.expect(503, 250, 250, 250, 250, 250)
        expect_equal(server.only_message().content, content, "the message")
    return f"{len(content)} bytes by BDAT"


def broken_off(path: str) -> str:
    with sink.running(path) as server:
        for breaks in ("reset", "close", "quit"):
            with connected(server.port) as wire:
                wire.send(ENVELOPE)
                wire.expect(250, 250, 354)
                wire.send(b"x" * 78 + b"\r\n")
                for _ in range(40):
                    wire.send((b"x" * 78 + b"\r\n") * 100)
                sink.wait_until(lambda: server.names != [], "a long message has no file while it comes")
                expect(server.names[0].startswith("."), f"{server.names} is there before the message is")
                if breaks == "reset":
                    wire.reset()
                elif breaks == "quit":
                    wire.send(b"QUIT\r\n")
            sink.wait_until(lambda: server.names == [], f"{server.names} is left behind by a {breaks}")
    return "by a reset, a close, and a QUIT that is text"


CHECKS = [
    Check("sockets: replies in the order of the commands", order),
    Check("sockets: a session cut in two", split),
    Check("sockets: smuggling", smuggling),
    Check("sockets: garbage", garbage),
    Check("sockets: limits, and what follows is understood", limits),
    Check("sockets: chunks", chunks),
    Check("sockets: messages that break off leave no file", broken_off),
]
