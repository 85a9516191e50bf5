"""Echo in a closed loop: every connection sends a message, waits for its echo, checks it, sends the next.

Contenders take turns, round by round. Figures are medians over the rounds; the ratio to C is the median of
each round's own. CPU is that of the server's whole process; its user and system parts are sampled by the
kernel, so rough. A closed loop measures latency under full load; `latency` measures it under none.
"""

from __future__ import annotations

import argparse

import rounds
from contenders import Contender
from load import load_once
from rounds import Reports
from table import median_at, number, print_heading, print_table

CONTENDERS = "c,nio,nio-async,tokio,closure,actor"

LARGE_FROM_BYTES = 1024  # messages for which bytes a second are worth a column
SATURATING_FROM = 16     # messages in flight: with fewer, waiting is normal


def counts(text: str) -> list[int]:
    return [int(item) for item in text.split(",")]


def add_options(parser: argparse.ArgumentParser) -> None:
    rounds.add_options(parser, seconds=5, rounds=3)
    parser.add_argument("--connections", type=counts, default="64,512", metavar="LIST",
                        help="a table for each (default 64,512)")
    parser.add_argument("--message-bytes", type=int, default=64, metavar="M",
                        help="default 64; from 1024 on, bytes a second are shown too")
    parser.add_argument("--pipeline", type=int, default=1, metavar="P",
                        help="messages in flight on a connection (default 1)")


def run(options: argparse.Namespace) -> int:
    def measure(contender: Contender, count: int) -> dict:
        return load_once(contender, options, connections=count, pipeline=options.pipeline)

    results = rounds.alternate(options, options.connections, measure, description_of)
    for count in options.connections:
        print_results(count, results[count], options)
    return 0


def description_of(count: int, report: dict) -> str:
    return (f"{count} connections, {report['requests_per_second']:,.0f} req/s, "
            f"{report['cpu_us']:.2f} µs/req, "
            f"server {report['server_busy']:.0%}, load {report['load_busy']:.0%} busy")


def print_results(count: int, results: Reports, options: argparse.Namespace) -> None:
    pipelined = f", {options.pipeline} in flight on each" if options.pipeline > 1 else ""
    notes = rounds.disturbance(results) if count * options.pipeline >= SATURATING_FROM else []
    print_heading(f"Echo, {count} connections, {options.message_bytes}-byte messages{pipelined}",
                  rounds.spent(options), *notes)
    large = options.message_bytes >= LARGE_FROM_BYTES
    print_table(
        ["server", "req/s", *(["MB/s"] if large else []), "CPU/req µs (user/sys)", "CPU, ratio to C",
         "p50/p99/p99.9 µs", "private MiB", "switches/req"],
        [row(contender.title, results[contender.key], results.get(rounds.BASELINE), large)
         for contender in options.contenders])


def row(title: str, reports: list[dict], baseline: list[dict] | None, large: bool) -> list[str]:
    rate = median_at(reports, "requests_per_second")
    echoed = [number(rate * reports[0]["message_bytes"] / 1e6)] if large else []
    latency = "/".join(number(median_at(reports, "latency_us", share)) for share in ("p50", "p99", "p99_9"))
    return [title, number(rate), *echoed,
            cpu_and_its_parts(reports),
            rounds.ratio_to_baseline(reports, baseline, lambda report: report["cpu_us"]), latency,
            f"{median_at(reports, 'memory_after', 'private_kib') / 1024:.1f}",
            f"{median_at(reports, 'switches'):.3f}"]


def cpu_and_its_parts(reports: list[dict]) -> str:
    cpu, user, system = (median_at(reports, key) for key in ("cpu_us", "user_us", "system_us"))
    return f"{cpu:.2f} ({user:.2f}/{system:.2f})"
