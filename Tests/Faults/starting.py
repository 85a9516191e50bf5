"""What event-echo says when it cannot start: one line that names the trouble, and a status that is not zero."""

from __future__ import annotations

import resource
import subprocess

import server
from checks import Check, expect


def failed_start(path: str, port: int, descriptors_max: int | None = None) -> str:
    def limit() -> None:
        if descriptors_max is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors_max, descriptors_max))

    ended = subprocess.run([path, "--port", str(port), "--workers", "2"], capture_output=True, text=True,
                           timeout=server.START_SECONDS_MAX, preexec_fn=limit, check=False)
    expect(ended.returncode > 0, f"status {ended.returncode}; expected one that is not zero, and no signal")
    expect("listening on" not in ended.stdout, "it said that it listens")
    lines = ended.stderr.strip().splitlines()
    expect(len(lines) == 1, f"{len(lines)} lines on standard error: {lines}")
    return lines[0]


def port_in_use(path: str) -> str:
    with server.running(path) as running:
        line = failed_start(path, running.port)
    expect("addressInUse" in line and str(running.port) in line, f"it said: {line}")
    return line


def no_descriptors(path: str) -> str:
    line = failed_start(path, 0, descriptors_max=8)
    # Below seven, the Swift runtime itself may trap while it starts.
    expect("descriptorLimit" in line, f"it said: {line}")
    return line


CHECKS = [
    Check("start: the port is in use", port_in_use),
    Check("start: too few descriptors for the workers", no_descriptors),
]
