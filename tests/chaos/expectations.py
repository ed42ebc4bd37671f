"""What is to become of the subscriptions of a run: which end and why, and which the store has lost."""

from collections.abc import Iterable

from tests.chaos.service import Subscriber
from tests.chaos.verdict import Expected

__all__ = ["Expectations"]


class Expectations:
    def __init__(self) -> None:
        self._end_reasons: dict[str, frozenset[str]] = {}
        self._dropped: set[str] = set()
        self._lost: set[str] = set()

    def end(self, subscribers: Iterable[Subscriber], reasons: Iterable[str], *, dropped: bool) -> None:
        """These are to end with one of these reasons, what is pending `dropped` or not."""
        for subscriber in subscribers:
            self._end_reasons[subscriber.id] = self._end_reasons.get(subscriber.id, frozenset()) | {*reasons}
            if dropped:
                self._dropped.add(subscriber.id)

    def lose(self, subscribers: Iterable[Subscriber]) -> None:
        """Nothing more has to come of these."""
        self._lost |= {subscriber.id for subscriber in subscribers}

    def is_to_end(self, subscriber: Subscriber) -> bool:
        return subscriber.id in self._end_reasons or subscriber.id in self._lost

    def may_miss_events(self, subscriber: Subscriber) -> bool:
        return subscriber.id in self._dropped or subscriber.id in self._lost

    def of(self, subscriber: Subscriber) -> Expected:
        channel = subscriber.channel
        return Expected(
            subscriber.id,
            subscriber.path,
            at_least=0 if subscriber.id in self._lost else channel.appended,
            at_most=channel.sent,
            max_events=subscriber.max_events,
            ends=self._end_reasons.get(subscriber.id, frozenset()),
            dropped=self.may_miss_events(subscriber),
        )
