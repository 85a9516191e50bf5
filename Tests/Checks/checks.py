"""What scripts/check-faults and scripts/check-smtp have in common: what a check is, what may come of it, and the command line
that runs them. Both put this folder on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


class Failure(Exception):
    """The server did something wrong; the text is the sentence that is printed."""


class Skipped(Exception):
    """What the check needs cannot be made on this machine, and why."""


@dataclass(frozen=True)
class Check:
    name: str
    #: Takes the path of the server; returns what it saw, in a few words.
    body: Callable[[str], str]


def expect(condition: bool, sentence: str) -> None:
    if not condition:
        raise Failure(sentence)


def expect_equal(got: bytes, wanted: bytes, what: str) -> None:
    """Byte for byte; says where they part."""
    if got == wanted:
        return
    place = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
    raise Failure(f"{what}: {len(got)} bytes instead of {len(wanted)}, different at {place}: "
                  f"{got[place:place + 20]!r} instead of {wanted[place:place + 20]!r}")


def main(program: str, description: str, checks: list[Check], prepare: Callable[[], None] = lambda: None) -> int:
    """Runs those of `checks` that the command line chooses; `prepare` comes before the first."""
    options = command_line(program, description).parse_args()
    chosen = [check for check in checks if options.only in check.name]
    if options.list:
        print("\n".join(check.name for check in chosen))
        return 0
    if not chosen:
        print(f"{program}: no check is named like \"{options.only}\"", file=sys.stderr)
        return 2
    if not os.access(options.server, os.X_OK):
        print(f"{program}: {options.server} is not a program", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, end_by_exception)
    prepare()
    begin = time.monotonic()
    failed = [check.name for check in chosen if not run(check, options.server)]
    print(f"{program}: {len(chosen)} checks, {len(failed)} failed, {time.monotonic() - begin:.0f} s")
    return 1 if failed else 0


def command_line(program: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"scripts/{program}",
                                     description=f"{description} Loopback only. One line a check.")
    parser.add_argument("--server", required=True, metavar="PATH", help="the program to run")
    parser.add_argument("--only", default="", metavar="WORDS", help="only the checks whose name contains the words")
    parser.add_argument("--list", action="store_true", help="name the checks and do nothing")
    parser.add_argument("--no-build", action="store_true", help="run what was built before")
    return parser


def run(check: Check, server: str) -> bool:
    """Runs one check and prints its line; False if it failed."""
    begin = time.monotonic()
    try:
        detail, word = check.body(server), "ok"
    except Skipped as reason:
        detail, word = str(reason), "skip"
    except (Failure, OSError, subprocess.SubprocessError) as failure:
        detail, word = str(failure) or type(failure).__name__, "FAILED"
    print(f"{word:<6} {check.name:<58} {time.monotonic() - begin:5.1f} s  {detail}", flush=True)
    return word != "FAILED"


def end_by_exception(number: int, _frame: object) -> None:
    """So that a signal runs every `finally`, and with them ends the servers."""
    sys.exit(128 + number)
