"""Drains in rounds: contenders take turns, and ratios are of rounds that ran one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from harness.contenders import BULLMQ, CELERY, LIBCURL, Contender
from harness.draining import Drained, drain
from harness.report import median, paired_ratio, progress, table
from harness.scene import Scene

__all__ = ["GOALS", "drain_table", "play", "ratios"]

HEADS = (
    "",
    "deliveries/s",
    "worker CPU s/1,000",
    "store CPU s/1,000",
    "commands/delivery",
    "scripts/delivery",
    "round trips/delivery",
    "doubled",
    "overtaken",
)
# Deliveries/s of the service, times those of the other at least.
GOALS = {BULLMQ: 3.0, CELERY: 20.0, LIBCURL: 0.3}


def play(contenders: Sequence[Contender], rounds: int, scene: Scene) -> dict[str, list[Drained]]:
    """What each contender did in each round."""
    found: dict[str, list[Drained]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        # Forth and back: a drift of the machine counts for all.
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            drained = drain(contender, scene.job, scene.store, scene.folder)
            found[contender.name].append(drained)
            progress(
                f"round {number + 1} of {rounds}: {contender.name} {drained.per_s:,.0f}/s, "
                f"CPU {drained.worker_cpu:.3f} and {drained.store_cpu:.3f} s/1,000"
            )
    return found


def drain_table(rounds: Mapping[str, Sequence[Drained]]) -> str:
    """The medians of all rounds."""
    names = [field.name for field in fields(Drained) if field.name not in ("steady_per_s", "lost")]
    return table(
        HEADS,
        [
            (name, *(median(getattr(drained, figure) for drained in drains) for figure in names))
            for name, drains in rounds.items()
        ],
    )


def ratios(rounds: Mapping[str, Sequence[Drained]]) -> tuple[str, dict[str, dict[str, Any]]]:
    """The first contender to each other, as a table and as figures."""
    own, *others = rounds
    found: dict[str, dict[str, Any]] = {}
    for other in others:
        found[other] = {
            figure: paired_ratio(
                [getattr(drained, figure) for drained in rounds[own]],
                [max(1e-9, getattr(drained, figure)) for drained in rounds[other]],
            )
            for figure in ("per_s", "worker_cpu", "store_cpu")
        }
        if (goal := GOALS.get(other)) is not None:
            found[other] |= {"goal": goal, "met": found[other]["per_s"] >= goal}
    heads = (f"{own} to", "deliveries/s", "worker CPU", "store CPU", "goal", "met")
    rows = [
        (other, *(f"x {pairs[figure]:.2f}" for figure in ("per_s", "worker_cpu", "store_cpu")), *_goal(pairs))
        for other, pairs in found.items()
    ]
    return table(heads, rows), found


def _goal(pairs: Mapping[str, Any]) -> tuple[str, str]:
    return (f"x {pairs['goal']:g}", "yes" if pairs["met"] else "no") if "goal" in pairs else ("-", "-")
