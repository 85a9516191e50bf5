"""Mail by swaks. What it says that it has sent is compared with what is stored."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile

import sink
from checks import Check, Failure, expect, expect_equal

SECONDS_MAX = 20
# What swaks ends with when a command was refused.
SENDER_REFUSED, RECIPIENT_REFUSED, MESSAGE_REFUSED = 23, 24, 26


def swaks(server: sink.Sink, *options: str, data: bytes | None = None, status: int = 0) -> bytes:
    """Runs swaks, which has to end with `status`. Returns the message as it was sent, without its dots."""
    command = ["swaks", "--server", f"127.0.0.1:{server.port}", "--helo", "client.test", "--from", "a@b.test", *options]
    if "--to" not in options:
        command += ["--to", "c@d.test"]
    if data is not None:
        command += ["--data", "-"]
    result = subprocess.run(command, input=data or b"", capture_output=True, timeout=SECONDS_MAX, check=False)
    if result.returncode != status:
        raise Failure(f"swaks ended with {result.returncode} instead of {status}: {result.stdout[-300:]!r}")
    return sent_message(result.stdout)


def sent_message(transcript: bytes) -> bytes:
    """From the transcript: what stands between the server's 354 and the dot."""
    lines: list[bytes] = []
    is_inside = False
    for line in transcript.split(b"\n"):
        if line.startswith(b"<-  354"):
            is_inside = True
        elif is_inside and line == b" -> .":
            break
        elif is_inside and line.startswith(b" -> "):
            # Some lines are printed with the CR that they end with.
            text = line[4:].removesuffix(b"\r")
            lines.append(text[1:] if text.startswith(b".") else text)
    return b"".join(line + b"\r\n" for line in lines)


def plain(path: str) -> str:
    with sink.running(path) as server:
        sent = swaks(server)
        message = server.only_message()
        expect_equal(message.content, sent, "the message")
        expect(message.return_path == b"a@b.test", f"Return-Path is {message.return_path!r}")
        for part in (b"from client.test ([127.0.0.1])", b"by mail.test with ESMTP id ", b"for <c@d.test>;"):
            expect(part in message.received, f"Received: is {message.received!r}")
        return f"{len(sent)} bytes"


def recipients(path: str) -> str:
    addresses = [f"user{number}@d.test" for number in range(20)]
    with sink.running(path) as server:
        for options in ([], ["--pipeline"]):
            sent = swaks(server, "--to", ",".join(addresses), *options)
            expect_equal(server.messages[-1].content, sent, "the message")
        for message in server.messages:
            expect(message.recipients == [text.encode() for text in addresses], "recipients are missing")
    return "20, with and without --pipeline"


def dots_and_bytes(path: str) -> str:
    data = "Subject: dots\n\n.\n..\n.x\nräksmörgås\n\xff".encode("latin-1")
    with sink.running(path) as server:
        swaks(server, "--pipeline", data=data)
        wanted = data.replace(b"\n", b"\r\n") + b"\r\n"
        content = server.only_message().content
        # It may end the last line, or add one.
        expect_equal(content[:len(wanted)], wanted, "the message")
        expect(content[len(wanted):] in (b"", b"\r\n"), f"{content[len(wanted):]!r} was added")
    return f"{len(data)} bytes"


def attachment(path: str) -> str:
    attached = os.urandom(4 << 20)
    with tempfile.NamedTemporaryFile() as file, sink.running(path) as server:
        file.write(attached)
        file.flush()
        before = server.peak_kilobytes
        sent = swaks(server, "--attach", f"@{file.name}")
        growth = server.peak_kilobytes - before
        content = server.only_message().content
        expect_equal(content, sent, "the message")
        encoded = content.rpartition(b"Content-Transfer-Encoding: BASE64\r\n\r\n")[2]
        expect_equal(base64.b64decode(encoded.partition(b"--")[0]), attached, "the attachment")
        expect(growth < 4096, f"the server has grown by {growth} KiB")
        return f"{len(content)} bytes, the server grew by {growth} KiB"


def refusals(path: str) -> str:
    with sink.running(path, "--size-max", "2000", "--recipients-max", "2") as server:
        swaks(server, "--from", "no-mailbox", status=SENDER_REFUSED)
        swaks(server, "--to", "c@-d", status=RECIPIENT_REFUSED)
        swaks(server, data=b"Subject: large\n\n" + b"x" * 60 + b"\n" * 3000, status=MESSAGE_REFUSED)
        expect(server.names == [], f"{server.names} is stored")
        swaks(server, "--to", "a@x.test,b@x.test,c@x.test")
        expect(len(server.only_message().recipients) == 2, "the third recipient is not refused")
    return "a sender, a recipient, a size, a third recipient"


CHECKS = [
    Check("swaks: a plain message", plain),
    Check("swaks: many recipients, pipelined", recipients),
    Check("swaks: lines of dots, and bytes beyond ASCII", dots_and_bytes),
    Check("swaks: an attachment of 4 MiB", attachment),
    Check("swaks: what is refused is not stored", refusals),
]
