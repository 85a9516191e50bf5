"""Echo with one worker and with more, nothing pinned: the load shares the machine with the servers.

On two cores the load takes one, so two workers cannot give twice the rate; what they may not do is to cost
much more for each request. C has a process for each worker, with SO_REUSEPORT. Servers that have one
thread and no such option are measured once. The kernel deals out connections by hash: with few, unevenly.
"""

from __future__ import annotations

import argparse
import dataclasses

import machine
import rounds
from contenders import Contender
from echo import counts, cpu_and_its_parts, description_of
from load import load_once
from rounds import Reports
from table import median_at, number, print_heading, print_table

CONTENDERS = "c,closure"


def add_options(parser: argparse.ArgumentParser) -> None:
    rounds.add_options(parser, seconds=5, rounds=3)
    parser.add_argument("--workers", type=counts, default="1,2", metavar="LIST", help="default 1,2")
    parser.add_argument("--connections", type=int, default=64, metavar="C", help="default 64")
    parser.add_argument("--message-bytes", type=int, default=64, metavar="M", help="default 64")


def run(options: argparse.Namespace) -> int:
    options.contenders = [scaled for contender in options.contenders
                          for scaled in with_workers(contender, options.workers)]

    def measure(contender: Contender, count: int) -> dict:
        return load_once(contender, options, cores=machine.UNPINNED, connections=count)

    results = rounds.alternate(options, [options.connections], measure, description_of)[options.connections]
    print_heading(f"Scaling, {options.connections} connections, {options.message_bytes}-byte messages",
                  rounds.spent(options), cores=machine.UNPINNED)
    print_table(["server", "req/s", "CPU/req µs (user/sys)", "CPU, ratio to the fewest workers",
                 "server, cores busy", "load, cores busy"],
                [row(contender, results) for contender in options.contenders])
    return 0


def with_workers(contender: Contender, workers: list[int]) -> list[Contender]:
    if "{workers}" not in contender.command:
        return [contender]
    return [dataclasses.replace(contender, key=f"{contender.key}/{count}",
                                title=f"{contender.title}, {count} {'worker' if count == 1 else 'workers'}",
                                command=contender.command.replace("{workers}", str(count)))
            for count in workers]


def row(contender: Contender, results: Reports) -> list[str]:
    reports = results[contender.key]
    family = contender.key.partition("/")[0]
    least = next(others for key, others in results.items() if key.partition("/")[0] == family)

    return [contender.title, number(median_at(reports, "requests_per_second")), cpu_and_its_parts(reports),
            rounds.ratio_to_baseline(reports, least, lambda report: report["cpu_us"]),
            f"{median_at(reports, 'server_busy'):.2f}", f"{median_at(reports, 'load_busy'):.2f}"]
