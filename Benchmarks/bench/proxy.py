"""Bulk through a TCP proxy: streams one way, as fast as they pass, every byte compared at the other end.

Sender and receiver are one process (C/stream) on a core of its own, so the proxy's rate is bounded by theirs:
CPU time for each GB (10^9 bytes) is the figure to compare. It counts all threads and, for socat, all
processes. Every stream is ended by half-closing it, and the end must come through after the last byte. socat
and HAProxy are told to use buffers of 64 KiB; neither uses splice.
"""

from __future__ import annotations

import argparse

import contenders
import machine
import rounds
from contenders import Contender
from load import generate
from rounds import Reports
from server import running
from table import median_at, number, print_heading, print_table

CONTENDERS = "proxy,socat,haproxy"
KNOWN = contenders.PROXIES


def add_options(parser: argparse.ArgumentParser) -> None:
    rounds.add_options(parser, seconds=5, rounds=3)
    parser.add_argument("--connections", type=int, default=4, metavar="C",
                        help="streams, 64 at most (default 4)")


def run(options: argparse.Namespace) -> int:
    results = rounds.alternate(options, [options.connections],
                               lambda contender, count: measure(contender, count, options),
                               description_of)[options.connections]
    print_heading(f"Proxy, {options.connections} streams one way", rounds.spent(options),
                  *rounds.disturbance(results, server="proxy"))
    print_table(["proxy", "MB/s", "CPU s/GB", "of it user", "proxy busy", "load busy"],
                [row(contender, results) for contender in options.contenders])
    return 0


def measure(contender: Contender, count: int, options: argparse.Namespace) -> dict:
    sink = machine.free_port()
    with running(contender, options, sink=sink) as proxy:
        return generate("stream", proxy, contender, options, options.warmup + options.seconds + 90,
                        listen=sink, connections=count, warmup=options.warmup, seconds=options.seconds)


def description_of(_count: int, report: dict) -> str:
    return (f"{report['bytes_per_second'] / 1e6:,.0f} MB/s, {report['cpu_s_per_gb']:.3f} CPU s/GB, "
            f"proxy {report['proxy_busy']:.0%}, load {report['load_busy']:.0%} busy")


def row(contender: Contender, results: Reports) -> list[str]:
    def median(key: str) -> float:
        return median_at(results[contender.key], key)

    return [contender.title, number(median("bytes_per_second") / 1e6), f"{median('cpu_s_per_gb'):.3f}",
            f"{median('user_s_per_gb'):.3f}", f"{median('proxy_busy'):.0%}", f"{median('load_busy'):.0%}"]
