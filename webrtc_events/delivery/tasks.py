"""A claim in progress at its sink."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from webrtc_events.core.credentials import fetches_token
from webrtc_events.core.json_lines import json_string
from webrtc_events.core.model import Claim, OutboxItem, OutboxKind
from webrtc_events.core.outcomes import (
    DELIVERED,
    PROXY_REASONS,
    Agreed,
    Delivered,
    Drop,
    End,
    Outcome,
    Refused,
    Retry,
    ScheduledRetry,
    SinkResult,
)
from webrtc_events.core.sink_hosts import host_of
from webrtc_events.delivery.attempt_report import AttemptReport
from webrtc_events.delivery.attempt_spans import AttemptSpan
from webrtc_events.delivery.delivered_run import DeliveredRun
from webrtc_events.delivery.host_requests import Permit
from webrtc_events.delivery.token_cache import SinkToken
from webrtc_events.store.keys import Partition
from webrtc_events.store.settlements import ChannelEvent, DroppedEvent, Settlement

__all__ = ["DeliveryTask"]

# In 3.11 a member of an enumeration is looked up by a function.
_HANDSHAKE: Final = OutboxKind.HANDSHAKE


@dataclass(slots=True, eq=False)
class DeliveryTask:
    """One claim, its events tried one after the other, and what came of them.

    `item`: its event; the last one, once it is `exhausted`. `path`: of its host, see KnownPaths.
    `claimed_at_s` and `slot_at_s` are of the dispatcher's monotonic clock. `permit`: the one that
    it holds for its host. `slot_at_s`: when its rate-limit slot is, if it has one. `awaits_host`: its retry
    waits because the host is unreachable, or has not answered yet.
    `channel`: the one that is its sink, if one is; `stored`: the events for its log; `reports`: what there
    is to say once they are in it. `body`: what is sent of its event, where a trace is to have it.
    `span`: of the attempt under way, if it is recorded. `awaits_token`: one is to be fetched for its sink;
    `token`: the one that was.
    """

    claim: Claim
    partition: Partition
    claimed_at_s: float
    host: str = field(init=False)
    path: int = field(init=False)
    permit: Permit | None = None
    index: int = 0
    item: OutboxItem = field(init=False)
    exhausted: bool = False
    attempt: int = field(init=False)
    correlator: str = ""
    event_type: str = ""
    body: bytes = b""
    span: AttemptSpan | None = None
    dropped: list[DroppedEvent] = field(default_factory=list)
    attempts: list[dict[str, Any] | DeliveredRun] = field(default_factory=list)
    retry: ScheduledRetry | None = None
    awaits_host: bool = False
    end: End | None = None
    result: SinkResult = SinkResult.NOT_ASKED
    answer: Agreed | Refused | None = None
    slot_at_s: float | None = None
    channel: str = ""
    stored: list[ChannelEvent] = field(default_factory=list)
    reports: list[AttemptReport] = field(default_factory=list)
    awaits_token: bool = False
    token: SinkToken | None = None
    _run: DeliveredRun | None = None

    def __post_init__(self) -> None:
        self.host = host_of(self.claim.sink)
        self.path = hash(self.claim.sink)
        self.item = self.claim.items[0]
        self.attempt = self.claim.attempts + 1
        if self.claim.credential is not None:
            self.awaits_token = fetches_token(self.claim.credential)

    @property
    def is_handshake(self) -> bool:
        """Whether its sink is asked to agree."""
        return self.item.kind is _HANDSHAKE

    def now_ms(self, now_s: float) -> int:
        """The store's time, carried on by the monotonic clock: the host's wall clock decides nothing."""
        return self.claim.now_ms + round((now_s - self.claimed_at_s) * 1000)

    def fits(self, exchange_ms: int, now_ms: int) -> bool:
        """Whether an exchange that takes that long ends before the lease does."""
        return now_ms + exchange_ms < self.claim.lease_until_ms

    def remaining_ms(self, now_ms: int) -> int:
        """What is left until its event's deadline; may be negative."""
        return self.item.deadline_ms - now_ms

    def fitting(self, outcome: Outcome, mask: Callable[[str], str]) -> Outcome:
        """What the outcome comes to for this item. Its detail, which is kept and logged, is masked."""
        # What fails by the egress proxy is no attempt: an end that is sent once is still to be sent.
        once = self.claim.end_once and isinstance(outcome, Retry) and outcome.reason not in PROXY_REASONS
        if self.item.end and (once or isinstance(outcome, End)):
            # The end cannot end the subscription again: it is given up.
            outcome = Drop("end_refused", ": ".join(filter(None, (_reason(outcome), _detail(outcome)))))
        if self.is_handshake and isinstance(outcome, Drop):
            # It could not be asked; no event is lost by that.
            outcome = Refused(outcome.reason, outcome.detail)
        if isinstance(outcome, Drop | Refused | Retry):
            return replace(outcome, detail=mask(outcome.detail))
        return outcome

    def note(self, outcome: Outcome, status: int | None, elapsed_ms: int, now_ms: int) -> dict[str, Any]:
        """One attempt, as it is kept and logged. `now_ms`: the store's."""
        record = self.attempt_fields(outcome, status, elapsed_ms, now_ms)
        self.attempts.append(record)
        self._run = None
        return record

    def attempt_fields(
        self, outcome: Outcome, status: int | None, elapsed_ms: int, now_ms: int
    ) -> dict[str, Any]:
        """What one attempt was; `detail` only where there is one."""
        detail = _detail(outcome)
        return {
            "event": f"{self.claim.subscription_id}.{self.item.event_number}",
            "type": self.event_type.rpartition(".")[2],
            "attempt": self.attempt,
            "outcome": type(outcome).__name__.lower(),
            "reason": _reason(outcome),
            **({"detail": detail} if detail else {}),
            "status": status,
            "ms": elapsed_ms,
            "at": now_ms,
            "host": self.host,
            "correlator": self.correlator,
        }

    def note_delivered(self, status: int, elapsed_ms: int, now_ms: int) -> None:
        """The same of an event that was delivered. Most attempts are such."""
        if self.attempt > 1:
            self.note(DELIVERED, status, elapsed_ms, now_ms)
            return
        run = self._run
        if run is None or run.status != status or run.event_type != self.event_type:
            run = self._run = DeliveredRun(self.claim.subscription_id, self.host, self.event_type, status)
            self.attempts.append(run)
        run.add(self.item.event_number, elapsed_ms, now_ms, self.correlator)

    def delivered_line(self, status: int, elapsed_ms: int, now_ms: int, host: str) -> str:
        """How it is logged; `host` as it is shown there."""
        return (
            f"attempt event={self.claim.subscription_id}.{self.item.event_number} "
            f"type={self.event_type.rpartition('.')[2]} attempt={self.attempt} outcome=delivered reason= "
            f"status={status} ms={elapsed_ms} at={now_ms} host={host} correlator={self.correlator}"
        )

    def delivered_members(self, status: int, elapsed_ms: int, now_ms: int, host: str) -> str:
        """How it is logged as JSON; `host` as a string of JSON."""
        return (
            f'"message":"attempt","event":"{self.claim.subscription_id}.{self.item.event_number}",'
            f'"type":"{self.event_type.rpartition(".")[2]}","attempt":{self.attempt},'
            f'"outcome":"delivered","reason":"","status":{status},"ms":{elapsed_ms},"at":{now_ms},'
            f'"host":{host},"correlator":{json_string(self.correlator)}'
        )

    def apply(self, outcome: Outcome) -> bool:
        """Takes in the outcome of its event; True if the claim goes on with the next."""
        match outcome:
            case Delivered():
                self.advance()
                return True
            case Drop(reason, detail):
                self.dropped.append(DroppedEvent(self.item.number, reason, detail))
                self.advance()
                return True
            case Retry(delay_ms):
                self.retry = ScheduledRetry(delay_ms, self.attempt, self.item.number)
            case End(reason):
                self.end = outcome
                self.dropped.append(DroppedEvent(self.item.number, "refused", reason))
                self.advance()
            case Agreed() | Refused():
                self.answer = outcome
                self.advance()
        return False

    def postpone(self, delay_ms: int, now_ms: int) -> None:
        """Its event is due again after the delay, its deadline at the latest; no attempt was made."""
        delay_ms = min(delay_ms, self.remaining_ms(now_ms))
        self.retry = ScheduledRetry(delay_ms, self.attempt - 1, self.item.number)

    def advance(self) -> None:
        """Its event is done with: the claim goes on with the next."""
        self.index += 1
        self.attempt = 1
        items = self.claim.items
        if self.index < len(items):
            self.item = items[self.index]
        else:
            self.exhausted = True

    def settlement(self) -> Settlement:
        done = self.claim.items[: self.index]
        return Settlement(
            claim=self.claim,
            through=done[-1].number if done else self.claim.items[0].number - 1,
            dead=tuple(self.dropped),
            attempts=tuple(
                attempt if isinstance(attempt, dict) else attempt.record() for attempt in self.attempts
            ),
            follow_up=self.answer or self.end or self.retry,
            sink=self.result,
            channel=self.channel,
            events=tuple(self.stored),
        )


def _reason(outcome: Outcome) -> str:
    """Why, in one word; empty for a success."""
    return "" if isinstance(outcome, Delivered | Agreed) else str(outcome.reason)


def _detail(outcome: Outcome) -> str:
    return outcome.detail if isinstance(outcome, Drop | Refused | Retry) else ""
