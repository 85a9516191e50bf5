"""What a check is, and how it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class Failure(Exception):
    """The server did something wrong; the text is the sentence that is printed."""


@dataclass(frozen=True)
class Check:
    name: str
    #: Takes the path of smtp-sink; returns what it saw, in a few words.
    body: Callable[[str], str]


def expect(condition: bool, sentence: str) -> None:
    if not condition:
        raise Failure(sentence)


def expect_equal(got: bytes, wanted: bytes, what: str) -> None:
    """Byte for byte; says where they part."""
    if got == wanted:
        return
    place = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
    raise Failure(f"{what}: {len(got)} bytes instead of {len(wanted)}, different at {place}: "
                  f"{got[place:place + 20]!r} instead of {wanted[place:place + 20]!r}")
