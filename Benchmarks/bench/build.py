"""Builds what a run needs, and no more: without NIO among the contenders, nothing is fetched."""

from __future__ import annotations

import argparse
import glob
import os
import shutil
import subprocess
from dataclasses import dataclass

import machine
import packages
from failure import Failure

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BENCHMARKS = os.path.join(ROOT, "Benchmarks")
SCRATCH = os.path.join(BENCHMARKS, ".build")
ROOT_SCRATCH = os.path.join(ROOT, ".build")
CRATES = "/usr/share/cargo/registry"  # where Debian's packages put them; .cargo/config.toml says so to cargo

# SwiftPM's own flags for C in release, as far as they change code.
C_FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-g", "-fPIC", "-Wall", "-Wextra", "-Wconversion"]


@dataclass(frozen=True)
class Program:
    """What a contender runs. The programs in C are not listed: they are always built."""
    kind: str  # "root" and "benchmarks": a product of that Swift package; "rust"; "debian": a package
    name: str


def c_directory(options: argparse.Namespace) -> str:
    return os.path.join(options.scratch_path, "c")


def rust_directory(options: argparse.Namespace) -> str:
    return os.path.join(options.scratch_path, "rust")


def counter_library(options: argparse.Namespace) -> str:
    return os.path.join(c_directory(options), "libcount-allocations.so")


def build(options: argparse.Namespace) -> None:
    """Leaves out, and says so, the contenders that need a package which this machine does not have."""
    compile_all_c(options)
    built: set[Program] = set()
    for contender in list(options.contenders):
        program = contender.program
        if program is None or program in built:
            continue
        try:
            build_program(program, options)
            built.add(program)
        except packages.Missing as missing:
            machine.say(f"WITHOUT {contender.key}: {missing}")
            options.contenders.remove(contender)
    if not options.contenders:
        raise Failure("no contender is left")


def compile_all_c(options: argparse.Namespace) -> None:
    compile_c(options, "load", ["common", "load"], "count-allocations")
    compile_c(options, "stream", ["common", "stream"])
    compile_c(options, "room", ["common", "room"])
    compile_c(options, "echo-c", ["server", "echo-c"])
    compile_c(options, "refuse-c", ["server", "refuse-c"])
    compile_c(options, "libcount-allocations.so", ["count-allocations"], flags=["-shared"])


def compile_c(options: argparse.Namespace, name: str, folders: list[str], *headers: str,
              flags: list[str] | None = None) -> None:
    compiler = shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        raise Failure("no C compiler; install one (Debian: apt-get install gcc), or put the clang of Swift's "
                      "toolchain on PATH")
    os.makedirs(c_directory(options), exist_ok=True)
    places = [os.path.join(BENCHMARKS, "C", folder) for folder in (*folders, *headers)]
    sources = [source for place in places[:len(folders)] for source in sorted(glob.glob(f"{place}/*.c"))]
    includes = [word for place in places for word in ("-I", place)]
    run([compiler, *C_FLAGS, *(flags or []), *includes, "-o", os.path.join(c_directory(options), name),
         *sources])


def build_program(program: Program, options: argparse.Namespace) -> None:
    match program.kind:
        case "root":
            swift_build(ROOT, options.root_scratch_path, program.name)
        case "benchmarks":
            swift_build(BENCHMARKS, options.scratch_path, program.name)
        case "rust":
            cargo_build(program.name, options)
        case "debian":
            packages.require_tool(program.name)


def swift_build(package: str, scratch: str, product: str) -> None:
    machine.need("swift", None)
    run(["swift", "build", "-c", "release", "--package-path", package, "--scratch-path", scratch,
         "--product", product])


def cargo_build(name: str, options: argparse.Namespace) -> None:
    """Against Debian's crates: cargo reads the package's .cargo/config.toml only when run from its folder."""
    packages.require("librust-tokio-dev", lambda: bool(glob.glob(f"{CRATES}/tokio-[0-9]*")))
    packages.require_tool("cargo")
    target = os.path.abspath(rust_directory(options))
    run(["cargo", "build", "--offline", "--release", "--target-dir", target],
        folder=os.path.join(BENCHMARKS, "Rust", name))


def run(command: list[str], folder: str | None = None) -> None:
    machine.say("building: " + " ".join(os.path.relpath(word) if os.path.isabs(word) and word.startswith(ROOT)
                                        else word for word in command))
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode != 0:
        raise Failure(f"{done.stdout}\nthe build above failed (status {done.returncode})")
