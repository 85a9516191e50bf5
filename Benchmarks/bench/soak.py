"""Very many short connections against one server, which must not grow: passes or fails.

The connections are those of `churn`, in slices. Between slices none is open, and the server's private memory
and descriptors are read: so all samples see it in the same state. The first is taken after a few connections,
when whatever is opened once is open. It fails when memory, once a tenth of the connections has been served,
grows by more than a stated amount; or when more descriptors are open at the end than at the start.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import machine
import process
from contenders import Contender
from failure import Failure
from load import load
from server import Running, running
from table import number, print_heading, print_table

CONTENDERS = "closure"
SETTLED_SHARE = 0.1        # of the connections: memory counts from there on
QUIET_SECONDS, SETTLE_SECONDS_MAX = 0.3, 5


@dataclass(frozen=True)
class Sample:
    connections: int
    private_kib: int
    descriptors: int
    connections_per_second: float
    cpu_us: float


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connections-total", type=int, default=2_000_000, metavar="N",
                        help="default 2000000")
    parser.add_argument("--connections", type=int, default=64, metavar="C", help="at a time (default 64)")
    parser.add_argument("--message-bytes", type=int, default=64, metavar="M", help="default 64")
    parser.add_argument("--slices", type=int, default=20, metavar="K", help="samples (default 20)")
    parser.add_argument("--growth-max-kib", type=int, default=1024, metavar="G",
                        help="memory may grow by this after the first tenth (default 1024)")
    parser.add_argument("--seconds-max", type=float, default=600, metavar="S",
                        help="for a slice (default 600)")


def run(options: argparse.Namespace) -> int:
    failures = []
    for contender in options.contenders:
        with running(contender, options) as server:
            samples = soak(server, contender, options)
        print_samples(contender, samples, options)
        failures += [f"{contender.key}: {reason}" for reason in reasons_to_fail(samples, options)]
    for failure in failures:
        print(f"\nFAILED: {failure}.")
    if not failures:
        print("\nPassed.")
    return 1 if failures else 0


def soak(server: Running, contender: Contender, options: argparse.Namespace) -> list[Sample]:
    samples = [sample_after(server, contender, options, options.connections, None)]
    for _ in range(options.slices):
        size = -(-options.connections_total // options.slices)
        samples.append(sample_after(server, contender, options, size, samples[-1]))
        last = samples[-1]
        machine.say(f"{contender.key}: {last.connections:,} connections, {last.private_kib:,} KiB, "
                    f"{last.descriptors} descriptors")
    return samples


def sample_after(server: Running, contender: Contender, options: argparse.Namespace, size: int,
                 previous: Sample | None) -> Sample:
    report = load(server, contender, options, seconds_max=options.seconds_max + 60, churn=True, messages=size,
                  connections=min(options.connections, size), message_bytes=options.message_bytes, warmup=0,
                  seconds=options.seconds_max)
    if report["messages_in_all"] < size:
        raise Failure(f"{contender.key}: served {report['messages_in_all']:,} of {size:,} connections in "
                      f"{options.seconds_max:g} s")
    settle(server)
    return Sample((previous.connections if previous else 0) + report["messages_in_all"],
                  process.private_kib(server.pid), process.descriptors(server.pid),
                  report["requests_per_second"], report["cpu_us"])


def settle(server: Running) -> None:
    """Until the number of descriptors has not changed for a while: the server may still be closing some."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    last, since = -1, time.monotonic()
    while time.monotonic() < min(deadline, since + QUIET_SECONDS):
        count = process.descriptors(server.pid)
        if count != last:
            last, since = count, time.monotonic()
        time.sleep(0.02)


def growth_kib(samples: list[Sample]) -> int:
    """From the first sample past a tenth to the highest after it."""
    settled = [sample for sample in samples if sample.connections >= samples[-1].connections * SETTLED_SHARE]
    return max(sample.private_kib for sample in settled) - settled[0].private_kib


def reasons_to_fail(samples: list[Sample], options: argparse.Namespace) -> list[str]:
    reasons = []
    if growth_kib(samples) > options.growth_max_kib:
        reasons.append(f"memory grew by {growth_kib(samples):,} KiB after the first tenth; "
                       f"{options.growth_max_kib:,} are allowed")
    if samples[-1].descriptors > samples[0].descriptors:
        reasons.append(f"{samples[-1].descriptors} descriptors at the end, {samples[0].descriptors} at the "
                       "start")
    return reasons


def print_samples(contender: Contender, samples: list[Sample], options: argparse.Namespace) -> None:
    print_heading(f"Soak, {contender.title}, {options.connections} connections at a time",
                  f"Private memory grew by {growth_kib(samples):,} KiB after the first tenth; "
                  f"{options.growth_max_kib:,} are allowed. Descriptors may not become more.")
    print_table(["connections", "private KiB", "descriptors", "connections/s", "CPU/connection µs"],
                [[number(sample.connections), number(sample.private_kib), str(sample.descriptors),
                  number(sample.connections_per_second), f"{sample.cpu_us:.2f}"]
                 for sample in samples], names=0)
