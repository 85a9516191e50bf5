"""After load the server holds what it held before: descriptors exactly, threads and memory within what the first
round of the same load had made it take."""

from __future__ import annotations

import re

import clients
import server
from checks import Check, expect

ROUNDS = 6
MEMORY_SLACK_KIB = 8 << 10


def after_load(path: str) -> str:
    with server.running(path, workers=2) as running:
        idle = running.descriptor_count
        taken = []
        for number in range(ROUNDS):
            load(running.port, number)
            expect(server.eventually(10, lambda: running.descriptor_count == idle),
                   f"round {number}: {running.descriptor_count} descriptors open, {idle} when idle")
            taken.append((running.thread_count, resident_kib(running)))
        threads, memory = taken[1]
        expect(taken[-1][0] <= threads, f"threads grow: {[count for count, _ in taken]}")
        expect(taken[-1][1] <= memory + MEMORY_SLACK_KIB, f"memory grows, KiB: {[kib for _, kib in taken]}")
        return f"{idle} descriptors, {taken[-1][0]} threads, {memory} then {taken[-1][1]} KiB resident"


def load(port: int, number: int) -> None:
    """Clients that end well, and clients that reset in the middle."""
    def client_of(seed: int) -> str:
        if seed % 3:
            return clients.ask_and_wait(port, number * 1000 + seed, messages=5)
        client = clients.connected(port)
        client.send(b"x" * 10_000)
        clients.reset(client)
        return clients.CUT

    for _ in range(4):
        outcomes = clients.all_of(60, client_of)
        expect(outcomes.count(clients.WHOLE) == 40, f"cut: {outcomes.count(clients.CUT)} connections; expected 20")


def resident_kib(running: server.Server) -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", server.contents(f"/proc/{running.process.pid}/status"))[1])


CHECKS = [Check("leaks: none after load", after_load)]
