"""Sends the queue of an adapter to the service, its head first; waits while the service is away."""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from webrtc_events.core.clock import Clock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.gateways.journal import Journal, JournalUnwritable
from webrtc_events.gateways.journal_entries import Entry, Rejected
from webrtc_events.gateways.network_requests import DeleteRegistration, PublishEvent, PutRegistration
from webrtc_events.gateways.refusals import Refusals
from webrtc_events.gateways.sending import leading_events, leading_puts, stream_of
from webrtc_events.gateways.service_client import (
    Answer,
    Answered,
    Divisible,
    Refused,
    ServiceClient,
    Unanswered,
)
from webrtc_events.gateways.waiting_reason import WaitingReason

__all__ = ["Publisher", "PublisherFigures"]

log = logging.getLogger(__name__)

_MAX_EVENTS: Final = 100
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

    The order is that of the queue, of each media session and registration, also of what is set aside. A
    registration may overtake events that do not name it. `uniform` draws from [0, 1), for jitter.
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
        # Registrations were sent last, so what they overtook is next: renewals may never end.
        self._overtaken = False
        self._refusals = Refusals(clock)
        # What the file says may be of a run before.
        self._explained: WaitingReason | None = WaitingReason("", "", 0)
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
        if followers := [entry for entry in entries if entry.follows]:
            count = self._journal.set_followers_aside(followers)
            self.figures = replace(self.figures, set_aside=self.figures.set_aside + count)
            return 0.0
        oldest_ms = round(self._clock.now() * 1000) - self._max_age_ms
        if old := [entry for entry in entries if entry.queued_ms < oldest_ms]:
            hours = self._max_age_ms / 3_600_000
            self._settle([], [Rejected(entry, f"waited for more than {hours:g} h") for entry in old])
            return 0.0
        puts = leading_puts(entries)
        if puts and (puts[0] is entries[0] or not self._overtaken):
            return self._put(puts)
        self._overtaken = False
        sent, answer = self._send(entries)
        match answer:
            case Answered(refusals=refusals):
                self._answered(list(zip(sent, refusals, strict=True)))
                return 0.0
            case Divisible(reason=reason):
                if self._lines.admit("divisible") is not None:
                    log.info("%d events are sent in smaller batches: %s", len(sent), reason)
                self._batch = max(1, len(sent) // 2)
                return 0.0
            case Refused():
                return self._refused(sent[0], answer)
            case Unanswered():
                return self._unanswered(answer)

    def _send(self, entries: list[Entry]) -> tuple[list[Entry], Answer]:
        first = entries[0]
        if isinstance(first.request, DeleteRegistration):
            return [first], self._service.delete(first.request)
        batch = leading_events(entries)
        return batch, self._service.publish(
            [entry.request for entry in batch if isinstance(entry.request, PublishEvent)]
        )

    def _put(self, entries: list[Entry]) -> float:
        """Several registrations at once, each as its last renewal says."""
        renewals = [[entry, *self._journal.later_puts(entry)] for entry in entries]
        newest = [found[-1].request for found in renewals]
        answers = self._service.put([put for put in newest if isinstance(put, PutRegistration)])
        pairs: list[tuple[Entry, str | None]] = []
        held: list[tuple[Entry, Refused | Unanswered]] = []
        for found, answer in zip(renewals, answers, strict=True):
            match answer:
                case Answered(refusals=(refusal,)):
                    pairs += [(entry, refusal) for entry in found]
                case Refused() | Unanswered():
                    held.append((found[0], answer))
        if pairs:
            self._answered(pairs)
        # One that is held stays next, or two that are refused would take turns, and neither be lasting.
        self._overtaken = not held
        if not held:
            return 0.0
        # What is not answered is nobody's fault: first of all that is waited for.
        entry, first = next((one for one in held if isinstance(one[1], Unanswered)), held[0])
        return self._refused(entry, first) if isinstance(first, Refused) else self._unanswered(first)

    def _answered(self, pairs: list[tuple[Entry, str | None]]) -> None:
        """The service has decided on each: None, or why it will not take it."""
        self._settle(
            [entry for entry, refusal in pairs if refusal is None],
            [Rejected(entry, refusal) for entry, refusal in pairs if refusal is not None],
        )
        for entry, _ in pairs:
            self._refusals.taken(stream_of(entry))
        if not self.figures.sent:
            log.info("the service takes what is in the queue")
        if self._failures:
            log.info("the service answers again, after %d attempts that failed", self._failures)
        self._goes_on()
        self._batch = min(_MAX_EVENTS, self._batch * 2)
        taken = sum(refusal is None for _, refusal in pairs)
        self.figures = replace(self.figures, sent=self.figures.sent + taken)

    def _goes_on(self) -> None:
        self._failures = 0
        self.figures = replace(self.figures, failing_since_s=None)
        self._explain(None)

    def _explain(self, reason: WaitingReason | None) -> None:
        if reason != self._explained:
            self._journal.explain(reason)
            self._explained = reason

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

    def _refused(self, entry: Entry, refused: Refused) -> float:
        """The queue waits for it for a while, and for as long as the service refuses whatever it gets."""
        stream = stream_of(entry)
        if not self._refusals.is_lasting(stream):
            return self._unanswered(Unanswered(refused.reason, todo=refused.todo))
        kind, takes = (
            ("event", self._service.takes_events)
            if entry.is_event
            else ("registration", self._service.takes_registrations)
        )
        if not takes():
            reason = f"{refused.reason}; the service takes no {kind} at all"
            return self._unanswered(Unanswered(reason, todo=refused.todo))
        self._journal.set_aside(entry, refused.reason)
        self._refusals.set_aside(stream)
        if (left_out := self._lines.admit("set aside")) is not None:
            log.error(
                "the service refuses the queue's request %d, and takes others: it is set aside: %s; "
                "`gateway status` shows it, `gateway requeue` sends it again%s",
                entry.position,
                refused.reason,
                f" ({left_out} more such lines left out)" if left_out else "",
            )
        self._goes_on()
        self.figures = replace(self.figures, set_aside=self.figures.set_aside + 1)
        return 0.0

    def _unanswered(self, answer: Unanswered) -> float:
        self._failures += 1
        now_s, since_s = self._clock.monotonic(), self.figures.failing_since_s
        since_s = now_s if since_s is None else since_s
        self.figures = replace(
            self.figures, failed_attempts=self.figures.failed_attempts + 1, failing_since_s=since_s
        )
        longest_s = min(_MAX_DELAY_S, _FIRST_DELAY_S * 2 ** min(self._failures - 1, 10))
        delay_s = max(answer.wait_ms / 1000, longest_s * (0.5 + self._uniform() / 2))
        if (left_out := self._lines.admit("unanswered")) is not None:
            log.warning(
                "the queue waits, next attempt in %.1f s: %s%s%s",
                delay_s,
                answer.reason,
                f". Nothing is lost: {answer.todo}" if answer.todo else "",
                f" ({left_out} such lines left out)" if left_out else "",
            )
        since_ms = round((self._clock.now() - now_s + since_s) * 1000)
        before = self._explained
        if before is None or (before.reason, before.todo) != (answer.reason, answer.todo):
            self._explain(WaitingReason(answer.reason, answer.todo, since_ms))
        return float(delay_s)
