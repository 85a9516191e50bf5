"""A drip-feed attack: many connections send a line a byte at a time, a byte a second, and never its end. Passes or fails.

The server has to cut each when the line's time is over, counted from its first byte (the first line's: from the connection), and
to hold little for each meanwhile: the memory is what the server has written to with all of them open, less that before,
divided by their number. A connection that behaves must be served all the while.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import time
from dataclasses import dataclass

import contenders
import machine
import process
from contenders import Contender
from failure import Failure
from server import Running, running
from table import number, print_heading, print_table

KNOWN = contenders.DRIPPED
CONTENDERS = "lines"
LATE_SECONDS_MAX = 1.5  # after the line's time; the bytes come a second apart, and the machine may be busy
BYTES_MAX = 1024


@dataclass(frozen=True)
class Outcome:
    bytes_per_connection: float
    first_cut: float
    last_cut: float


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connections", type=int, default=1000, metavar="N", help="default 1000")


def run(options: argparse.Namespace) -> int:
    rows, failed = [], False
    for contender in options.contenders:
        with running(contender, options) as server:
            outcome = attack(server, options)
        reasons = reasons_to_fail(outcome)
        failed = failed or bool(reasons)
        rows.append([contender.title, number(outcome.bytes_per_connection),
                     f"{outcome.first_cut:.2f} to {outcome.last_cut:.2f}", "; ".join(reasons) or "passed"])
    print_heading(f"Drip-feed, {options.connections:,} connections, a byte a second",
                  f"A line's time is {contenders.LINE_SECONDS} s.")
    print_table(["server", "bytes a connection", "cut after s", "verdict"], rows, names=1)
    return 1 if failed else 0


def reasons_to_fail(outcome: Outcome) -> list[str]:
    reasons = []
    if outcome.bytes_per_connection >= BYTES_MAX:
        reasons.append(f"FAILED: {BYTES_MAX} bytes a connection or more")
    if outcome.first_cut < contenders.LINE_SECONDS - 0.05:
        reasons.append("FAILED: cut too early")
    if outcome.last_cut > contenders.LINE_SECONDS + LATE_SECONDS_MAX:
        reasons.append("FAILED: cut too late")
    return reasons


def attack(server: Running, options: argparse.Namespace) -> Outcome:
    machine.raise_descriptor_limit()
    address = ("127.0.0.1", server.port)
    good = socket.create_connection(address, timeout=5)
    exchange(good)
    before = process.anonymous_kib(server.pid)
    with selectors.DefaultSelector() as selector:
        for _ in range(options.connections):
            dripping = socket.create_connection(address, timeout=5)
            dripping.setblocking(False)
            selector.register(dripping, selectors.EVENT_READ, time.monotonic())
        memory, cuts = drip(selector, good, server)
    good.close()
    return Outcome((memory - before) * 1024 / options.connections, min(cuts), max(cuts))


def drip(selector: selectors.BaseSelector, good: socket.socket, server: Running) -> tuple[int, list[float]]:
    """Returns the most memory that was seen while all were open, and how long each was."""
    cuts: list[float] = []
    memory, count = 0, len(selector.get_map())
    give_up = time.monotonic() + contenders.LINE_SECONDS + 30
    while selector.get_map():
        for key in list(selector.get_map().values()):
            try:
                key.fileobj.send(b"x")
            except (BrokenPipeError, ConnectionResetError):
                pass  # its end is about to be seen
        exchange(good)
        until = time.monotonic() + 1
        while (left := until - time.monotonic()) > 0 and selector.get_map():
            for key, _ in selector.select(left):
                cuts.append(time.monotonic() - key.data)
                selector.unregister(key.fileobj)
                key.fileobj.close()
        if len(selector.get_map()) == count:
            memory = max(memory, process.anonymous_kib(server.pid))
        if time.monotonic() > give_up:
            raise Failure(f"{len(selector.get_map())} connections are still open")
    return memory, cuts


def exchange(good: socket.socket) -> None:
    good.sendall(b"hello\n")
    if good.recv(100) != b"hello\n":
        raise Failure("the connection that behaves was not served")
