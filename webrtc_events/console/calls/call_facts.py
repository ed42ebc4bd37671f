"""What there is to say about a whole call: when it was, how far it came, what became of its notifications."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from webrtc_events.console.ladder.entries import Accepted, Attempt, AttemptOutcome, Gap, Item, Unreadable
from webrtc_events.console.ladder.wording import count, date_time, duration
from webrtc_events.core.call_trace import CallOutcome
from webrtc_events.core.plain_text import printable

__all__ = ["Fact", "call_facts", "outcome_of", "parties"]

_MAX_CHARACTERS = 100
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


def parties(shown: Sequence[object]) -> list[Fact]:
    """Who calls whom, by the first event that says so; `shown`: entries as the page shows them.

    Source of the members: network-events.yaml, data of session events.
    """
    for entry in shown:
        data = entry.get("data") if isinstance(entry, dict) else None
        if isinstance(data, dict) and "originatorAddress" in data:
            return [
                Fact(label, found)
                for label, role in (("From", "originator"), ("To", "receiver"))
                if (found := _party(data, role))
            ]
    return []


def _party(data: dict[str, object], role: str) -> str:
    """`Alice Meyer, tel:+12025550143`, or what there is of it; of two pseudonyms only that of the address."""
    name, address = data.get(f"{role}Name"), data.get(f"{role}Address")
    members = (address,) if isinstance(name, str) and name.startswith("~") else (name, address)
    found = [printable(value, _MAX_CHARACTERS) for value in members if isinstance(value, str) and value]
    return ", ".join(found)


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
