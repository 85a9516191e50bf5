"""Debian packages that a contender needs: there, or installed when run as root, or said to be missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

import machine
from failure import Failure


class Missing(Failure):
    """What a contender needs cannot be had: it is left out."""


def require(package: str, is_there: Callable[[], bool]) -> None:
    if is_there():
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Missing(f"{package} (Debian's package) is not installed; as root: apt-get install {package}")
    machine.say(f"installing {package} (apt-get)")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"],
                    ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]):
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, env=environment, check=False)
    if not is_there():
        raise Missing(f"apt-get could not install {package}")


def require_tool(package: str) -> None:
    """A package that brings a program of its own name."""
    require(package, lambda: shutil.which(package) is not None)
