"""The outcome of each attempt: decided by the sink's reply, recorded with its task, logged."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from webrtc_events.core.activity import Activity
from webrtc_events.core.clock import Clock
from webrtc_events.core.json_lines import json_string
from webrtc_events.core.log_config import LineForm
from webrtc_events.core.log_lines import LogLines
from webrtc_events.core.one_line import shown
from webrtc_events.core.outcomes import (
    DELIVERED,
    Agreed,
    Delivered,
    Drop,
    End,
    Outcome,
    Refused,
    Retry,
    SinkAnswer,
    SinkReply,
    SinkResult,
)
from webrtc_events.delivery.attempt_notes import AttemptNotes
from webrtc_events.delivery.attempt_report import AttemptReport
from webrtc_events.delivery.attempt_spans import AttemptSpan, AttemptSpans
from webrtc_events.delivery.retry_policy import decide, is_delivered
from webrtc_events.delivery.sink_validation import decide_agreement
from webrtc_events.delivery.tasks import DeliveryTask

__all__ = ["AttemptLog", "Attempts"]

log = logging.getLogger(__name__)

# As an attempt at a web server is kept and logged: the event was made part of the log of its channel.
_STORED_STATUS: Final = 201
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

    `activity` counts them. `now_ms` is the store's time.
    `notes`: for traces of calls; `keeps_content`: they need the task's `body`. `spans`: of OpenTelemetry.
    What is decided of a task whose sink is a channel waits in `DeliveryTask.reports` until it is written.
    """

    def __init__(
        self,
        clock: Clock,
        activity: Activity,
        logged: AttemptLog,
        random: Callable[[], float],
        notes: AttemptNotes | None = None,
        spans: AttemptSpans | None = None,
    ) -> None:
        self._spans = spans
        self._activity = activity
        self._log_every = logged.every
        self._notes = notes
        self.keeps_content = notes is not None and notes.keeps_content
        self._delivered = 0
        self._mask = mask = logged.mask
        self._random = random
        self._shown = lru_cache(maxsize=4096)(lambda host: shown(mask(host)))
        self._json = lru_cache(maxsize=4096)(lambda host: json_string(mask(host)))
        self._lines = LogLines(log, mask, clock)
        self.flush = self._lines.flush

    def replied(self, task: DeliveryTask, reply: SinkReply, now_ms: int) -> bool:
        """Takes in the reply to the task's event; True if the claim goes on with the next."""
        self._activity.attempt_s.observe(reply.elapsed_ms / 1000)
        if is_delivered(reply) and not task.is_handshake:
            status, elapsed_ms = reply.status, reply.elapsed_ms
            task.result = _TOOK_IT
            task.note_delivered(status, elapsed_ms, now_ms)
            if self._notes is not None:
                self._notes.add(task, DELIVERED, status, elapsed_ms, now_ms)
            if self._count_delivered(task.event_type, now_ms - task.item.accepted_ms):
                self._log_delivered(task, status, elapsed_ms, now_ms)
            if (
                task.span is not None
                and (span := self._concluded(task, DELIVERED, status, now_ms)) is not None
            ):
                span.end()
            task.advance()
            return True
        outcome = self._decide(task, reply, now_ms)
        blamed = isinstance(reply, SinkAnswer) or not reply.by_proxy
        if blamed and task.result is not _TOOK_IT and not task.is_handshake:
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
        note = None if self._notes is None else self._notes.note(task, outcome, status, elapsed_ms, now_ms)
        span = self._concluded(task, outcome, status, now_ms)
        report = AttemptReport(outcome, record, note, task.event_type, now_ms - task.item.accepted_ms, span)
        if task.channel:
            task.reports.append(report)
        else:
            self.report((report,))
        return task.apply(outcome)

    def stored(self, task: DeliveryTask, now_ms: int) -> bool:
        """The task's event is for the log of its channel; True if the claim goes on with the next."""
        task.result = _TOOK_IT
        task.note_delivered(_STORED_STATUS, 0, now_ms)
        age_ms = now_ms - task.item.accepted_ms
        fields = task.attempt_fields(DELIVERED, _STORED_STATUS, 0, now_ms)
        note = None if self._notes is None else self._notes.note(task, DELIVERED, _STORED_STATUS, 0, now_ms)
        span = self._concluded(task, DELIVERED, None, now_ms)
        task.reports.append(AttemptReport(DELIVERED, fields, note, task.event_type, age_ms, span))
        task.advance()
        return True

    def report(self, reports: Iterable[AttemptReport]) -> None:
        """Counts, logs and notes what came of attempts."""
        for report in reports:
            outcome = report.outcome
            if report.span is not None:
                report.span.end()
            if self._notes is not None and report.note is not None:
                self._notes.record(report.note)
            if isinstance(outcome, Delivered):
                if self._count_delivered(report.type, report.age_ms):
                    self._lines.add(logging.INFO, "attempt", report.fields)
                continue
            level = logging.INFO if isinstance(outcome, Agreed) else logging.WARNING
            self._lines.add(level, "attempt", report.fields)
            self._count(outcome)

    def _concluded(
        self, task: DeliveryTask, outcome: Outcome, status: int | None, now_ms: int
    ) -> AttemptSpan | None:
        """The span of the attempt, which says what came of it; that of one without a request begins here."""
        span, task.span = task.span, None
        if span is None and self._spans is not None:
            span = self._spans.begin(task.claim, task.item, now_ms)
        if span is not None:
            span.conclude(outcome, task.attempt, task.event_type, status)
        return span

    def _count(self, outcome: Outcome) -> None:
        activity = self._activity
        match outcome:
            case Retry(_, reason):
                activity.retries[reason] += 1
            case Drop(reason):
                activity.give_up(reason)
            case End():
                # As its dead letter has it: see DeliveryTask.apply.
                activity.give_up("refused")
            case Agreed():
                activity.validations["agreed"] += 1
            case Refused():
                activity.validations["refused"] += 1

    def _count_delivered(self, event_type: str, age_ms: int) -> bool:
        """Whether this one is logged. `age_ms`: since the event was accepted."""
        self._delivered += 1
        self._activity.deliveries[event_type] += 1
        self._activity.delivery_s.observe(age_ms / 1000)
        return bool(self._log_every) and self._delivered % self._log_every == 0

    def _log_delivered(self, task: DeliveryTask, status: int, elapsed_ms: int, now_ms: int) -> None:
        """All of it are numbers, and words of this service, but for the host."""
        lines = self._lines
        if lines.form is LineForm.TEXT:
            line = task.delivered_line(status, elapsed_ms, now_ms, self._shown(task.host))
            lines.add_whole(logging.INFO, line)
        elif lines.form is LineForm.JSON:
            members = task.delivered_members(status, elapsed_ms, now_ms, self._json(task.host))
            lines.add_whole(logging.INFO, members)
        else:
            lines.add(logging.INFO, "attempt", task.attempt_fields(DELIVERED, status, elapsed_ms, now_ms))

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
                fetched=task.token is not None,
                random=self._random,
                now_s=moment_s,
            )
        return decide(
            reply,
            attempt=task.attempt,
            remaining_ms=remaining_ms,
            credentialed=task.claim.credential is not None and task.token is None,
            fetched=task.token is not None,
            random=self._random,
            now_s=moment_s,
        )
