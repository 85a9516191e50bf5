"""A chat room: members speak in turn, and what one says goes to all the others, who check every byte.

A few members speak at a time, a message each; when everybody else has it, the next one speaks. So a server
takes in one message and sends it many times, which is what is counted: deliveries. C/room/room.h has the
rest. With one worker the server has a core and the load another; with more, both share all cores, so rates
of the two do not compare, and CPU time a delivery does roughly. The loop waits for the slowest member, so
server and load may both have idle time; deliveries a read tell how many messages a member finds at once.
"""

from __future__ import annotations

import argparse

import contenders
import machine
import rounds
from contenders import Contender
from echo import counts, cpu_and_its_parts
from load import generate
from machine import Cores
from rounds import Reports
from scaling import with_workers
from server import running
from table import median_at, number, print_heading, print_table

CONTENDERS = "chat"
KNOWN = contenders.ROOMS


def add_options(parser: argparse.ArgumentParser) -> None:
    rounds.add_options(parser, seconds=5, rounds=3)
    parser.add_argument("--workers", type=counts, default="1,2", metavar="LIST", help="default 1,2")
    parser.add_argument("--members", type=int, default=64, metavar="N", help="2 to 256 (default 64)")
    parser.add_argument("--in-flight", type=int, default=4, metavar="K",
                        help="members who speak at a time (default 4)")


def run(options: argparse.Namespace) -> int:
    # A contender that has no such option is pinned as well.
    pinned = {single.key for contender in options.contenders for single in with_workers(contender, [1])}
    options.contenders = [scaled for contender in options.contenders
                          for scaled in with_workers(contender, options.workers)]

    def measure_pinned_or_not(contender: Contender, _members: int) -> dict:
        return measure(contender, None if contender.key in pinned else machine.UNPINNED, options)

    results = rounds.alternate(options, [options.members], measure_pinned_or_not,
                               description_of)[options.members]
    print_heading(f"Room, {options.members} members, {options.in_flight} speak at a time, 64-byte messages",
                  rounds.spent(options), cores=described([key in pinned for key in results]))
    print_table(["server", "deliveries/s", "CPU/delivery µs (user/sys)", "CPU, ratio to the first",
                 "server, cores busy", "load, cores busy", "deliveries/read"],
                [row(contender, results) for contender in options.contenders])
    return 0


def measure(contender: Contender, cores: Cores | None, options: argparse.Namespace) -> dict:
    with running(contender, options, cores=cores) as server:
        return generate("room", server, contender, options, options.warmup + options.seconds + 90,
                        members=options.members, in_flight=options.in_flight, warmup=options.warmup,
                        seconds=options.seconds)


def described(pinned: list[bool]) -> Cores:
    one, more = machine.cores().description, machine.UNPINNED.description
    if all(pinned):
        return machine.cores()
    return Cores([], [], f"with one worker {one}; with more, {more}") if any(pinned) else machine.UNPINNED


def description_of(_members: int, report: dict) -> str:
    return (f"{report['deliveries_per_second']:,.0f} deliveries/s, {report['cpu_us']:.3f} µs each, "
            f"server {report['server_busy']:.0%}, load {report['load_busy']:.0%} busy")


def row(contender: Contender, results: Reports) -> list[str]:
    reports, first = results[contender.key], next(iter(results.values()))

    return [contender.title, number(median_at(reports, "deliveries_per_second")), cpu_and_its_parts(reports),
            rounds.ratio_to_baseline(reports, first, lambda report: report["cpu_us"]),
            f"{median_at(reports, 'server_busy'):.2f}", f"{median_at(reports, 'load_busy'):.2f}",
            f"{median_at(reports, 'deliveries_per_read'):.2f}"]
