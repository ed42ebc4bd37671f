"""Sends the queue of an adapter to the service, its head first; waits while the service is away."""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final

from webrtc_events.core.clock import Clock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.gateways.journal import Journal, JournalUnwritable
from webrtc_events.gateways.journal_entries import Entry, Rejected, registration_of
from webrtc_events.gateways.network_requests import DeleteRegistration, PublishEvent, PutRegistration
from webrtc_events.gateways.refusals import Refusals
from webrtc_events.gateways.service_client import (
    Answer,
    Answered,
    Refused,
    ServiceClient,
    TooLarge,
    Unanswered,
)

__all__ = ["Publisher", "PublisherFigures"]

log = logging.getLogger(__name__)

_MAX_EVENTS: Final = 100
_MAX_BYTES: Final = 512 * 1024
_FIRST_DELAY_S: Final = 0.5
_MAX_DELAY_S: Final = 30.0
_IDLE_S: Final = 5.0
_FORGET_EVERY_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class PublisherFigures:
    """Since the process started. `sent`: what the service took.

    `failing_since_s`: monotonic; None while the service answers.
    """

    sent: int = 0
    rejected: int = 0
    set_aside: int = 0
    failed_attempts: int = 0
    failing_since_s: float | None = None


class Publisher:
    """A thread. What it has taken out of the queue was answered; what was not answered stays the head.

    The order is that of the queue: of each media session and registration, and of all. `uniform` draws from
    [0, 1), for jitter.
    """

    def __init__(
        self,
        journal: Journal,
        service: ServiceClient,
        clock: Clock,
        max_age_ms: int,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._journal = journal
        self._service = service
        self._clock = clock
        self._max_age_ms = max_age_ms
        self._uniform = uniform
        self._lines = LineLimit(clock)
        self._stopping = threading.Event()
        self._batch = _MAX_EVENTS
        self._failures = 0
        self._refusals = Refusals(clock)
        self.figures = PublisherFigures()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """After the request under way. What is left waits for the next start."""
        self._stopping.set()
        self._journal.appended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        forget_at_s = self._clock.monotonic() + _FORGET_EVERY_S
        while not self._stopping.is_set():
            self._journal.appended.clear()
            try:
                wait_s = self.send_head()
                if self._clock.monotonic() >= forget_at_s:
                    forget_at_s = self._clock.monotonic() + _FORGET_EVERY_S
                    self._journal.forget_inputs()
            except JournalUnwritable as error:
                # What was sent is sent again, which changes nothing.
                log.error("the queue cannot be written: %s", error)  # noqa: TRY400 (its text says all)
                wait_s = _MAX_DELAY_S
            if wait_s is None:
                self._journal.appended.wait(_IDLE_S)
            elif wait_s > 0:
                self._stopping.wait(wait_s)

    def send_head(self) -> float | None:
        """Sends what is next; returns how long to wait before the next call (s). None: nothing waits.

        Raises:
            JournalUnwritable: what was answered is still in the queue.
        """
        entries = self._journal.head(self._batch)
        if not entries:
            return None
        oldest_ms = round(self._clock.now() * 1000) - self._max_age_ms
        if old := [entry for entry in entries if entry.queued_ms < oldest_ms]:
            hours = self._max_age_ms / 3_600_000
            self._settle([], [Rejected(entry, f"waited for more than {hours:g} h") for entry in old])
            return 0.0
        sent, answer = self._send(entries)
        match answer:
            case Answered(refusals=refusals):
                self._answered(sent, refusals)
                return 0.0
            case TooLarge(reason=reason):
                log.warning("%d events are sent in smaller batches: %s", len(sent), reason)
                self._batch = max(1, len(sent) // 2)
                return 0.0
            case Refused(reason=reason):
                return self._refused(sent[0], reason)
            case Unanswered(reason=reason, wait_ms=wait_ms):
                return self._unanswered(reason, wait_ms)

    def _send(self, entries: list[Entry]) -> tuple[list[Entry], Answer]:
        first = entries[0]
        match first.request:
            case PutRegistration() as put:
                return [first], self._service.put(self._journal.newest_put(first) or put)
            case DeleteRegistration() as delete:
                return [first], self._service.delete(delete)
        size = 0
        batch: list[Entry] = []
        events: list[PublishEvent] = []
        for entry in takewhile(lambda found: isinstance(found.request, PublishEvent), entries):
            size += entry.size
            if batch and size > _MAX_BYTES:
                break
            if isinstance(entry.request, PublishEvent):
                batch.append(entry)
                events.append(entry.request)
        return batch, self._service.publish(events)

    def _answered(self, sent: list[Entry], refusals: tuple[str | None, ...]) -> None:
        pairs = list(zip(sent, refusals, strict=True))
        self._settle(
            [entry for entry, refusal in pairs if refusal is None],
            [Rejected(entry, refusal) for entry, refusal in pairs if refusal is not None],
        )
        for entry in sent:
            self._refusals.taken(registration_of(entry.request))
        if not self.figures.sent:
            log.info("the service takes what is in the queue")
        if self._failures:
            log.info("the service answers again, after %d attempts that failed", self._failures)
        self._failures = 0
        self._batch = min(_MAX_EVENTS, self._batch * 2)
        self.figures = replace(
            self.figures, sent=self.figures.sent + refusals.count(None), failing_since_s=None
        )

    def _settle(self, done: list[Entry], rejected: list[Rejected]) -> None:
        self._journal.settle(done, rejected)
        for one in rejected:
            if (left_out := self._lines.admit("rejected")) is not None:
                log.error(
                    "the queue's request %d is given up: %s; `gateway status` shows it%s",
                    one.entry.position,
                    one.reason,
                    f" ({left_out} more such lines left out)" if left_out else "",
                )
        self.figures = replace(self.figures, rejected=self.figures.rejected + len(rejected))

    def _refused(self, entry: Entry, reason: str) -> float:
        """The queue waits for it for a while, and for as long as the service refuses whatever it gets."""
        registration_id = registration_of(entry.request) or ""
        if not self._refusals.is_lasting(registration_id):
            return self._unanswered(reason, 0)
        if not self._service.takes_registrations():
            return self._unanswered(f"{reason}; the service takes no registration at all", 0)
        self._journal.set_aside(entry, reason)
        self._refusals.set_aside(registration_id)
        if (left_out := self._lines.admit("set aside")) is not None:
            log.error(
                "the service refuses the queue's request %d, and takes others: it is set aside: %s; "
                "`gateway status` shows it, `gateway requeue` sends it again%s",
                entry.position,
                reason,
                f" ({left_out} more such lines left out)" if left_out else "",
            )
        self._failures = 0
        self.figures = replace(self.figures, set_aside=self.figures.set_aside + 1, failing_since_s=None)
        return 0.0

    def _unanswered(self, reason: str, wait_ms: int) -> float:
        self._failures += 1
        since_s = self.figures.failing_since_s
        self.figures = replace(
            self.figures,
            failed_attempts=self.figures.failed_attempts + 1,
            failing_since_s=self._clock.monotonic() if since_s is None else since_s,
        )
        longest_s = min(_MAX_DELAY_S, _FIRST_DELAY_S * 2 ** min(self._failures - 1, 10))
        delay_s = max(wait_ms / 1000, longest_s * (0.5 + self._uniform() / 2))
        if (left_out := self._lines.admit("unanswered")) is not None:
            log.warning(
                "the queue waits, next attempt in %.1f s: %s%s",
                delay_s,
                reason,
                f" ({left_out} such lines left out)" if left_out else "",
            )
        return float(delay_s)
