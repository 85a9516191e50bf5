"""scripts/check-smtp: smtp-sink and clients that are not of this project. Each check is a function; here is the
list and the command line.

sink.py starts the server and reads what it has stored; wire.py is a client of plain sockets; the other files hold the
checks: swaks, Python's smtplib, what neither would send, and the program itself.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time

import outcome
import program
import with_smtplib
import with_sockets
import with_swaks

CHECKS = [*with_swaks.CHECKS, *with_smtplib.CHECKS, *with_sockets.CHECKS, *program.CHECKS]


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/check-smtp",
        description="Sends mail to smtp-sink and compares what is stored with what was sent. Loopback only. "
                    "One line a check.")
    parser.add_argument("--server", required=True, metavar="PATH", help="the smtp-sink to run")
    parser.add_argument("--only", default="", metavar="WORDS", help="only the checks whose name contains the words")
    parser.add_argument("--list", action="store_true", help="name the checks and do nothing")
    parser.add_argument("--no-build", action="store_true", help="run the smtp-sink that was built before")
    return parser


def run(check: outcome.Check, server: str) -> bool:
    """Runs one check and prints its line; False if it failed."""
    begin = time.monotonic()
    try:
        detail, word = check.body(server), "ok"
    except (outcome.Failure, OSError, subprocess.SubprocessError) as failure:
        detail, word = str(failure) or type(failure).__name__, "FAILED"
    print(f"{word:<6} {check.name:<48} {time.monotonic() - begin:5.1f} s  {detail}", flush=True)
    return word == "ok"


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
        print(f"check-smtp: no check is named like \"{options.only}\"", file=sys.stderr)
        return 2
    if not os.access(options.server, os.X_OK):
        print(f"check-smtp: {options.server} is not a program", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, end_by_exception)
    begin = time.monotonic()
    failed = [check.name for check in checks if not run(check, options.server)]
    print(f"check-smtp: {len(checks)} checks, {len(failed)} failed, {time.monotonic() - begin:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
