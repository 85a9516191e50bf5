"""Connections that live for one message: connect, send, check the echo, half-close, see the server close.

A number of them are under way at any time: when the server has closed one, the next is opened. So a
connection ends in order, the client first, and both ends of file are part of what is measured. The client
keeps it in TIME_WAIT for a minute; C/common/dial.h tells why its ports do not run out. On loopback the kernel
does most of the opening in the client, whose cost is the load's. A connection's duration is that from the
client's connect to its end of file, with all the others under way.
"""

from __future__ import annotations

import argparse

import rounds
from contenders import Contender
from echo import cpu_and_its_parts
from load import load_once
from rounds import Reports
from table import median_at, number, print_heading, print_table

CONTENDERS = "c,nio,nio-async,tokio,closure,actor"


def add_options(parser: argparse.ArgumentParser) -> None:
    rounds.add_options(parser, seconds=5, rounds=3)
    parser.add_argument("--connections", type=int, default=64, metavar="C", help="at a time (default 64)")
    parser.add_argument("--message-bytes", type=int, default=64, metavar="M", help="default 64")


def run(options: argparse.Namespace) -> int:
    def measure(contender: Contender, count: int) -> dict:
        return load_once(contender, options, churn=True, connections=count)

    results = rounds.alternate(options, [options.connections], measure, description_of)[options.connections]
    print_heading(f"Churn, {options.connections} connections at a time, one {options.message_bytes}-byte "
                  "message on each", rounds.spent(options), *rounds.disturbance(results))
    print_table(
        ["server", "connections/s", "CPU/connection µs (user/sys)", "CPU, ratio to C", "p50/p99/p99.9 µs",
         "private MiB"],
        [row(contender, results) for contender in options.contenders])
    return 0


def description_of(_count: int, report: dict) -> str:
    return (f"{report['requests_per_second']:,.0f} connections/s, {report['cpu_us']:.2f} µs each, "
            f"server {report['server_busy']:.0%}, load {report['load_busy']:.0%} busy")


def row(contender: Contender, results: Reports) -> list[str]:
    reports = results[contender.key]

    durations = "/".join(number(median_at(reports, "latency_us", share)) for share in ("p50", "p99", "p99_9"))
    return [contender.title, number(median_at(reports, "requests_per_second")), cpu_and_its_parts(reports),
            rounds.ratio_to_baseline(reports, results.get(rounds.BASELINE), lambda report: report["cpu_us"]),
            durations, f"{median_at(reports, 'memory_after', 'private_kib') / 1024:.1f}"]
