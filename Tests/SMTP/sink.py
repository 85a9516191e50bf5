"""One smtp-sink: started on a port of the kernel's choice, its store looked at, ended by SIGTERM, and it must end
well."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from checks import Failure, expect

START_SECONDS_MAX = 10
END_SECONDS_MAX = 15


@dataclass(frozen=True)
class Message:
    """A stored file, taken apart into the server's lines and what was sent."""
    return_path: bytes
    recipients: list[bytes]
    received: bytes
    content: bytes


@dataclass
class Sink:
    process: subprocess.Popen[bytes]
    port: int
    store: str
    #: What it has printed, but for the first line; complete when it has ended.
    lines: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return sorted(os.listdir(self.store))

    @property
    def messages(self) -> list[Message]:
        """In the order in which they began to come."""
        return [self._message(name) for name in self.names]

    def _message(self, name: str) -> Message:
        expect(name.endswith(".eml") and not name.startswith("."), f"the store contains {name}")
        with open(os.path.join(self.store, name), "rb") as file:
            rest = file.read()
        trace: list[bytes] = []
        while True:
            line, _, behind = rest.partition(b"\r\n")
            if trace and trace[-1].startswith(b"Received:") and not line.startswith(b"\t"):
                break
            if line.startswith(b"\t"):
                trace[-1] += line
            else:
                expect(len(trace) < 1000 and bool(behind), f"{name} has no Received: line")
                trace.append(line)
            rest = behind
        expect(trace[0].startswith(b"Return-Path: <"), f"{name} begins with {trace[0]!r}")
        return Message(trace[0][14:-1], [line[16:-1] for line in trace[1:-1]], trace[-1], rest)

    def only_message(self) -> Message:
        messages = self.messages
        expect(len(messages) == 1, f"{len(messages)} messages are stored instead of one")
        return messages[0]

    @property
    def peak_kilobytes(self) -> int:
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

    def wait_for_line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], END_SECONDS_MAX)
        expect(bool(ready), "the server prints nothing")
        line = self.process.stdout.readline().decode().rstrip("\n")
        self.lines.append(line)
        return line


@contextlib.contextmanager
def running(path: str, *options: str, stores: bool = True) -> Iterator[Sink]:
    """The sink, for as long as the `with` lasts. It must end with status 0, on SIGTERM at the latest."""
    with tempfile.TemporaryDirectory(prefix="smtp-sink-") as store:
        arguments = [path, "--listen", "127.0.0.1:0", "--hostname", "mail.test", *options]
        if stores:
            arguments += ["--store", store]
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            yield _started(process, store)
            if process.poll() not in (None, 0):
                raise Failure(f"the server ended with status {process.returncode}")
        finally:
            status = _end(process)
        expect(status == 0, f"the server ended with status {status} on SIGTERM")


def _started(process: subprocess.Popen[bytes], store: str) -> Sink:
    sink = Sink(process, 0, store)
    line = sink.wait_for_line()
    expect(line.startswith("listening on 127.0.0.1:"), f"the server says {line!r} instead of where it listens")
    sink.port = int(line.rpartition(":")[2])
    sink.lines.clear()
    return sink


def _end(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdout
    process.stdout.close()
    return process.returncode


def wait_until(condition, what: str) -> None:
    """For what the server does after the client has gone."""
    end = time.monotonic() + 5
    while not condition():
        expect(time.monotonic() < end, what)
        time.sleep(0.01)
