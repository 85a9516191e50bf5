"""Idle connections: each is opened, echoes one message, then waits; afterwards each echoes once more.

What a connection costs is the server's private memory with all of them open, less that with one, divided by
their number. It is user memory: the socket and its buffers are the kernel's, and the same for every server.
"""

from __future__ import annotations

import argparse
from types import SimpleNamespace

import machine
from contenders import Contender
from failure import Failure
from load import load
from server import running
from table import number, print_heading, print_table

CONTENDERS = "c,nio,nio-async,tokio,closure,actor"
DESCRIPTORS_SPARE = 100  # what a server may hold besides its connections


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connections", type=int, default=8000, metavar="N", help="default 8000")
    parser.add_argument("--seconds", type=float, default=2, metavar="S", help="held idle (default 2)")


def run(options: argparse.Namespace) -> int:
    rows = []
    for contender in options.contenders:
        report = measure(contender, options)
        machine.say(f"{contender.key}: {report['bytes_per_connection']:,.0f} bytes a connection")
        moments = [number(report[f"memory_{when}"]["private_kib"]) for when in ("before", "open", "after")]
        rows.append([contender.title, number(report["bytes_per_connection"]), *moments])
    print_heading(f"Idle memory, {options.connections:,} connections",
                  f"Private user memory of the server's process, held for {options.seconds:g} s.")
    print_table(["server", "bytes a connection", "KiB with 1", f"KiB with {options.connections:,}",
                 "KiB after one more message on each"], rows)
    return 0


def measure(contender: Contender, options: argparse.Namespace) -> dict:
    limit = machine.raise_descriptor_limit()
    if options.connections + DESCRIPTORS_SPARE > limit:
        raise Failure(f"{options.connections:,} connections need as many descriptors; the hard limit here is "
                      f"{limit:,} (ulimit -Hn, or LimitNOFILE= of the service)")
    with running(contender, options) as server:
        return load(server, contender, options, seconds_max=options.seconds + 240,
                    idle=options.connections, seconds=options.seconds)


def add_hold_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connections", type=int, default=15000, metavar="N", help="default 15000")
    parser.add_argument("--seconds", type=float, default=10, metavar="S", help="held (default 10)")


def run_hold(options: argparse.Namespace) -> int:
    rows, failed = [], False
    for contender in options.contenders:
        try:
            report = measure(contender, options)
            verdict, detail = "passed", f"{report['messages']:,} echoes, opened in {report['seconds']:.1f} s"
        except Failure as failure:
            verdict, detail, failed = "FAILED", str(failure), True
        machine.say(f"{contender.key}: {verdict}: {detail}")
        rows.append([contender.title, verdict, detail])
    print_heading(f"{options.connections:,} connections, held for {options.seconds:g} s",
                  "Passed: each echoed a message when opened and one after the hold, byte for byte, was "
                  "never closed before, and was closed by the server once the client had finished.")
    print_table(["server", "verdict", "detail"], rows, names=3)
    return 1 if failed else 0


# The command `hold`, in the form of a command's file.
hold = SimpleNamespace(
    __doc__="""Holds many connections: each echoes a message when opened and another after the hold, byte for
byte; none may be closed meanwhile, all must be closed after. Ends non-zero when a contender fails.
""",
    CONTENDERS="c,closure,actor", add_options=add_hold_options, run=run_hold)
