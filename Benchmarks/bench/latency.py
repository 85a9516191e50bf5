"""Latency without load: one connection, one message there and back at a time.

Each round trip wakes the server's thread and then the load's: on two pinned cores most of it is the kernel's,
and on virtual machines the waking of a sleeping core. What a server adds shows in the ratio to C of the same
round. Measured at the load, from before its send to after its receive. Under other programs, p99 is theirs.
"""

from __future__ import annotations

import argparse

import rounds
from contenders import Contender
from load import load_once
from rounds import Reports
from table import median_at, print_heading, print_table

CONTENDERS = "c,nio,nio-async,tokio,closure,actor,partner,global"
SHARES = {"p50": "median", "p99": "p99", "p99_9": "p99.9"}


def add_options(parser: argparse.ArgumentParser) -> None:
    rounds.add_options(parser, seconds=3, rounds=5)
    parser.add_argument("--message-bytes", type=int, default=64, metavar="M", help="default 64")


def run(options: argparse.Namespace) -> int:
    def measure(contender: Contender, count: int) -> dict:
        return load_once(contender, options, connections=count)

    results = rounds.alternate(options, [1], measure, description_of)[1]
    print_heading(f"Latency, one connection, {options.message_bytes}-byte messages", rounds.spent(options))
    print_table(["server", "median µs", "p99 µs", "p99.9 µs", "median, ratio to C", "p99, ratio to C",
                 "CPU/req µs"],
                [row(contender, results) for contender in options.contenders])
    return 0


def description_of(_count: int, report: dict) -> str:
    latency = report["latency_us"]
    return ", ".join(f"{name} {latency[share]:.1f} µs" for share, name in SHARES.items())


def row(contender: Contender, results: Reports) -> list[str]:
    reports, baseline = results[contender.key], results.get(rounds.BASELINE)
    medians = [f"{median_at(reports, 'latency_us', share):.1f}" for share in SHARES]
    ratios = [rounds.ratio_to_baseline(reports, baseline, lambda report: report["latency_us"][share])
              for share in ("p50", "p99")]
    return [contender.title, *medians, *ratios, f"{median_at(reports, 'cpu_us'):.2f}"]
