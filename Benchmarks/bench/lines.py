"""Lines against raw bytes: what it costs that the worker cuts what it receives into lines, and hands them out one by one.

The load is that of `echo`, but that messages are lines. A table for one line in flight on each connection, and one for
sixteen, which the load sends together at first; how many come in one read after that is the servers' doing, so
it is shown. The baseline is swift-aio's own echo of raw bytes.
"""

from __future__ import annotations

import argparse

import contenders
import rounds
from contenders import Contender
from echo import cpu_and_its_parts
from load import load_once
from rounds import Reports
from table import median_at, number, print_heading, print_table

KNOWN = contenders.LINES
CONTENDERS = "raw,lines,c"
RAW = "raw"


def add_options(parser: argparse.ArgumentParser) -> None:
    rounds.add_options(parser, seconds=4, rounds=5)
    parser.add_argument("--connections", type=int, default=64, metavar="C", help="default 64")
    parser.add_argument("--message-bytes", type=int, default=64, metavar="M",
                        help="in a line, its ending included (default 64)")


def run(options: argparse.Namespace) -> int:
    def measure(contender: Contender, pipeline: int) -> dict:
        return load_once(contender, options, lines=True, connections=options.connections, pipeline=pipeline)

    results = rounds.alternate(options, [1, 16], measure, description_of)
    for pipeline, reports in results.items():
        print_heading(f"Lines, {options.connections} connections, {pipeline} of {options.message_bytes} bytes in flight on each",
                      rounds.spent(options), *rounds.disturbance(reports))
        print_table(["server", "lines/s", "CPU/line µs (user/sys)", "CPU, ratio to raw", "p50/p99 µs"],
                    [row(contender, reports) for contender in options.contenders])
    return 0


def description_of(pipeline: int, report: dict) -> str:
    return (f"{pipeline} in flight, {report['requests_per_second']:,.0f} lines/s, {report['cpu_us']:.3f} µs each, "
            f"{report['user_us']:.3f} of them user; server {report['server_busy']:.0%}, load {report['load_busy']:.0%} busy")


def row(contender: Contender, results: Reports) -> list[str]:
    reports = results[contender.key]
    latency = "/".join(number(median_at(reports, "latency_us", share)) for share in ("p50", "p99"))
    return [contender.title, number(median_at(reports, "requests_per_second")), cpu_and_its_parts(reports),
            rounds.ratio_to_baseline(reports, results.get(RAW), lambda report: report["cpu_us"]), latency]
