"""Holds what sinks received against what was accepted. Pure.

The events of a subscription are numbered from 1 by the test, in the order of acceptance, and
carry that number as `sequenceNumber`. The service numbers what it puts into an outbox too, and
shows that number in the notification's id: consecutive, but for a leap to the next million after
the store was started again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["END", "Attempt", "Expected", "Verdict", "check_deliveries"]

# In place of an event's number.
END = 0
_LEAP = 1_000_000


@dataclass(slots=True)
class Attempt:
    """One POST. `event` is its sequenceNumber, or `END` with a `reason`; `number` is that of its id.

    `arrived` and `answered` are positions in the sink's journal, the times are in seconds.
    `status` is None without an answer, 0 when the connection was cut instead.
    """

    subscription: str
    number: int
    event: int
    reason: str | None
    path: str
    body: bytes
    sink: int
    arrived: int
    arrived_s: float
    answered: int | None = None
    answered_s: float | None = None
    status: int | None = None

    @property
    def name(self) -> str:
        return f"{self.subscription}.{self.number}, {f'event {self.event}' if self.event else 'the end'},"

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Expected:
    """Of one subscription: the events that it must have had, 1 to `at_least`, and may have had.

    `max_events` is its maximum; `ends` the reasons of which its end must give one, none if it is not
    to end; `dropped` says that its owner deleted it, so that what was not delivered may be gone.
    """

    subscription: str
    path: str
    at_least: int
    at_most: int
    max_events: int | None = None
    ends: frozenset[str] = frozenset()
    dropped: bool = False


@dataclass
class Verdict:
    """What was found, each fault as a line; the other counts are for the caller to assess.

    `repeated` counts attempts after the first, `doubled` those of events that were taken before,
    `most_doubled` those of one subscription at most. `late` are repeats after the end, which only
    a frozen process can send. `twins` are events with two ids, each once.
    """

    subscriptions: int = 0
    accepted: int = 0
    delivered: int = 0
    ends: int = 0
    given_up: int = 0
    repeated: int = 0
    doubled: int = 0
    max_doubled: int = 0
    late: int = 0
    twins: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.disordered or self.wrong)

    def figures(self) -> str:
        found = {
            "accepted": self.accepted,
            "delivered": self.delivered,
            "ends": f"{self.ends}/{self.subscriptions}",
            "lost": len(self.lost),
            "doubled": f"{self.doubled} ({self.max_doubled} of one)" if self.doubled else 0,
            "disordered": len(self.disordered),
            "wrong": len(self.wrong),
            "repeated": self.repeated,
            "given up": self.given_up,
        }
        rare = {"twins": len(self.twins), "late": self.late}
        found |= {name: count for name, count in rare.items() if count}
        return ", ".join(f"{name} {count}" for name, count in found.items())

    def details(self, max_lines: int = 20) -> str:
        lines = []
        for name in ("lost", "disordered", "wrong", "twins"):
            faults = getattr(self, name)
            lines += [f"{name}: {fault}" for fault in faults[:max_lines]]
            if len(faults) > max_lines:
                lines.append(f"{name}: {len(faults) - max_lines} more")
        return "\n".join(lines)


def check_deliveries(
    expected: Iterable[Expected], attempts: Iterable[Attempt], dead: Mapping[tuple[str, int], str]
) -> Verdict:
    """`dead` has the reason of each dead letter, by subscription and event."""
    verdict = Verdict()
    by_subscription: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        by_subscription[attempt.subscription].append(attempt)
    for one in expected:
        given_up = {event for subscription, event in dead if subscription == one.subscription}
        _SubscriptionCheck(one, by_subscription.pop(one.subscription, []), given_up, verdict).run()
    verdict.wrong += [f"{subscription_id}: notified, but not expected" for subscription_id in by_subscription]
    return verdict


class _SubscriptionCheck:
    """One subscription's."""

    def __init__(
        self, expected: Expected, attempts: Sequence[Attempt], given_up: set[int], verdict: Verdict
    ) -> None:
        self._expected = expected
        self._attempts = attempts
        self._given_up = given_up
        self._verdict = verdict
        self._first: dict[int, Attempt] = {}
        self._taken: dict[int, int] = {}
        self._next_event = 1

    def run(self) -> None:
        moments = [(attempt.arrived, self._arrive, attempt) for attempt in self._attempts]
        moments += [
            (attempt.answered, self._take, attempt)
            for attempt in self._attempts
            if attempt.answered is not None and attempt.taken
        ]
        for _, happened, attempt in sorted(moments, key=lambda moment: moment[0]):
            happened(attempt)
        self._check_numbers()
        self._check_end()
        self._count(self._appended())

    def _arrive(self, attempt: Attempt) -> None:
        end = self._first.get(END)
        first = self._first.setdefault(attempt.event, attempt)
        if first is attempt:
            self._check_first(attempt, end)
        else:
            self._check_repeat(attempt, first)
            if end is not None and attempt.event != END:
                self._verdict.late += 1

    def _check_first(self, attempt: Attempt, end: Attempt | None) -> None:
        one = self._expected
        if attempt.path != one.path:
            self._verdict.wrong.append(f"{attempt.name} came to {attempt.path}, not {one.path}")
        if end is not None:
            self._verdict.disordered.append(f"{attempt.name} came after the end")
        if attempt.event == END:
            # Of those that were dropped nothing is known: the end may come at any time.
            waits_for = self._appended() if not one.dropped else 0
        else:
            waits_for = attempt.event - 1
        if (missing := self._first_missing(waits_for)) is not None:
            self._verdict.disordered.append(f"{attempt.name} came while event {missing} was not done with")

    def _check_repeat(self, attempt: Attempt, first: Attempt) -> None:
        if attempt.number != first.number:
            if attempt.event == END:
                self._verdict.wrong.append(f"{attempt.name} is a second one, the first was {first.number}")
            else:
                self._verdict.twins.append(f"{attempt.name} was {first.number} before")
        elif attempt.body != first.body:
            self._verdict.wrong.append(f"{attempt.name} has another content than before")

    def _take(self, attempt: Attempt) -> None:
        self._taken[attempt.event] = self._taken.get(attempt.event, 0) + 1

    def _check_numbers(self) -> None:
        """They rise with the events, and none is missing."""
        events = sorted(self._first.values(), key=lambda delivery: (delivery.event == END, delivery.event))
        # What was given up has a number too, and what was dropped.
        gaps = bool(self._given_up) or self._expected.dropped
        for former, latter in pairwise(events):
            leapt = latter.number // _LEAP > former.number // _LEAP
            if latter.number <= former.number or not (leapt or gaps or latter.number == former.number + 1):
                self._verdict.wrong.append(f"{latter.name} follows {former.name}")

    def _check_end(self) -> None:
        one, end = self._expected, self._first.get(END)
        if end is None:
            if one.ends and END not in self._given_up:
                self._verdict.wrong.append(f"{one.subscription}: no end came to {one.path}")
            return
        if end.reason not in one.ends:
            self._verdict.wrong.append(f"{end.name} says {end.reason}, not {sorted(one.ends)}")
        if self._done(END):
            self._verdict.ends += 1
        else:
            self._verdict.lost.append(f"{end.name} to {one.path}")

    def _count(self, appended: int) -> None:
        one, verdict = self._expected, self._verdict
        verdict.subscriptions += 1
        verdict.accepted += appended
        verdict.given_up += len(self._given_up)
        verdict.delivered += sum(event != END for event in self._taken)
        verdict.repeated += len(self._attempts) - len(self._first)
        doubled = sum(self._taken.values()) - len(self._taken)
        verdict.doubled += doubled
        verdict.max_doubled = max(verdict.max_doubled, doubled)
        if not one.dropped:
            missing = [event for event in range(1, appended + 1) if not self._done(event)]
            verdict.lost += [f"{one.subscription}, event {event} to {one.path}" for event in missing]
        too_many = max(self._first, default=END) - self._limit()
        if too_many > 0:
            verdict.wrong.append(f"{one.subscription}: had {too_many} events too many")

    def _appended(self) -> int:
        """How many events it had: those that are known to be appended, or else what arrived."""
        return max(min(self._expected.at_least, self._limit()), max(self._first, default=END))

    def _limit(self) -> int:
        one = self._expected
        return one.at_most if one.max_events is None else min(one.at_most, one.max_events)

    def _done(self, event: int) -> bool:
        return event in self._taken or event in self._given_up

    def _first_missing(self, last: int) -> int | None:
        """The first event up to `last` that is not done with."""
        while self._next_event <= last and self._done(self._next_event):
            self._next_event += 1
        return self._next_event if self._next_event <= last else None
