"""A claim on its way to its sink."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from webrtc_events.core.model import (
    Agreed,
    Claim,
    Delivered,
    Drop,
    End,
    OutboxItem,
    OutboxKind,
    Outcome,
    Refused,
    Retry,
)
from webrtc_events.delivery.host_limiter import Place, host_of
from webrtc_events.store.keys import Partition
from webrtc_events.store.settlements import DroppedEvent, RetryLater, Settlement, SinkConduct

__all__ = ["DeliveryTask"]


@dataclass(slots=True, eq=False)
class DeliveryTask:
    """One claim, its events tried one after the other, and what came of them.

    `claimed_at_s` is of the dispatcher's monotonic clock. `sink`, `answer`: see `Settlement`. `place`:
    the one that it holds on the way to its host. `turn_s`: when its turn comes, if it has one.
    """

    claim: Claim
    partition: Partition
    claimed_at_s: float
    host: str = field(init=False)
    place: Place | None = None
    index: int = 0
    attempt: int = field(init=False)
    correlator: str = ""
    event_type: str = ""
    dead: list[DroppedEvent] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    retry: RetryLater | None = None
    end: End | None = None
    sink: SinkConduct = SinkConduct.NOT_ASKED
    answer: Agreed | Refused | None = None
    turn_s: float | None = None

    def __post_init__(self) -> None:
        self.host = host_of(self.claim.sink)
        self.attempt = self.claim.attempts + 1

    @property
    def item(self) -> OutboxItem:
        return self.claim.items[self.index]

    @property
    def asks(self) -> bool:
        """Whether its sink is asked if it agrees."""
        return self.item.kind is OutboxKind.HANDSHAKE

    @property
    def exhausted(self) -> bool:
        return self.index == len(self.claim.items)

    def now_ms(self, now_s: float) -> int:
        """The store's time, carried on by the monotonic clock: the host's wall clock decides nothing."""
        return self.claim.now_ms + round((now_s - self.claimed_at_s) * 1000)

    def fitting(self, outcome: Outcome, mask: Callable[[str], str]) -> Outcome:
        """What the outcome comes to for this item. Its detail, which is kept and logged, is masked."""
        if self.item.end and (
            isinstance(outcome, End) or (isinstance(outcome, Retry) and self.claim.end_once)
        ):
            # The end cannot be ended again: it is given up.
            outcome = Drop("end_refused", ": ".join(filter(None, (_reason(outcome), _detail(outcome)))))
        if self.asks and isinstance(outcome, Drop):
            # It could not be asked; no event is lost by that.
            outcome = Refused(outcome.reason, outcome.detail)
        if isinstance(outcome, Drop | Refused | Retry):
            return replace(outcome, detail=mask(outcome.detail))
        return outcome

    def note(self, outcome: Outcome, status: int | None, elapsed_ms: int, now_s: float) -> dict[str, Any]:
        """One attempt, as it is kept and logged; `detail` only where there is one."""
        detail = _detail(outcome)
        record = {
            "event": f"{self.claim.subscription_id}.{self.item.event_number}",
            "type": self.event_type.rpartition(".")[2],
            "attempt": self.attempt,
            "outcome": type(outcome).__name__.lower(),
            "reason": _reason(outcome),
            **({"detail": detail} if detail else {}),
            "status": status,
            "ms": elapsed_ms,
            "at": self.now_ms(now_s),
            "host": self.host,
            "correlator": self.correlator,
        }
        self.attempts.append(record)
        return record

    def take(self, outcome: Outcome) -> bool:
        """The outcome of its event; True if the claim goes on with the next."""
        match outcome:
            case Delivered():
                self._advance()
                return True
            case Drop(reason, detail):
                self.dead.append(DroppedEvent(self.item.number, reason, detail))
                self._advance()
                return True
            case Retry(delay_ms):
                self.retry = RetryLater(delay_ms, self.attempt, self.item.number)
            case End():
                self.end = outcome
                self.dead.append(DroppedEvent(self.item.number, "refused", outcome.reason))
                self._advance()
            case Agreed() | Refused():
                self.answer = outcome
                self._advance()
        return False

    def give_back(self, delay_ms: int) -> None:
        """Its event is tried later, as if it had not been claimed: no attempt was made."""
        self.retry = RetryLater(delay_ms, self.attempt - 1, self.item.number)

    def _advance(self) -> None:
        self.index += 1
        self.attempt = 1

    def settlement(self) -> Settlement:
        done = self.claim.items[: self.index]
        return Settlement(
            claim=self.claim,
            through=done[-1].number if done else self.claim.items[0].number - 1,
            dead=tuple(self.dead),
            attempts=tuple(self.attempts),
            follow_up=self.answer or self.end or self.retry,
            sink=self.sink,
        )


def _reason(outcome: Outcome) -> str:
    """Why, in a word; empty for what went well."""
    return "" if isinstance(outcome, Delivered | Agreed) else str(outcome.reason)


def _detail(outcome: Outcome) -> str:
    return outcome.detail if isinstance(outcome, Drop | Refused | Retry) else ""
