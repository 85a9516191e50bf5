"""One server at a time: started pinned, awaited until it listens, ended by process id whatever happens."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass

import machine
from contenders import Contender
from failure import Failure
from machine import Cores

START_SECONDS_MAX = 30
END_SECONDS_MAX = 20


@dataclass(frozen=True)
class Running:
    port: int
    pid: int  # of the server itself, also when a tool runs it
    cores: Cores


@contextlib.contextmanager
def running(contender: Contender, options: argparse.Namespace, through: list[str] | None = None,
            cores: Cores | None = None, sink: int = 0) -> Iterator[Running]:
    """The server, for as long as the `with` lasts. `through` is a command that runs another: strace, env.
    It is pinned unless `cores` say otherwise; a proxy connects to the port `sink`.

    A shell writes its own process id and becomes the server, so the id is right behind any such command.
    """
    port, cores = machine.free_port(), cores or machine.cores()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        output_path, pid_path = os.path.join(directory, "output"), os.path.join(directory, "pid")
        become = ["sh", "-c", 'echo $$ >"$0"; exec "$@"', pid_path,
                  *contender.command_for(port, options, sink)]
        command = [*cores.server, *(through or []), *become]
        with open(output_path, "wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT,
                                       stdin=subprocess.DEVNULL)
        try:
            wait_until_listening(contender, port, process, output_path)
            yield Running(port, pid_from(pid_path), cores)
            end(contender, process, pid_from(pid_path), output_path)
        finally:
            kill(process, pid_path)


def wait_until_listening(contender: Contender, port: int, process: subprocess.Popen[bytes],
                         output_path: str) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        text = contents(output_path)
        says = any(line.startswith("listening on") for line in text.splitlines())
        if says or (not contender.announces and machine.somebody_listens_on(port)):
            return
        if process.poll() is not None:
            raise Failure(f"{contender.key} ended with status {process.returncode}, never listened: {text}")
        time.sleep(0.02)
    raise Failure(f"{contender.key} was not listening within {START_SECONDS_MAX} s: "
                  f"{contents(output_path)}")


def end(contender: Contender, process: subprocess.Popen[bytes], pid: int, output_path: str) -> None:
    """Asks with SIGTERM; a server that does not end by that, or ends badly, is a failure of the run."""
    with contextlib.suppress(ProcessLookupError):
        if process.poll() is None:
            os.kill(pid, signal.SIGTERM)
    try:
        process.wait(END_SECONDS_MAX)
    except subprocess.TimeoutExpired as slow:
        raise Failure(f"{contender.key} did not end within {END_SECONDS_MAX} s of SIGTERM") from slow
    if process.returncode not in contender.end_statuses:
        raise Failure(f"{contender.key} ended with status {process.returncode}: {contents(output_path)}")


def kill(process: subprocess.Popen[bytes], pid_path: str) -> None:
    """The server first: a tool that runs it ends with it. Nothing is signalled once that has ended.
    It may be so early that the server has not written its id yet."""
    if process.poll() is not None:
        return
    with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
        os.kill(pid_from(pid_path), signal.SIGKILL)
        process.wait(2)
    process.kill()
    process.wait()


def pid_from(path: str) -> int:
    with open(path, encoding="ascii") as text:
        return int(text.read())


def contents(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as text:
        return text.read()
