"""The outcome of each attempt: decided by the sink's reply, recorded with its task, logged."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from webrtc_events.core.activity import Activity
from webrtc_events.core.clock import Clock
from webrtc_events.core.log_lines import LogLines
from webrtc_events.core.one_line import key_values, shown
from webrtc_events.core.outcomes import (
    DELIVERED,
    Agreed,
    Delivered,
    Drop,
    End,
    Outcome,
    Retry,
    SinkAnswer,
    SinkReply,
    SinkResult,
)
from webrtc_events.delivery.attempt_notes import AttemptNotes
from webrtc_events.delivery.retry_policy import decide, is_delivered
from webrtc_events.delivery.sink_validation import decide_agreement
from webrtc_events.delivery.tasks import DeliveryTask

__all__ = ["AttemptLog", "Attempts"]

log = logging.getLogger(__name__)

# In 3.11 a member of an enumeration is looked up by a function.
_TOOK_IT: Final = SinkResult.DELIVERED


@dataclass(frozen=True, slots=True)
class AttemptLog:
    """How attempts are logged. `mask` takes personal data out of details.

    Of `every` deliveries one is logged, none if it is 0. Whatever else comes of an attempt always is.
    """

    mask: Callable[[str], str]
    every: int


class Attempts:
    """`random`: uniform in [0, 1). Lines are written by `flush`.

    `activity` counts them.
    `now_ms` is the store's time. `notes`: for traces of calls; `keeps_content`: they need the task's `body`.
    """

    def __init__(
        self,
        clock: Clock,
        activity: Activity,
        logged: AttemptLog,
        random: Callable[[], float],
        notes: AttemptNotes | None = None,
    ) -> None:
        self._activity = activity
        self._log_every = logged.every
        self._notes = notes
        self.keeps_content = notes is not None and notes.keeps_content
        self._delivered = 0
        self._mask = mask = logged.mask
        self._random = random
        self._shown = lru_cache(maxsize=4096)(lambda host: shown(mask(host)))
        self._lines = LogLines(log, mask, clock)
        self.flush = self._lines.flush

    def replied(self, task: DeliveryTask, reply: SinkReply, now_ms: int) -> bool:
        """Takes in the reply to the task's event; True if the claim goes on with the next."""
        if is_delivered(reply) and not task.is_handshake:
            status, elapsed_ms = reply.status, reply.elapsed_ms
            task.result = _TOOK_IT
            task.note_delivered(status, elapsed_ms, now_ms)
            if self._notes is not None:
                self._notes.add(task, DELIVERED, status, elapsed_ms, now_ms)
            self._delivered += 1
            self._activity.delivered += 1
            if self._log_every and self._delivered % self._log_every == 0:
                line = task.delivered_line(status, elapsed_ms, now_ms, self._shown(task.host))
                # The rest of it are numbers, and words of this service.
                self._lines.add(logging.INFO, line, masked=True)
            task.advance()
            return True
        outcome = self._decide(task, reply, now_ms)
        if task.result is not _TOOK_IT and not task.is_handshake:
            task.result = SinkResult.FAILED
        answered = reply.status if isinstance(reply, SinkAnswer) else None
        return self.apply(task, outcome, now_ms, status=answered, elapsed_ms=reply.elapsed_ms)

    def apply(
        self,
        task: DeliveryTask,
        outcome: Outcome,
        now_ms: int,
        *,
        status: int | None = None,
        elapsed_ms: int | None = None,
    ) -> bool:
        """Takes in the outcome of the task's event; True if the claim goes on with the next.

        `elapsed_ms` None: it was not tried.
        """
        outcome = task.fitting(outcome, self._mask)
        record = task.note(outcome, status, elapsed_ms or 0, now_ms)
        if self._notes is not None:
            self._notes.add(task, outcome, status, elapsed_ms, now_ms)
        level = logging.INFO if isinstance(outcome, Delivered | Agreed) else logging.WARNING
        self._lines.add(level, f"attempt {key_values(record)}")
        if isinstance(outcome, Retry):
            self._activity.retried += 1
        elif isinstance(outcome, Drop | End):
            self._activity.given_up += 1
        return task.apply(outcome)

    def _decide(self, task: DeliveryTask, reply: SinkReply, now_ms: int) -> Outcome:
        remaining_ms = task.remaining_ms(now_ms)
        # By the store's time too: this host's wall clock may be wrong.
        moment_s = now_ms / 1000
        if task.is_handshake:
            return decide_agreement(
                reply,
                origin=task.claim.origin,
                attempt=task.attempt,
                remaining_ms=remaining_ms,
                random=self._random,
                now_s=moment_s,
            )
        return decide(
            reply,
            attempt=task.attempt,
            remaining_ms=remaining_ms,
            credentialed=task.claim.credential is not None,
            random=self._random,
            now_s=moment_s,
        )
