"""Runs a load generator once, pinned, and returns what it reports. Any error or wrong byte ends the run."""

from __future__ import annotations

import argparse
import json
import os
import subprocess

import build
from contenders import Contender
from failure import Failure
from machine import Cores
from server import Running, running


def load(server: Running, contender: Contender, options: argparse.Namespace, seconds_max: float,
         **arguments: object) -> dict:
    """The load for echo servers."""
    return generate("load", server, contender, options, seconds_max, json=True, **arguments)


def load_once(contender: Contender, options: argparse.Namespace, cores: Cores | None = None,
              **arguments: object) -> dict:
    """Starts the server, loads it for as long as the options say, ends it."""
    with running(contender, options, cores=cores) as server:
        return load(server, contender, options, seconds_max=options.warmup + options.seconds + 60,
                    message_bytes=options.message_bytes, warmup=options.warmup, seconds=options.seconds,
                    **arguments)


def generate(program: str, server: Running, contender: Contender, options: argparse.Namespace,
             seconds_max: float, **arguments: object) -> dict:
    """`arguments` are the program's own options: `message_bytes=64` is `--message-bytes=64`, True a flag."""
    words = [f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
             for name, value in arguments.items()]
    command = [*server.cores.load, os.path.join(build.c_directory(options), program),
               "--port", str(server.port), "--pid", str(server.pid), *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               stdin=subprocess.DEVNULL)
    try:
        out, errors = process.communicate(timeout=seconds_max)
    except BaseException as error:  # a signal's too: the load must not outlive the script
        process.kill()
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise Failure(f"{contender.key}: the load did not end within {seconds_max:.0f} s") from error
        raise
    if process.returncode != 0:
        raise Failure(f"{contender.key}: the load failed (status {process.returncode}): {errors.strip()}")
    return json.loads(out)
