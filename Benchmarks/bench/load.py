"""Runs the load generator once, pinned, and returns what it reports. Any error or wrong byte ends the run."""

from __future__ import annotations

import argparse
import json
import os
import subprocess

import build
import machine
from contenders import Contender
from failure import Failure
from server import Running


def load(server: Running, contender: Contender, options: argparse.Namespace, seconds_max: float,
         **arguments: object) -> dict:
    """`arguments` are the load's own options: `message_bytes=64` is `--message-bytes=64`."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in arguments.items()]
    command = [*machine.cores().load, os.path.join(build.c_directory(options), "load"), "--json",
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
