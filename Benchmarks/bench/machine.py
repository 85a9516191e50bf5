"""What is asked of the machine: cores to pin to, descriptors, ports, tools; and a line that describes it."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import sys
from dataclasses import dataclass

from failure import Failure


def say(text: str) -> None:
    """Progress; the tables alone go to stdout."""
    print(text, file=sys.stderr, flush=True)


def need(tool: str, package: str | None) -> str:
    path = shutil.which(tool)
    if path is None:
        hint = f"install it (Debian: apt-get install {package})" if package else "put it on PATH"
        raise Failure(f"{tool} is missing; {hint}")
    return path


def raise_descriptor_limit() -> int:
    """To the hard limit, which servers and load inherit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@dataclass(frozen=True)
class Cores:
    server: list[str]  # what to put before a command
    load: list[str]
    description: str


def cores() -> Cores:
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        return Cores([], [], "one core for server and load together: NOT PINNED, figures are not comparable")
    server, load = allowed[:2]
    return Cores(["taskset", "-c", str(server)], ["taskset", "-c", str(load)],
                 f"server on core {server}, load on core {load}")


# Where the question is what more workers give: everything may run anywhere.
UNPINNED = Cores([], [], "server and load share all cores")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def somebody_listens_on(port: int) -> bool:
    """For servers that do not say so. Connecting to find out would be a connection that nobody counts."""
    with open("/proc/net/tcp", encoding="ascii") as lines:
        rows = [line.split() for line in lines][1:]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)  # 0A: TCP_LISTEN


def description() -> str:
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as text:
        for line in text:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{os.cpu_count()} cores, {model}, Linux {platform.release().partition('-')[0]}"
