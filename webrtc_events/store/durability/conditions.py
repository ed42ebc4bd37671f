"""What was found out about the store, as readiness shows it to everybody: without addresses."""

from collections import Counter
from collections.abc import Sequence

from webrtc_events.core.conditions import Condition, Health
from webrtc_events.store.durability.findings import Bearing, Finding

__all__ = ["clock_condition", "durability_condition", "is_shown_durable", "writes_condition"]

_NOTHING_WRONG = frozenset({Bearing.NOTE, Bearing.UNKNOWN})


def is_shown_durable(found: Sequence[Finding]) -> bool:
    """Whether the store is durable for sure."""
    return not any(finding.bearing in (Bearing.NOT_DURABLE, Bearing.UNKNOWN) for finding in found)


def durability_condition(
    found: Sequence[Finding], *, nodes: int, required: bool, lost: str | None = None
) -> Condition:
    """Of `nodes` nodes. `required`: a store that is not shown to be durable is not to be used.

    `lost` says what the store lost lately.
    """
    refused = required and not is_shown_durable(found)
    passed_over = {Bearing.NOTE} if refused else _NOTHING_WRONG
    counts = Counter(
        finding.detail for finding in found if finding.bearing not in passed_over and not finding.is_of_clocks
    )
    details = [_of_some(detail, count, nodes) for detail, count in counts.items()]
    if lost is not None:
        details.append(lost)
    if refused:
        return Condition(Health.UNAVAILABLE, " ".join(details))
    return _degraded(details)


def clock_condition(found: Sequence[Finding]) -> Condition:
    """Whether the clocks of the store and of this host agree."""
    return _degraded(list(dict.fromkeys(finding.detail for finding in found if finding.is_of_clocks)))


def writes_condition(failing: int, nodes: int, *, lost: bool) -> Condition:
    """`failing` of `nodes` are out or take no writes; `lost`: all of them."""
    if lost:
        return Condition(Health.UNAVAILABLE, "The store takes no writes at the moment.")
    if failing:
        return Condition(
            Health.DEGRADED,
            f"{failing} of {nodes} nodes of the store are out or take no writes at the moment.",
        )
    return Condition.ok()


def _degraded(details: Sequence[str]) -> Condition:
    return Condition(Health.DEGRADED, " ".join(details)) if details else Condition.ok()


def _of_some(detail: str, count: int, nodes: int) -> str:
    return detail if count == nodes else f"{detail.removesuffix('.')} ({count} of {nodes} nodes)."
