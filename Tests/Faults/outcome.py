"""What a check is, and what may come of it besides success."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class Failure(Exception):
    """The server did something wrong; the text is the sentence that is printed."""


class Skipped(Exception):
    """The fault cannot be made on this machine, and why."""


@dataclass(frozen=True)
class Check:
    name: str
    #: Takes the path of the server; returns what it saw, in a few words.
    body: Callable[[str], str]


def expect(condition: bool, sentence: str) -> None:
    if not condition:
        raise Failure(sentence)
