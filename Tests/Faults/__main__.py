"""scripts/check-faults: event-echo in a hostile world. Each check is a function; here is the list and the command line.

server.py starts the server and looks into /proc; clients.py verifies every byte; the other files hold the checks:
what it says when it cannot start, a full descriptor table, failing system calls (strace), small socket buffers (a
network namespace), peers that die, and whether it is afterwards as it was before.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import time

import exhaustion
import injection
import leaks
import outcome
import peers
import small_buffers
import starting

CHECKS = [*starting.CHECKS, *exhaustion.CHECKS, *injection.CHECKS, *small_buffers.CHECKS, *peers.CHECKS,
          *leaks.CHECKS]


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/check-faults",
        description="Runs event-echo under faults that happen rarely and checks what its clients see. Loopback only. "
                    "One line a check.")
    parser.add_argument("--server", required=True, metavar="PATH", help="the event-echo to run")
    parser.add_argument("--only", default="", metavar="WORDS", help="only the checks whose name contains the words")
    parser.add_argument("--list", action="store_true", help="name the checks and do nothing")
    return parser


def run(check: outcome.Check, server: str) -> bool:
    """Runs one check and prints its line; False if it failed."""
    begin = time.monotonic()
    try:
        detail, word = check.body(server), "ok"
    except outcome.Skipped as reason:
        detail, word = str(reason), "skip"
    except (outcome.Failure, OSError) as failure:
        detail, word = str(failure), "FAILED"
    print(f"{word:<6} {check.name:<58} {time.monotonic() - begin:5.1f} s  {detail}", flush=True)
    return word != "FAILED"


def end_by_exception(number: int, _frame: object) -> None:
    """So that a signal runs every `finally`, and with them ends the servers."""
    sys.exit(128 + number)


def main() -> int:
    options = command_line().parse_args()
    checks = [check for check in CHECKS if options.only in check.name]
    if options.list:
        print("\n".join(check.name for check in checks))
        return 0
    if not checks:
        print(f"check-faults: no check is named like \"{options.only}\"", file=sys.stderr)
        return 2
    if not os.access(options.server, os.X_OK):
        print(f"check-faults: {options.server} is not a program", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, end_by_exception)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096) if hard != resource.RLIM_INFINITY else 4096, hard))

    begin = time.monotonic()
    failed = [check.name for check in checks if not run(check, options.server)]
    print(f"check-faults: {len(checks)} checks, {len(failed)} failed, {time.monotonic() - begin:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
