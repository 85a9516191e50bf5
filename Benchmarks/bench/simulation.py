"""What tests in the simulation cost, in processor time, beside an exchange over SwiftNIO's testing channel.

Each contender is a program that measures itself and prints what it found: it serves nobody. `AIOTesting` runs the
engine over a simulated kernel and network, NIO's testing channel one handler by itself; the two are not the same
thing, and the second is here to show what people pay elsewhere.
"""

from __future__ import annotations

import argparse
import json
import subprocess

import contenders
import machine
from failure import Failure
from table import median_of, print_heading, print_table

CONTENDERS = "simulated,nio-testing"
KNOWN = contenders.SIMULATIONS
COLUMNS = {"exchange_us": "exchange, plain run, µs", "exchange_drawn_us": "exchange, drawn orders, µs",
           "seeds_s": "1,000 seeds of a small test, s", "hour_ms": "an hour's timeout, ms"}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=7, metavar="R", help="default 7")


def run(options: argparse.Namespace) -> int:
    results: dict[str, list[dict]] = {contender.key: [] for contender in options.contenders}
    for number in range(options.rounds):
        machine.say(f"round {number + 1} of {options.rounds}")
        for contender in options.contenders:
            results[contender.key].append(measured(contender, options))
    print_heading("Tests in the simulation",
                  f"CPU time of the process; medians of {options.rounds} rounds; 64-byte messages.")
    print_table(["", *COLUMNS.values()],
                [[contender.title, *(cell(results[contender.key], key) for key in COLUMNS)]
                 for contender in options.contenders])
    return 0


def measured(contender: contenders.Contender, options: argparse.Namespace) -> dict:
    command = [*machine.cores().server, *contender.command_for(0, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise Failure(f"{contender.key} ended with status {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def cell(reports: list[dict], key: str) -> str:
    if key not in reports[0]:
        return "–"
    return f"{median_of(reports, lambda report: report[key]):.2f}"
