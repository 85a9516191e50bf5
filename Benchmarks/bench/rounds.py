"""Measuring in rounds: contenders take turns, and the order moves on by one each round, so that what drifts
on the machine drifts for all. Figures are medians over the rounds; a ratio is the median of each round's own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import TypeVar

import machine
from contenders import Contender
from table import median_of

BASELINE = "c"
DISTURBED_BELOW = 0.9  # of a core: a closed loop fills the server's or the load's, unless others use it

Case = TypeVar("Case")
Reports = dict[str, list[dict]]  # by contender, one a round


def add_options(parser: argparse.ArgumentParser, seconds: float, rounds: int) -> None:
    parser.add_argument("--seconds", type=float, default=seconds, metavar="S",
                        help=f"measured a run (default {seconds:g})")
    parser.add_argument("--warmup", type=float, default=1, metavar="W", help="seconds before (default 1)")
    parser.add_argument("--rounds", type=int, default=rounds, metavar="R",
                        help=f"runs of each (default {rounds})")
    parser.add_argument("--raw", metavar="FILE", help="append each run's report to FILE, as a line of JSON")


def alternate(options: argparse.Namespace, cases: Sequence[Case], measure: Callable[[Contender, Case], dict],
              describe: Callable[[Case, dict], str]) -> dict[Case, Reports]:
    results: dict[Case, Reports] = {
        case: {contender.key: [] for contender in options.contenders} for case in cases}
    for turn in range(options.rounds):
        for case in cases:
            for contender in rotated(options.contenders, turn):
                report = measure(contender, case)
                results[case][contender.key].append(report)
                machine.say(f"round {turn + 1}, {contender.key}: {describe(case, report)}")
                keep_raw(options.raw, contender, turn, report)
    return results


def rotated(contenders: list[Contender], turn: int) -> list[Contender]:
    first = turn % len(contenders)
    return contenders[first:] + contenders[:first]


def keep_raw(path: str | None, contender: Contender, turn: int, report: dict) -> None:
    if path is not None:
        with open(path, "a", encoding="utf-8") as lines:
            lines.write(json.dumps({"contender": contender.key, "round": turn + 1, **report}) + "\n")


def spent(options: argparse.Namespace) -> str:
    return f"Medians of {options.rounds} × {options.seconds:g} s, each after {options.warmup:g} s."


def ratio_to_baseline(reports: list[dict], baseline: list[dict] | None,
                      pick: Callable[[dict], float]) -> str:
    if baseline is None:
        return "-"
    pairs = [{"ratio": pick(own) / pick(base)} for own, base in zip(reports, baseline)]
    return f"{median_of(pairs, lambda pair: pair['ratio']):.2f}"


def disturbance(results: Reports, server: str = "server") -> list[str]:
    """Says so when other programs took the cores."""
    runs = [report for reports in results.values() for report in reports]
    disturbed = [run for run in runs if max(run[f"{server}_busy"], run["load_busy"]) < DISTURBED_BELOW]
    if not disturbed:
        return []
    return [f"In {len(disturbed)} of {len(runs)} runs neither {server} nor load had a core to itself: other "
            "programs ran. Compare ratios only, or measure again."]
