"""The servers that are compared, as a list: to add one, add a line, or name it on the command line."""

from __future__ import annotations

import argparse
import os
import shlex
from dataclasses import dataclass

import build


@dataclass(frozen=True)
class Contender:
    key: str
    title: str
    command: str  # {port}, {c}, {benchmarks} and {root} are filled in: the port, and where things are built

    def command_for(self, port: int, options: argparse.Namespace) -> list[str]:
        places = {
            "port": port,
            "c": build.c_directory(options),
            "benchmarks": os.path.join(options.scratch_path, "release"),
            "root": os.path.join(options.root_scratch_path, "release"),
        }
        return [word.format(**places) for word in shlex.split(self.command)]


KNOWN = [
    Contender("c", "C, epoll", "{c}/echo-c --port {port}"),
    Contender("nio", "SwiftNIO, ChannelHandler", "{benchmarks}/echo-nio --port {port}"),
    Contender("nio-async", "SwiftNIO, NIOAsyncChannel", "{benchmarks}/echo-nio-async --port {port}"),
    Contender("aio", "swift-aio", "{root}/event-echo --host 127.0.0.1 --port {port} --workers 1"),
]
KEYS = [contender.key for contender in KNOWN]


def chosen(text: str) -> list[Contender]:
    known = {contender.key: contender for contender in KNOWN}
    result = []
    for item in text.split(","):
        name, separator, command = item.strip().partition("=")
        if separator and "{port}" in command:
            result.append(Contender(name, name, command))
        elif not separator and name in known:
            result.append(known[name])
        else:
            raise argparse.ArgumentTypeError(
                f"'{item}' is none of {', '.join(KEYS)}, nor of the form name='command with {{port}}'")
    if len({contender.key for contender in result}) != len(result):
        raise argparse.ArgumentTypeError("each contender once")
    return result
