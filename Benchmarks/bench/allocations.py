"""Heap allocations a message in steady state, by thread: what a message costs after connections are set up.

A preloaded library counts the server's calls to malloc and its kin in a file; the load reads that at the
start and the end of its measured window. Works with glibc, on servers that link it dynamically.
"""

from __future__ import annotations

import argparse
import os
import tempfile

import build
import machine
from load import load
from server import running
from table import print_heading, print_table

CONTENDERS = "closure,actor"
KINDS = ["malloc", "calloc", "realloc", "aligned", "free", "bytes"]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=3, metavar="S", help="measured (default 3)")
    parser.add_argument("--warmup", type=float, default=1, metavar="W", help="seconds before (default 1)")
    parser.add_argument("--connections", type=int, default=64, metavar="C", help="default 64")
    parser.add_argument("--message-bytes", type=int, default=64, metavar="M", help="default 64")


def run(options: argparse.Namespace) -> int:
    rows = []
    for contender in options.contenders:
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            path = os.path.join(directory, "counts")
            preloaded = ["env", f"LD_PRELOAD={build.counter_library(options)}", f"ALLOCATION_COUNTS={path}"]
            with running(contender, options, through=preloaded) as server:
                report = load(server, contender, options, seconds_max=options.warmup + options.seconds + 60,
                              connections=options.connections, message_bytes=options.message_bytes,
                              warmup=options.warmup, seconds=options.seconds, allocation_counts=path)
        machine.say(f"{contender.key}: {report['messages']:,} messages")
        rows += rows_of(contender.title, report["allocations"], report["messages"])
    print_heading(f"Heap calls a message, {options.connections} connections, "
                  f"{options.message_bytes}-byte messages")
    print_table(["server", "thread", *KINDS], rows, names=2)
    return 0


def rows_of(title: str, threads: list[dict], messages: int) -> list[list[str]]:
    everything = {"thread": "all", **{kind: sum(thread[kind] for thread in threads) for kind in KINDS}}
    return [[title, thread["thread"], *(per_message(thread[kind], messages) for kind in KINDS)]
            for thread in [*threads, everything]]


def per_message(count: int, messages: int) -> str:
    """A few calls in millions of messages are not none."""
    share = count / messages
    return "0" if count == 0 else f"{share:.4f}" if share >= 0.0001 else "<0.0001"
