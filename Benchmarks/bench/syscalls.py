"""System calls a message, over a server's whole life: start and connections too, spread over the messages.

By strace: exact counts, no privileges needed; but it slows the server far more than the load, so that more
connections are ready at each epoll_wait than at full speed, and waits come out lower. Calls to send and
receive, and whether there is a wake-up (write to an eventfd, futex) at all, are as at full speed.
By perf (--with perf): counts at nearly full speed, which tell the true number of waits; needs root.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import tempfile
import time

import machine
from contenders import Contender
from failure import Failure
from load import load
from server import Running, running
from table import print_heading, print_table

CONTENDERS = "c,nio,nio-async,tokio,closure,actor"
SHOWN_FROM = 0.0005  # calls a message
STRACE_LINE = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?([a-z_]\w*)\s*$")
PERF_CALLS = """accept accept4 clock_nanosleep close epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd2
    futex io_getevents io_submit madvise mmap mprotect munmap nanosleep read readv recvfrom recvmmsg recvmsg
    rt_sigaction rt_sigprocmask sched_yield sendmmsg sendmsg sendto setsockopt shutdown timerfd_settime write
    writev""".split()


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--with", dest="tool", choices=["strace", "perf"], default="strace",
                        help="what counts (default strace)")
    parser.add_argument("--messages", type=int, default=200_000, metavar="N", help="default 200000")
    parser.add_argument("--seconds", type=float, default=60, metavar="S", help="at most (default 60)")
    parser.add_argument("--connections", type=int, default=64, metavar="C", help="default 64")
    parser.add_argument("--message-bytes", type=int, default=64, metavar="M", help="default 64")


def run(options: argparse.Namespace) -> int:
    machine.need(options.tool, "strace" if options.tool == "strace" else "linux-perf")
    counted_by = {"strace": by_strace, "perf": by_perf}[options.tool]
    per_message: dict[str, dict[str, float]] = {}
    for contender in options.contenders:
        counts, messages = counted_by(contender, options)
        machine.say(f"{contender.key}: {sum(counts.values()):,} calls for {messages:,} messages")
        per_message[contender.key] = {name: count / messages for name, count in counts.items()}
    print_heading(f"System calls a message, {options.connections} connections, "
                  f"{options.message_bytes}-byte messages", f"Counted by {options.tool}; see --help.")
    print_calls(per_message, options.contenders)
    return 0


def print_calls(per_message: dict[str, dict[str, float]], contenders: list[Contender]) -> None:
    names = {name for calls in per_message.values() for name, count in calls.items() if count >= SHOWN_FROM}
    most = {name: max(calls.get(name, 0) for calls in per_message.values()) for name in names}

    def cells(counts: list[float]) -> list[str]:
        return [f"{count:.3f}" if count >= SHOWN_FROM else "-" for count in counts]

    rows = [[name, *cells([per_message[contender.key].get(name, 0) for contender in contenders])]
            for name in sorted(names, key=lambda name: (-most[name], name))]
    rows.append(["all", *cells([sum(per_message[contender.key].values()) for contender in contenders])])
    print_table(["call", *(contender.title for contender in contenders)], rows)


def bounded_load(server: Running, contender: Contender, options: argparse.Namespace) -> int:
    """The number of messages echoed, every one included."""
    report = load(server, contender, options, seconds_max=options.seconds + 120, warmup=0,
                  seconds=options.seconds, messages=options.messages, connections=options.connections,
                  message_bytes=options.message_bytes)
    return report["messages_in_all"]


def by_strace(contender: Contender, options: argparse.Namespace) -> tuple[dict[str, int], int]:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        path = os.path.join(directory, "counts")
        with running(contender, options, through=["strace", "-c", "-f", "-o", path]) as server:
            messages = bounded_load(server, contender, options)
        with open(path, encoding="utf-8") as text:
            matches = [STRACE_LINE.match(line) for line in text]
    counts = {match[2]: int(match[1]) for match in matches if match and match[2] != "total"}
    if not counts:
        raise Failure("strace counted nothing; may it trace here (kernel.yama.ptrace_scope, a container)?")
    return counts, messages


def by_perf(contender: Contender, options: argparse.Namespace) -> tuple[dict[str, int], int]:
    known = [name for name in PERF_CALLS
             if os.path.exists(f"/sys/kernel/tracing/events/syscalls/sys_enter_{name}")]
    if not known:
        raise Failure("perf needs /sys/kernel/tracing/events/syscalls: be root, and see that it is mounted")
    events = ",".join(f"syscalls:sys_enter_{name}" for name in known)
    with running(contender, options) as server:
        perf = subprocess.Popen(["perf", "stat", "-x", ";", "-e", events, "-p", str(server.pid)],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                text=True)
        try:
            time.sleep(1)  # perf does not say when it has attached
            messages = bounded_load(server, contender, options)
            perf.send_signal(signal.SIGINT)
            _, text = perf.communicate(timeout=30)
        finally:
            if perf.poll() is None:
                perf.kill()
                perf.wait()
    fields = [line.split(";") for line in text.splitlines() if "sys_enter_" in line]
    counts = {field[2].rpartition("sys_enter_")[2]: int(field[0]) for field in fields if field[0].isdigit()}
    if not counts:
        raise Failure(f"perf counted nothing: {text.strip()}")
    return counts, messages
