"""What there is to say about a whole call: when it was, how far it came, what became of its notifications."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from webrtc_events.console.ladder.entries import Accepted, Attempt, AttemptOutcome, Gap, Item, Unreadable
from webrtc_events.console.ladder.wording import count, date_time, duration
from webrtc_events.core.call_trace import CallOutcome

__all__ = ["Fact", "call_facts", "outcome_of"]

_FAILED = (AttemptOutcome.DROP, AttemptOutcome.END, AttemptOutcome.REFUSED)
_TROUBLES = {
    AttemptOutcome.RETRY: ("Retries", "fair"),
    AttemptOutcome.DROP: ("Given up", "bad"),
    AttemptOutcome.END: ("Ended", "bad"),
    AttemptOutcome.REFUSED: ("Refused", "bad"),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """`css` is the class that colours the value, empty for none."""

    label: str
    value: str
    css: str = ""


def outcome_of(items: Sequence[Item]) -> CallOutcome:
    """The worst that came of its notifications, as the list of calls has it."""
    outcomes = Counter(item.entry.outcome for item in items if isinstance(item.entry, Attempt))
    if any(outcomes[failed] for failed in _FAILED):
        return CallOutcome.FAILED
    if outcomes[AttemptOutcome.RETRY]:
        return CallOutcome.RETRIED
    return CallOutcome.DELIVERED if outcomes[AttemptOutcome.DELIVERED] else CallOutcome.NOT_TRIED


def call_facts(items: Sequence[Item]) -> list[Fact]:
    """Of what is there; an empty trace has none."""
    if not items:
        return []
    accepted = [item.entry for item in items if isinstance(item.entry, Accepted)]
    first, last = min(item.at for item in items), max(item.at for item in items)
    duplicates = sum(entry.duplicate for entry in accepted)
    return [
        Fact("First seen", date_time(first)),
        Fact("Lasted", duration(last - first)),
        Fact("Latest status", _status(accepted) or "none"),
        Fact("Events", f"{len(accepted):,}" + (f", {count(duplicates, 'duplicate')}" if duplicates else "")),
        *_deliveries(items),
        *_left_out(items),
    ]


def _deliveries(items: Sequence[Item]) -> Iterator[Fact]:
    outcomes = Counter(item.entry.outcome for item in items if isinstance(item.entry, Attempt))
    yield Fact("Delivered", f"{outcomes[AttemptOutcome.DELIVERED]:,}", "good")
    for outcome, (label, css) in _TROUBLES.items():
        if outcomes[outcome]:
            yield Fact(label, f"{outcomes[outcome]:,}", css)
    if took := _latencies(items):
        typical, longest = duration(round(median(took))), duration(max(took))
        yield Fact("Accepted to delivered", f"{typical}, at most {longest}")


def _left_out(items: Sequence[Item]) -> Iterator[Fact]:
    if missing := sum(item.entry.count or 1 for item in items if isinstance(item.entry, Gap)):
        yield Fact("Not kept", f"{missing:,}", "fair")
    if unreadable := sum(isinstance(item.entry, Unreadable) for item in items):
        yield Fact("Unreadable", f"{unreadable:,}", "fair")


def _status(accepted: Sequence[Accepted]) -> str:
    """The latest that the gateway gave: entries are in order."""
    return next((entry.status for entry in reversed(accepted) if entry.status and not entry.duplicate), "")


def _latencies(items: Sequence[Item]) -> list[int]:
    """From the acceptance of each event to its receipt, ms."""
    return [
        item.at - item.entry.accepted_at
        for item in items
        if isinstance(item.entry, Attempt)
        and item.entry.outcome is AttemptOutcome.DELIVERED
        and item.entry.accepted_at is not None
        and item.at >= item.entry.accepted_at
    ]
