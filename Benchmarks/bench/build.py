"""Builds what a run needs, and no more: without NIO among the contenders, nothing is fetched."""

from __future__ import annotations

import argparse
import glob
import os
import shutil
import subprocess

import machine
from failure import Failure

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BENCHMARKS = os.path.join(ROOT, "Benchmarks")
SCRATCH = os.path.join(BENCHMARKS, ".build")
ROOT_SCRATCH = os.path.join(ROOT, ".build")

# SwiftPM's own flags for C in release, as far as they change code.
C_FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-g", "-fPIC", "-Wall", "-Wextra", "-Wconversion"]


def c_directory(options: argparse.Namespace) -> str:
    return os.path.join(options.scratch_path, "c")


def counter_library(options: argparse.Namespace) -> str:
    return os.path.join(c_directory(options), "libcount-allocations.so")


def build(options: argparse.Namespace) -> None:
    keys = {contender.key for contender in options.contenders}
    compile_c(options, "load", "load", ["-I", os.path.join(BENCHMARKS, "C", "count-allocations")])
    compile_c(options, "echo-c", "echo-c", [])
    compile_c(options, "count-allocations", "libcount-allocations.so", ["-shared"])
    for product in ("nio", "nio-async"):
        if product in keys:
            swift_build(BENCHMARKS, options.scratch_path, f"echo-{product}")
    if "aio" in keys:
        swift_build(ROOT, options.root_scratch_path, "event-echo")


def compile_c(options: argparse.Namespace, directory: str, name: str, flags: list[str]) -> None:
    compiler = shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        raise Failure("no C compiler; install one (Debian: apt-get install gcc), or put the clang of Swift's "
                      "toolchain on PATH")
    os.makedirs(c_directory(options), exist_ok=True)
    sources = sorted(glob.glob(os.path.join(BENCHMARKS, "C", directory, "*.c")))
    run([compiler, *C_FLAGS, *flags, "-o", os.path.join(c_directory(options), name), *sources])


def swift_build(package: str, scratch: str, product: str) -> None:
    machine.need("swift", None)
    run(["swift", "build", "-c", "release", "--package-path", package, "--scratch-path", scratch,
         "--product", product])


def run(command: list[str]) -> None:
    machine.say("building: " + " ".join(os.path.relpath(word) if os.path.isabs(word) and word.startswith(ROOT)
                                        else word for word in command))
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{done.stdout}\nthe build above failed (status {done.returncode})")
