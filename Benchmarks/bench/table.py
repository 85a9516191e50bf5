"""Markdown tables, and medians."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable

import machine


def print_heading(title: str, *notes: str, cores: machine.Cores | None = None) -> None:
    print(f"\n### {title}\n")
    for note in (f"{machine.description()}; {(cores or machine.cores()).description}.", *notes):
        print(note)
    print()


def print_table(header: list[str], rows: Iterable[list[str]], names: int = 1) -> None:
    """The first `names` columns are words, aligned left; the others figures, aligned right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = ["-" * width if column < names else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    for line in (header, rule, *lines[1:]):
        cells = [cell.ljust(width) if column < names else cell.rjust(width)
                 for column, (cell, width) in enumerate(zip(line, widths))]
        print("| " + " | ".join(cells) + " |")


def median_of(results: list[dict], pick: Callable[[dict], float]) -> float:
    return statistics.median(pick(result) for result in results)


def median_at(results: list[dict], *path: str) -> float:
    """Of what is found by these keys, one after the other."""
    def found(result: dict) -> float:
        for key in path:
            result = result[key]
        return result

    return median_of(results, found)


def number(value: float) -> str:
    return f"{value:,.0f}"
