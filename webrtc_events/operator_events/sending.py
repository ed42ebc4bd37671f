"""Sends the events for operators to their sink: one after the other, claimed, retried, settled as any."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import msgspec

from webrtc_events.core.activity import Activity
from webrtc_events.core.clock import Clock
from webrtc_events.core.log_fields import LogFields
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.core.loops import Loop
from webrtc_events.core.model import Claim, OutboxItem
from webrtc_events.core.outcomes import (
    DELIVERED,
    Delivered,
    Drop,
    Outcome,
    Retry,
    ScheduledRetry,
    SinkAnswer,
    SinkReply,
    SinkRequest,
)
from webrtc_events.core.random_uuids import random_uuids
from webrtc_events.core.sink_hosts import host_of
from webrtc_events.delivery.retry_policy import decide, is_delivered
from webrtc_events.operator_events.cloud_events import PREFIX, check_event
from webrtc_events.operator_events.operator_sink import OperatorSink
from webrtc_events.sinks.client import SinkClient
from webrtc_events.sinks.signing import RequestSigner, UnsignableError
from webrtc_events.store.operator_outbox import OperatorOutbox
from webrtc_events.store.settlements import DroppedEvent, Settlement, SettleOutcome

__all__ = ["Sending"]

log = logging.getLogger(__name__)

_LOOK_S: Final = 1.0
_POLL_S: Final = 0.5
# Whatever else a sink of operators answers may be set wrong, and put right.
_NEVER_TAKEN: Final = frozenset({400, 413, 415, 422})
_LINES_A_MINUTE: Final = 6


class Sending:
    """For one thread, that of `loop`. The client is closed by `close`.

    `random`: uniform in [0, 1). `exchange_ms`: what one request may take at most.
    """

    def __init__(
        self,
        outbox: OperatorOutbox,
        sink: OperatorSink,
        client: SinkClient[Any],
        signer: RequestSigner | None,
        activity: Activity,
        clock: Clock,
        random: Callable[[], float],
        exchange_ms: int,
    ) -> None:
        self.loop = Loop("operator sink", self._round, clock)
        self._outbox = outbox
        self._sink = sink
        self._client = client
        self._signer = signer
        self._activity = activity
        self._clock = clock
        self._random = random
        self._exchange_ms = exchange_ms
        self._correlators = random_uuids()
        self._lines = LineLimit(clock, _LINES_A_MINUTE)

    def close(self) -> None:
        self._client.close()

    def _round(self) -> None:
        if not self.step():
            self.loop.pause(_LOOK_S)

    def step(self) -> bool:
        """Sends what is due. False: nothing is.

        Raises:
            Unavailable: the store cannot be reached. What was sent and could not be settled comes again.
        """
        if not self._outbox.may_be_due():
            return False
        asked_s = self._clock.monotonic()
        claim, given_up = self._outbox.claim()
        self._activity.count_operator_events("given_up", given_up)
        if claim is None:
            return False
        settlement = self._worked_off(claim, asked_s)
        if self._outbox.settle(settlement) is SettleOutcome.LOST:
            log.warning("lease lost on events for operators; they may come twice")
        return settlement.follow_up is None

    def _worked_off(self, claim: Claim, asked_s: float) -> Settlement:
        through = claim.items[0].number - 1
        dead: list[DroppedEvent] = []
        records: list[dict[str, Any]] = []
        retry: ScheduledRetry | None = None
        for place, item in enumerate(claim.items):
            now_ms = claim.now_ms + round((self._clock.monotonic() - asked_s) * 1000)
            if self.loop.stopping or now_ms + self._exchange_ms >= claim.lease_until_ms:
                # The rest goes back: an exchange may not outlive its lease.
                break
            attempt = claim.attempts + 1 if place == 0 else 1
            outcome, record = self._attempt(item, attempt, now_ms)
            records.append(record)
            match outcome:
                case Drop(reason, detail):
                    dead.append(DroppedEvent(item.number, reason, detail))
                    self._activity.count_operator_events("given_up")
                case Retry(delay_ms):
                    retry = ScheduledRetry(delay_ms, attempt, item.number)
                    self._activity.count_operator_events("retried")
                    break
                case _:
                    self._activity.count_operator_events("delivered")
            through = item.number
        return Settlement(claim, through, tuple(dead), tuple(records), retry)

    def _attempt(self, item: OutboxItem, attempt: int, now_ms: int) -> tuple[Outcome, dict[str, Any]]:
        """What came of one, and as it is kept and logged."""
        event, written = self._written(item, now_ms)
        correlator, status, elapsed_ms = "", None, 0
        if isinstance(written, SinkRequest):
            correlator = dict(written.headers)["x-correlator"]
            reply = self._exchange(written)
            elapsed_ms = reply.elapsed_ms
            status = reply.status if isinstance(reply, SinkAnswer) else None
            outcome = self._decide(reply, attempt, item.deadline_ms - now_ms, now_ms)
        else:
            outcome = written
        record = {
            "event": str(event.get("id", item.number)),
            "type": str(event.get("type", "")).removeprefix(PREFIX),
            "attempt": attempt,
            "outcome": type(outcome).__name__.lower(),
            "reason": "" if isinstance(outcome, Delivered) else getattr(outcome, "reason", ""),
            "status": status,
            "ms": elapsed_ms,
            "at": now_ms,
            "host": host_of(self._sink.url),
            "correlator": correlator,
        }
        if detail := getattr(outcome, "detail", ""):
            record["detail"] = detail
        self._log(record, outcome)
        return outcome, record

    def _written(self, item: OutboxItem, now_ms: int) -> tuple[dict[str, Any], SinkRequest | Drop]:
        """The event as far as it can be read, and its request, or why it is not sent."""
        try:
            event = msgspec.json.decode(item.payload, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeError) as error:
            return {}, Drop("unreadable_entry", type(error).__name__)
        if now_ms >= item.deadline_ms:
            return event, Drop("deadline_exceeded")
        try:
            check_event(event)
        except ValueError as error:
            return event, Drop("invalid_event", str(error))
        body = item.payload.encode()
        headers = {"content-type": "application/cloudevents+json", "x-correlator": next(self._correlators)}
        if self._signer is not None:
            try:
                headers |= self._signer.sign("POST", self._sink.url, headers, body)
            except UnsignableError as error:
                return event, Drop("unsendable", str(error))
        if self._sink.token is not None:
            headers["authorization"] = f"Bearer {self._sink.token}"
        return event, SinkRequest(self._sink.url, tuple(headers.items()), body)

    def _exchange(self, request: SinkRequest) -> SinkReply:
        """Bounded by the limits of the client."""
        # What a round that failed by a bug left in flight is no reply to this one.
        mine = object()
        self._client.submit(mine, request)
        while True:
            for token, reply in self._client.poll(_POLL_S):
                if token is mine:
                    return reply

    def _decide(self, reply: SinkReply, attempt: int, remaining_ms: int, now_ms: int) -> Outcome:
        """As for any sink, but that nothing ends, and what may be put right is tried again."""
        if is_delivered(reply):
            return DELIVERED
        mendable = isinstance(reply, SinkAnswer) and reply.status not in _NEVER_TAKEN
        outcome = decide(
            msgspec.structs.replace(reply, status=503)
            if mendable and isinstance(reply, SinkAnswer)
            else reply,
            attempt=attempt,
            remaining_ms=remaining_ms,
            credentialed=False,
            random=self._random,
            now_s=now_ms / 1000,
        )
        if mendable and isinstance(outcome, Retry) and isinstance(reply, SinkAnswer):
            return replace(outcome, reason=f"http_{reply.status}")
        return outcome

    def _log(self, record: dict[str, Any], outcome: Outcome) -> None:
        if isinstance(outcome, Delivered):
            log.info("operator-attempt %s", LogFields(record))
        elif isinstance(outcome, Drop) or self._lines.admit("retry") is not None:
            log.warning("operator-attempt %s", LogFields(record))
