"""What a process holds, as the kernel tells."""

from __future__ import annotations

import os


def private_kib(pid: int) -> int:
    """User memory that it shares with nobody."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def anonymous_kib(pid: int) -> int:
    """Memory that it has written to, without the pages of its program that it happens to have touched."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
