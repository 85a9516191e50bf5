"""The servers that are compared, as lists: to add one, add a line, or name it on the command line."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass

import build
from build import Program

BY_SIGNAL = (-15, 143)  # ended by SIGTERM, or as a shell would say so
SMALL_BUFFER_BYTES, LARGE_BUFFER_BYTES = 4096, 65536


@dataclass(frozen=True)
class Contender:
    key: str
    title: str
    # {port}, {sink} (where a proxy connects to), {workers} and {buffer} are filled in, and where things are
    # built: {c}, {rust}, {benchmarks}, {root}; {here} is this package's folder.
    command: str
    program: Program | None = None
    announces: bool = True                # prints "listening on …"; else its port is looked for
    end_statuses: tuple[int, ...] = (0,)  # after SIGTERM

    def command_for(self, port: int, options: argparse.Namespace, sink: int = 0) -> list[str]:
        places = {
            "port": port,
            "sink": sink,
            "workers": 1,
            "buffer": buffer_bytes(getattr(options, "message_bytes", 0)),
            "here": build.BENCHMARKS,
            "c": build.c_directory(options),
            "rust": os.path.join(build.rust_directory(options), "release"),
            "benchmarks": os.path.join(options.scratch_path, "release"),
            "root": os.path.join(options.root_scratch_path, "release"),
        }
        return [word.format(**places) for word in shlex.split(self.command)]


def buffer_bytes(message_bytes: int) -> int:
    """For servers that are told: as a program for small messages, or for large ones, would be written."""
    return SMALL_BUFFER_BYTES if message_bytes <= SMALL_BUFFER_BYTES else LARGE_BUFFER_BYTES


def ours(key: str, title: str, executor: str, handler: str) -> Contender:
    return Contender(key, f"swift-aio, {title}",
                     "{root}/echo --port {port} --workers {workers} "
                     f"--executor {executor} --handler {handler}", Program("root", "echo"))


ECHO = [
    Contender("c", "C, epoll", "{c}/echo-c --port {port} --processes {workers}"),
    Contender("nio", "SwiftNIO, ChannelHandler", "{benchmarks}/echo-nio --port {port}",
              Program("benchmarks", "echo-nio")),
    Contender("nio-async", "SwiftNIO, NIOAsyncChannel", "{benchmarks}/echo-nio-async --port {port}",
              Program("benchmarks", "echo-nio-async")),
    Contender("tokio", "tokio (Rust), current-thread",
              "{rust}/echo-tokio --port {port} --buffer-bytes {buffer}",
              Program("rust", "echo-tokio")),
    ours("closure", "closure on the worker", "worker", "closure"),
    ours("actor", "actor on the worker", "worker", "actor"),
    ours("partner", "closure on a partner thread", "partner", "closure"),
    ours("global", "closure on the global pool", "global", "closure"),
    Contender("events", "swift-aio, event stream",
              "{root}/event-echo --host 127.0.0.1 --port {port} --workers 1",
              Program("root", "event-echo")),
]

LINE_ECHO = Program("root", "line-echo")
RAW_ECHO = Contender("raw", "swift-aio, raw bytes", "{root}/echo --port {port} --workers {workers}",
                     Program("root", "echo"))

LINES = [
    RAW_ECHO,
    Contender("lines", "swift-aio, lines", "{root}/line-echo --port {port} --workers {workers}", LINE_ECHO),
    Contender("c", "C, epoll, raw bytes", "{c}/echo-c --port {port}"),
]

REFUSAL = "500 not here"
REFUSERS = [
    Contender("c", "C, epoll", f"{{c}}/refuse-c {{port}} HELLO '{REFUSAL}'"),
    Contender("lines", "swift-aio, a filter",
              f"{{root}}/line-echo --port {{port}} --workers {{workers}} --only HELLO --refusal '{REFUSAL}'", LINE_ECHO),
]

LINE_SECONDS = 10
DRIPPED = [
    Contender("lines", "swift-aio, lines",
              f"{{root}}/line-echo --port {{port}} --workers {{workers}} --line-seconds {LINE_SECONDS}", LINE_ECHO),
]

PROXIES = [
    Contender("proxy", "swift-aio",
              "{root}/proxy --listen 127.0.0.1:{port} --to 127.0.0.1:{sink} --workers {workers}",
              Program("root", "proxy")),
    Contender("socat", "socat, a process a connection",
              "socat -b 65536 TCP4-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,nodelay "
              "TCP4:127.0.0.1:{sink},nodelay",
              Program("debian", "socat"), announces=False, end_statuses=BY_SIGNAL),
    Contender("haproxy", "HAProxy, mode tcp",
              "env PORT={port} SINK={sink} haproxy -db -f {here}/haproxy.cfg",
              Program("debian", "haproxy"), announces=False, end_statuses=BY_SIGNAL),
]

ROOMS = [
    Contender("chat", "swift-aio, chat", "{root}/chat --port {port} --workers {workers}",
              Program("root", "chat")),
]

SIMULATIONS = [
    Contender("simulated", "swift-aio, AIOTesting", "{benchmarks}/simulated",
              Program("benchmarks", "simulated")),
    Contender("nio-testing", "SwiftNIO, NIOAsyncTestingChannel", "{benchmarks}/testing-channel-nio",
              Program("benchmarks", "testing-channel-nio")),
]


def chooser(known: list[Contender]) -> Callable[[str], list[Contender]]:
    """What reads --contenders, for argparse."""
    by_key = {contender.key: contender for contender in known}

    def one(item: str) -> Contender:
        name, separator, command = item.strip().partition("=")
        if separator and "{port}" in command:
            return Contender(name, name, command)
        if not separator and name in by_key:
            return by_key[name]
        raise argparse.ArgumentTypeError(
            f"'{item}' is none of {', '.join(by_key)}, nor of the form name='command with {{port}}'")

    def chosen(text: str) -> list[Contender]:
        result = [one(item) for item in text.split(",")]
        if len({contender.key for contender in result}) != len(result):
            raise argparse.ArgumentTypeError("each contender once")
        return result

    return chosen
