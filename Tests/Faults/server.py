"""One event-echo: started with a limit or under a tool, looked at through /proc, ended by SIGTERM, and it must end
well."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from checks import Failure

START_SECONDS_MAX = 30
END_SECONDS_MAX = 20


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[bytes]
    port: int
    stderr_path: str

    @property
    def stderr(self) -> str:
        return contents(self.stderr_path)

    @property
    def descriptor_count(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    @property
    def thread_count(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    @property
    def cpu_seconds(self) -> float:
        # proc(5): fields 14 and 15 of stat, counted behind the name, which may contain blanks.
        fields = contents(f"/proc/{self.process.pid}/stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def expect_alive(self) -> None:
        status = self.process.poll()
        if status is not None:
            raise Failure(f"the server ended with status {status}: {self.stderr.strip()[-300:]}")


@contextlib.contextmanager
def running(path: str, workers: int = 1, descriptors_max: int | None = None, through: list[str] | None = None,
            ) -> Iterator[Server]:
    """The server, for as long as the `with` lasts. `through` is a command that becomes the one behind it: strace -D.

    At the end it must still be there, and end with status 0 within seconds of SIGTERM.
    """
    def limit() -> None:
        if descriptors_max is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors_max, descriptors_max))

    with tempfile.TemporaryDirectory(prefix="faults-") as directory:
        stdout_path, stderr_path = os.path.join(directory, "stdout"), os.path.join(directory, "stderr")
        command = [*(through or []), path, "--port", "0", "--workers", str(workers)]
        with open(stdout_path, "wb") as stdout, open(stderr_path, "wb") as stderr:
            process = subprocess.Popen(command, stdout=stdout, stderr=stderr, stdin=subprocess.DEVNULL,
                                       preexec_fn=limit)
        try:
            server = Server(process, port_from(process, stdout_path, stderr_path), stderr_path)
            yield server
            server.expect_alive()
            end(server)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def port_from(process: subprocess.Popen[bytes], stdout_path: str, stderr_path: str) -> int:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        for line in contents(stdout_path).splitlines(keepends=True):
            if line.startswith("listening on") and line.endswith("\n"):
                return int(line.rpartition(":")[2])
        if process.poll() is not None:
            raise Failure(f"the server ended with status {process.returncode}, never listened: "
                          f"{contents(stderr_path).strip()[-300:]}")
        time.sleep(0.01)
    raise Failure(f"the server did not print 'listening on' within {START_SECONDS_MAX} s")


def end(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)
    try:
        status = server.process.wait(END_SECONDS_MAX)
    except subprocess.TimeoutExpired as slow:
        raise Failure(f"the server did not end within {END_SECONDS_MAX} s of SIGTERM") from slow
    if status != 0:
        raise Failure(f"the server ended with status {status} after SIGTERM: {server.stderr.strip()[-300:]}")


def eventually(seconds_max: float, condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true in time. What it waits for has no event that a client could see."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def contents(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as text:
        return text.read()
