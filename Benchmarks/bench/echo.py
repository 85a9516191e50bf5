"""Echo in a closed loop: every connection sends a message, waits for its echo, checks it, sends the next.

Contenders take turns, round by round, and the order moves on by one each round, so that what drifts on the
machine drifts for all. Figures are medians over the rounds; the ratio to C is the median of each round's own.
CPU is that of the server's whole process; its user and system parts are sampled by the kernel, so rough.
A closed loop measures latency under full load, not the latency that a lightly loaded server would show.
"""

from __future__ import annotations

import argparse
import json

import machine
from contenders import Contender
from load import load
from server import running
from table import median_of, number, print_heading, print_table

CONTENDERS = "c,nio,nio-async,aio"

BASELINE = "c"
DISTURBED_BELOW = 0.9  # of a core: a closed loop fills the server's or the load's, unless others use it


def counts(text: str) -> list[int]:
    return [int(item) for item in text.split(",")]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=5, metavar="S", help="measured a run (default 5)")
    parser.add_argument("--warmup", type=float, default=1, metavar="W", help="seconds before (default 1)")
    parser.add_argument("--rounds", type=int, default=3, metavar="R", help="runs of each (default 3)")
    parser.add_argument("--connections", type=counts, default="64,512", metavar="LIST",
                        help="a table for each (default 64,512)")
    parser.add_argument("--message-bytes", type=int, default=64, metavar="M", help="default 64")
    parser.add_argument("--pipeline", type=int, default=1, metavar="P",
                        help="messages in flight on a connection (default 1)")
    parser.add_argument("--raw", metavar="FILE", help="append each run's report to FILE, as a line of JSON")


def run(options: argparse.Namespace) -> int:
    keys = [contender.key for contender in options.contenders]
    results = {count: {key: [] for key in keys} for count in options.connections}
    for turn in range(options.rounds):
        for count in options.connections:
            for contender in rotated(options.contenders, turn):
                report = measure(contender, count, options)
                results[count][contender.key].append(report)
                machine.say(f"round {turn + 1}, {count} connections, {contender.key}: "
                            f"{report['requests_per_second']:,.0f} req/s, {report['cpu_us']:.2f} µs/req, "
                            f"server {report['server_busy']:.0%}, load {report['load_busy']:.0%} busy")
                keep_raw(options.raw, contender, turn, report)
    for count in options.connections:
        print_results(count, results[count], options)
    return 0


def rotated(contenders: list[Contender], turn: int) -> list[Contender]:
    first = turn % len(contenders)
    return contenders[first:] + contenders[:first]


def measure(contender: Contender, count: int, options: argparse.Namespace) -> dict:
    with running(contender, options) as server:
        return load(server, contender, options, seconds_max=options.warmup + options.seconds + 60,
                    connections=count, message_bytes=options.message_bytes, pipeline=options.pipeline,
                    warmup=options.warmup, seconds=options.seconds)


def keep_raw(path: str | None, contender: Contender, turn: int, report: dict) -> None:
    if path is not None:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"contender": contender.key, "round": turn + 1, **report}) + "\n")


def print_results(count: int, results: dict[str, list[dict]], options: argparse.Namespace) -> None:
    pipelined = f", {options.pipeline} in flight on each" if options.pipeline > 1 else ""
    print_heading(f"Echo, {count} connections, {options.message_bytes}-byte messages{pipelined}",
                  f"Medians of {options.rounds} × {options.seconds:g} s, each after {options.warmup:g} s.",
                  *disturbance(count, results, options))
    baseline = results.get(BASELINE)
    print_table(
        ["server", "req/s", "CPU/req µs (user/sys)", "CPU, ratio to C", "p50/p99/p99.9 µs", "private MiB",
         "switches/req"],
        [row(contender.title, results[contender.key], baseline) for contender in options.contenders])


def row(title: str, reports: list[dict], baseline: list[dict] | None) -> list[str]:
    def median(*path: str) -> float:
        return median_of(reports, lambda report: report[path[0]][path[1]] if path[1:] else report[path[0]])

    ratio = "-"
    if baseline is not None:
        pairs = [{"own": own["cpu_us"], "base": base["cpu_us"]} for own, base in zip(reports, baseline)]
        ratio = f"{median_of(pairs, lambda pair: pair['own'] / pair['base']):.2f}"
    latency = "/".join(number(median("latency_us", share)) for share in ("p50", "p99", "p99_9"))
    return [title, number(median("requests_per_second")),
            f"{median('cpu_us'):.2f} ({median('user_us'):.2f}/{median('system_us'):.2f})", ratio, latency,
            f"{median('memory_after', 'private_kib') / 1024:.1f}", f"{median('switches'):.3f}"]


def disturbance(count: int, results: dict[str, list[dict]], options: argparse.Namespace) -> list[str]:
    """Says so when other programs took the cores. With few messages in flight, waiting is normal instead."""
    if count * options.pipeline < 16:
        return []
    runs = [report for reports in results.values() for report in reports]
    disturbed = [run for run in runs if max(run["server_busy"], run["load_busy"]) < DISTURBED_BELOW]
    if not disturbed:
        return []
    return [f"In {len(disturbed)} of {len(runs)} runs neither server nor load had a core to itself: other "
            "programs ran. Compare ratios only, or measure again."]
