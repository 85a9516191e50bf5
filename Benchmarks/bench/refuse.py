"""A flood of bad first lines: each connection sends one, is told no, sees the server close, and the next one connects.

The server in C looks at the line, sends the refusal and closes with the same care, so that no reset overtakes it. swift-aio's does it
by a filter, on the worker: no task is made, and none of the program's code runs.
"""

from __future__ import annotations

import argparse

import churn
import contenders
import rounds
from contenders import Contender
from load import load_once
from table import print_heading, print_table

KNOWN = contenders.REFUSERS
CONTENDERS = "c,lines"


def add_options(parser: argparse.ArgumentParser) -> None:
    rounds.add_options(parser, seconds=4, rounds=5)
    parser.add_argument("--connections", type=int, default=64, metavar="C", help="at a time (default 64)")
    parser.add_argument("--message-bytes", type=int, default=64, metavar="M", help="in the line (default 64)")


def run(options: argparse.Namespace) -> int:
    def measure(contender: Contender, count: int) -> dict:
        return load_once(contender, options, churn=True, lines=True, refusal=contenders.REFUSAL, connections=count)

    results = rounds.alternate(options, [options.connections], measure,
                               churn.description_of)[options.connections]
    print_heading(f"Refusing, {options.connections} connections at a time, a bad line of {options.message_bytes} bytes on each",
                  rounds.spent(options), *rounds.disturbance(results))
    print_table(
        ["server", "connections/s", "CPU/connection µs (user/sys)", "CPU, ratio to C", "p50/p99/p99.9 µs",
         "private MiB"],
        [churn.row(contender, results) for contender in options.contenders])
    return 0
