"""scripts/bench: compares TCP servers. Here is the command line; each command is a file of its own.

A run is: contenders.py names the servers, build.py builds them, and for each measurement server.py starts
one, load.py loads it, table.py prints what came of it. machine.py knows cores, limits and tools.
"""

from __future__ import annotations

import argparse
import signal
import sys

import allocations
import build
import churn
import contenders
import drip
import echo
import idle
import latency
import lines
import machine
import proxy
import refuse
import room
import scaling
import simulation
import soak
import syscalls
from failure import Failure

COMMANDS = {
    "echo": (echo, "requests a second, CPU time a request, latency, in a closed loop"),
    "churn": (churn, "connections a second, CPU time a connection, with one message on each"),
    "latency": (latency, "one message at a time: the time there and back"),
    "scaling": (scaling, "echo with one worker and with two, the load sharing the machine"),
    "proxy": (proxy, "bytes a second through a TCP proxy, CPU time a GB"),
    "room": (room, "chat: deliveries a second, CPU time a delivery, one worker and two"),
    "idle": (idle, "memory of the server for each idle connection"),
    "hold": (idle.hold, "15,000 connections held and echoed on: passes or fails"),
    "soak": (soak, "two million short connections, memory and descriptors watched: passes or fails"),
    "lines": (lines, "echo of lines beside echo of raw bytes: CPU time a line"),
    "refuse": (refuse, "a flood of bad first lines, refused by a filter: CPU time a connection"),
    "drip": (drip, "a thousand connections that send a byte a second: passes or fails"),
    "simulation": (simulation, "what tests in the simulation cost: an exchange, 1,000 seeds, an hour"),
    "syscalls": (syscalls, "system calls a message, by strace or perf"),
    "allocations": (allocations, "heap allocations a message, by thread"),
}


def common_options(module: object) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    known, default = getattr(module, "KNOWN", contenders.ECHO), module.CONTENDERS
    keys = ",".join(contender.key for contender in known)
    options.add_argument(
        "--contenders", type=contenders.chooser(known), default=default, metavar="LIST",
        help=f"any of {keys}, or name='command with {{port}}' for another server (default {default})")
    options.add_argument("--no-build", action="store_true", help="run what is already built")
    options.add_argument("--scratch-path", default=build.SCRATCH, metavar="DIR",
                         help="where the other servers and the load are built (default Benchmarks/.build)")
    options.add_argument("--root-scratch-path", default=build.ROOT_SCRATCH, metavar="DIR",
                         help="where swift-aio is built (default .build)")
    return options


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Builds TCP servers in release, runs each pinned to one core with the load on "
                    "another, loopback only, and prints Markdown tables.",
        epilog="scripts/bench COMMAND --help says what a command measures, and its options.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=module.__doc__,
                                  parents=[common_options(module)],
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_options(sub)
    return parser


def end_by_exception(number: int, _frame: object) -> None:
    """So that a signal runs every `finally`, and with them ends the servers."""
    sys.exit(128 + number)


def main() -> int:
    options = command_line().parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, end_by_exception)
    try:
        machine.raise_descriptor_limit()
        machine.need("taskset", "util-linux")
        if not options.no_build:
            build.build(options)
        module, _ = COMMANDS[options.command]
        return module.run(options)
    except Failure as failure:
        print(f"scripts/bench: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
