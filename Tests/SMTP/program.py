"""The program: its command line, its signals, its disk."""

from __future__ import annotations

import os
import signal
import subprocess

import sink
from checks import Check, expect
from wire import ENVELOPE, Wire, connected


def command_line(path: str) -> str:
    wrong = [["--size-max", "0"], ["--recipients-max", "0"], ["--hostname", ""], ["--listen", "nowhere"],
             ["--workers", "-1"], ["--store", "/nonexistent"], ["--connections-max", "0"], ["--data-timeout", "0"],
             ["--bogus"]]
    for options in wrong:
        command = [path, "--listen", "127.0.0.1:0", *options]
        result = subprocess.run(command, capture_output=True, timeout=10, check=False)
        expect(0 < result.returncode < 128, f"{options}: ended with {result.returncode}")
        expect(bool(result.stderr.strip()), f"{options}: nothing is said")
    return f"{len(wrong)} that make no sense"


def counts(path: str) -> str:
    with sink.running(path, stores=False) as server:
        with connected(server.port) as wire:
            wire.send((ENVELOPE + b"x\r\n.\r\n") * 3 + ENVELOPE + b"x\n.\r\n\r\n.\r\n")
            wire.expect(*[250, 250, 354, 250] * 3, 250, 250, 354, 550)
        server.process.send_signal(signal.SIGUSR1)
        line = server.wait_for_line()
        expect(line == "sessions 1 messages 3 recipients 3 bytes 9 refused 1", f"the counts are {line!r}")
        expect(server.names == [], "a sink that counts has stored something")
    return line


def drain(path: str) -> str:
    with sink.running(path) as server, connected(server.port) as idle, connected(server.port) as busy:
        busy.send(ENVELOPE + b"x\r\n")
        busy.expect(250, 250, 354)
        server.process.send_signal(signal.SIGTERM)
        idle.expect(421)
        idle.expect_end()
        idle.socket.close()
        busy.send(b"y\r\n.\r\n")
        busy.expect(250, 421)
        busy.expect_end()
        busy.socket.close()
        expect(server.only_message().content == b"x\r\ny\r\n", "the message is not whole")
        server.process.wait(sink.END_SECONDS_MAX)
        return "421 to who is idle, 250 to who was sending"


def connections(path: str) -> str:
    with sink.running(path, "--connections-max", "2") as server:
        with connected(server.port), connected(server.port):
            third = Wire(server.port)
            third.expect(421)
            third.expect_end()
            third.socket.close()
        # Their ends are known to the server a moment later.
        sink.wait_until(lambda: is_greeted(server.port), "a connection is refused though there is room")
    return "421 to the third of two"


def is_greeted(port: int) -> bool:
    wire = Wire(port)
    try:
        return wire.reply() == 220
    finally:
        wire.socket.close()


def disk(path: str) -> str:
    with sink.running(path) as server, connected(server.port) as wire:
        os.rmdir(server.store)
        wire.send(ENVELOPE + b"x\r\n.\r\n")
        wire.expect(250, 250, 354, 451)
        os.mkdir(server.store)
        wire.send(ENVELOPE + b"x\r\n.\r\n")
        wire.expect(250, 250, 354, 250)
        server.only_message()
    return "451 while the store is gone"


CHECKS = [
    Check("program: command lines that make no sense", command_line),
    Check("program: counts", counts),
    Check("program: a drain", drain),
    Check("program: connections above the maximum", connections),
    Check("program: a store that cannot be written", disk),
]
