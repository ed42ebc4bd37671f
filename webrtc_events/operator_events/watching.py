"""What a worker sees of sinks and the store, written down as conditions and events for operators."""

import logging
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from webrtc_events.core.activity import Activity
from webrtc_events.core.clock import Clock
from webrtc_events.core.loops import Loop
from webrtc_events.delivery.host_records import Outage
from webrtc_events.operator_events.cloud_events import OperatorEvents
from webrtc_events.operator_events.conditions import (
    Conditions,
    DeadLetters,
    Memory,
    Observed,
    Occurrence,
    OpenCircuit,
)
from webrtc_events.operator_events.rules import Rules, changed
from webrtc_events.store.long_failures import LongFailure
from webrtc_events.store.node_memory import fullest_node
from webrtc_events.store.operator_outbox import KeptConditions
from webrtc_events.store.store import Store

__all__ = ["Watching", "read_conditions"]

log = logging.getLogger(__name__)

_ROUND_S: Final = 2.0
_LOOK_AT_STORE_S: Final = 10.0
# A retry comes after a minute at most, and takes a while to fail: who has not tried for longer knows nothing.
_CURRENT_S: Final = 90.0
_ATTEMPTS: Final = 8
_MAX_FAILURES: Final = 20_000
_MINUTE_MS: Final = 60_000
_MINUTES: Final = 6
_decode = msgspec.json.Decoder(Conditions).decode


class _Hosts(Protocol):
    """As a dispatcher knows them; see HostRecords."""

    def outages(self) -> list[Outage]: ...

    def answers(self, name: str) -> int: ...


class Watching:
    """For one thread, that of `loop`. `watermark`: percent of maxmemory."""

    def __init__(
        self,
        store: Store,
        hosts: _Hosts,
        events: OperatorEvents,
        rules: Rules,
        activity: Activity,
        clock: Clock,
        *,
        watermark: int,
    ) -> None:
        self.loop = Loop("operator events", self._round, clock)
        self._store = store
        self._hosts = hosts
        self._events = events
        self._rules = rules
        self._activity = activity
        self._now_s = clock.monotonic
        self._watermark = watermark
        self._failures: list[LongFailure] = []
        # Of hosts of which something was reported: how many answers they had given here at the last look.
        self._answers: dict[str, int] | None = None
        self._watched: list[str] = []
        self._next_look_s = float("-inf")
        store.connection.long_failures.keep()

    def _round(self) -> None:
        self.step()
        self.loop.pause(_ROUND_S)

    def step(self) -> None:
        """Looks once, and writes what follows from it. Repeat it at will: what was written is not said again.

        Raises:
            Unavailable: the store cannot be reached. What was seen is said later, as far as it is still so.
        """
        seen = self._look()
        for _ in range(_ATTEMPTS):
            kept = self._store.operator_outbox.conditions()
            conditions = read_conditions(kept)
            occurrences = changed(conditions, seen, kept.now_ms, self._rules)
            if self._written(kept, conditions, occurrences):
                self._failures.clear()
                self._note(conditions)
                return
        # Others were faster each time. What is seen is seen again, and what is not waits for the next round.
        log.debug("what is reported to operators is changed by others all the time")

    def _written(
        self, kept: KeptConditions, conditions: Conditions, occurrences: Sequence[Occurrence]
    ) -> bool:
        state = msgspec.json.encode(conditions).decode()
        if not occurrences and state == (kept.state or "{}"):
            return True
        texts = [self._events.text(occurrence, kept.now_ms) for occurrence in occurrences]
        given_up = self._store.operator_outbox.write(kept.version, state, texts)
        if given_up is None:
            return False
        self._activity.count_operator_events("written", len(occurrences))
        self._activity.count_operator_events("given_up", given_up)
        for occurrence in occurrences:
            log.warning("reported to operators type=%s subject=%s", occurrence.kind, occurrence.subject)
        return True

    def _note(self, conditions: Conditions) -> None:
        """From when on answers of hosts count."""
        self._watched = [host for host, sink in conditions.sinks.items() if sink.since]
        former = self._answers or {}
        self._answers = {host: former.get(host, self._hosts.answers(host)) for host in self._watched}

    def _look(self) -> Observed:
        now_s = self._now_s()
        taken = self._store.connection.long_failures.take()
        self._failures += taken[: _MAX_FAILURES - len(self._failures)]
        dead_letters, memory = None, None
        if now_s >= self._next_look_s:
            dead_letters, memory = self._dead_letters(), self._memory()
            self._next_look_s = now_s + _LOOK_AT_STORE_S
        return Observed(
            open={
                outage.host: OpenCircuit(
                    round((now_s - outage.since_s) * 1000),
                    max(0, round((now_s - outage.failed_s) * 1000)),
                    outage.reason,
                )
                for outage in self._hosts.outages()
                if now_s - outage.failed_s <= _CURRENT_S
            },
            answering=frozenset(self._answering()),
            failures=tuple(self._failures),
            dead_letters=dead_letters,
            memory=memory,
        )

    def _answering(self) -> Sequence[str]:
        found = []
        for host in self._watched:
            answers = self._hosts.answers(host)
            if self._answers is not None and answers not in (0, self._answers[host]):
                found.append(host)
                self._answers[host] = answers
        return found

    def _dead_letters(self) -> DeadLetters | None:
        if not self._rules.dead_letters_a_minute:
            return None
        last = self._store.processes.now_ms() // _MINUTE_MS
        counts = [
            minute.counts.get("given_up", 0) for minute in self._store.processes.minutes(last, _MINUTES)
        ]
        # Of what came late in a minute the count is there only in the next one.
        return DeadLetters(max(counts[-2:]), max(counts))

    def _memory(self) -> Memory | None:
        node = fullest_node(self._store.client, self._watermark)
        return Memory(node.address, node.used, int(node.watermark)) if node and node.watermark else None


def read_conditions(kept: KeptConditions) -> Conditions:
    """What cannot be read is as good as none: what is still so is reported again."""
    if not kept.state:
        return Conditions()
    try:
        return _decode(kept.state)
    except (msgspec.MsgspecError, UnicodeError):
        log.exception("the conditions that were reported to operators cannot be read, and are made anew")
        return Conditions()
