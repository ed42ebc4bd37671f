"""When a beginning and an end are reported to operators, and how seldom. Pure.

| condition | begins | ends |
| --- | --- | --- |
| a host's circuit is open | a worker's circuit opens | it answers, and no worker saw a failure for the hold |
| a host fails | a subscription failed for half of SINK_FAILURE_S | all that were seen so are delivered to |
| dead letters | more in a minute than the threshold | for five minutes no more than it in any |
| the store is full | a node is above its watermark | all are below it by a twentieth |

The hold is 30 s, and doubles with each time that the host was back and away again within an hour, up to 15
minutes. What nobody has seen for 15 minutes ends too. What begins at hosts is reported one by one up to a
rate; beyond it that some are not reported is an event, and so is its end. Subscriptions that end are all
reported, those of a host at most once a minute.

Moments are ms of the store's time.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

from webrtc_events.core.clock import format_time
from webrtc_events.core.settings import Settings
from webrtc_events.core.sink_hosts import host_of
from webrtc_events.operator_events.conditions import (
    MAX_IDS,
    Conditions,
    Ended,
    Kind,
    Memory,
    Observed,
    Occurrence,
    OpenCircuit,
    SinkCondition,
)
from webrtc_events.store.long_failures import LongFailure, SinkNews

__all__ = [
    "BEGINNINGS_AT_ONCE",
    "BEGINNINGS_A_MINUTE",
    "HOLD_MS",
    "MAX_SINKS",
    "UNSEEN_MS",
    "Rules",
    "changed",
]

HOLD_MS: Final = 30_000
"""For so long no worker must have seen a failure. A circuit that is open has a probe every 15 s."""

MAX_HOLD_MS: Final = 900_000
UNSEEN_MS: Final = 900_000
"""What fails is tried again every minute at least."""

BEGINNINGS_AT_ONCE: Final = 20
BEGINNINGS_A_MINUTE: Final = 10
MAX_SINKS: Final = 500
"""Hosts of which something is kept: every worker reads it every few seconds."""

_FLAPS_KEPT_MS: Final = 3_600_000
_ENDED_EVERY_MS: Final = 60_000
_LIMITED_FOR_MS: Final = 300_000
# What was seen a moment ago needs no writing.
_SEEN_EVERY_MS: Final = 5_000
_BELOW: Final = 0.95
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What a deployment sets. 0: never."""

    dead_letters_a_minute: int
    sink_failure_ms: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.operator_dead_letters_a_minute, settings.sink_failure_s * 1000)


def changed(conditions: Conditions, seen: Observed, now_ms: int, rules: Rules) -> list[Occurrence]:
    """Changes the conditions by what is seen. Returns what is to be reported of that, in order."""
    return [*_Change(conditions, now_ms, rules).by(seen)]


class _Change:
    def __init__(self, conditions: Conditions, now_ms: int, rules: Rules) -> None:
        self._kept = conditions
        self._now = now_ms
        self._rules = rules

    def by(self, seen: Observed) -> Iterator[Occurrence]:
        kept = self._kept
        if kept.counted:
            refilled = kept.tokens + (self._now - kept.counted) * BEGINNINGS_A_MINUTE / _MINUTE_MS
            tokens = max(0.0, min(BEGINNINGS_AT_ONCE, refilled))
        else:
            tokens = BEGINNINGS_AT_ONCE
        self._tokens = tokens
        for host, circuit in seen.open.items():
            yield from self._open(host, circuit)
        for failure in seen.failures:
            yield from self._long_failure(failure)
        for host in seen.answering & kept.sinks.keys():
            sink = kept.sinks[host]
            if sink.since and sink.answered <= sink.open_seen:
                sink.answered = self._now
        for host in list(kept.sinks):
            yield from self._recover(host, kept.sinks[host])
        for host in list(kept.ended):
            yield from self._send_ended(host, kept.ended[host])
        yield from self._resume()
        yield from self._dead_letters(seen)
        yield from self._memory(seen.memory)

    def _open(self, host: str, circuit: OpenCircuit) -> Iterator[Occurrence]:
        failed = self._now - circuit.failed_ms
        sink = self._kept.sinks.get(host)
        if sink is None or not sink.opened:
            if failed < self._now - HOLD_MS and (sink is None or not sink.since):
                # Another worker knows better.
                return
            may_say = yield from self._begin(host)
            if not may_say:
                return
            sink = self._begun(host, self._now - circuit.since_ms)
            sink.opened = True
            data = {"since": format_time(sink.since), "reason": circuit.reason or "other"}
            yield Occurrence(Kind.CIRCUIT_OPENED, host, {"host": host} | data)
        if failed - sink.open_seen >= _SEEN_EVERY_MS:
            sink.open_seen = failed

    def _begun(self, host: str, since: int) -> SinkCondition:
        sink = self._kept.sinks.setdefault(host, SinkCondition())
        if not sink.since:
            sink.since = since
            sink.answered = 0
            if sink.recovered:
                sink.flaps += 1
        return sink

    def _begin(self, host: str) -> Generator[Occurrence, None, bool]:
        """Returns whether something that begins at the host may be reported."""
        kept = self._kept
        if self._tokens >= 1 and (host in kept.sinks or len(kept.sinks) < MAX_SINKS):
            self._tokens -= 1
            kept.tokens, kept.counted = self._tokens, self._now
            return True
        if not kept.limited:
            kept.limited = self._now
            yield self._limit(Kind.LIMITED)
        if self._now - kept.limited_seen >= _SEEN_EVERY_MS:
            kept.limited_seen = self._now
        return False

    def _long_failure(self, failure: LongFailure) -> Iterator[Occurrence]:
        try:
            host = host_of(failure.sink)
        except ValueError:
            # A damaged record, which is reported elsewhere.
            return
        sink = self._kept.sinks.get(host)
        match failure.news:
            case SinkNews.ENDED:
                yield from self._end(host, failure)
                if sink is not None and sink.failing_sent:
                    self._see(sink, failure)
            case SinkNews.DELIVERED:
                if sink is not None and sink.failing.pop(failure.subscription_id, None) is not None:
                    sink.answered = self._now
            case SinkNews.FAILING:
                yield from self._fail(host, sink, failure)

    def _fail(self, host: str, sink: SinkCondition | None, failure: LongFailure) -> Iterator[Occurrence]:
        if sink is None or not sink.failing_sent:
            may_say = yield from self._begin(host)
            if not may_say:
                return
            sink = self._begun(host, failure.since_ms)
            sink.failing_sent = True
            yield Occurrence(Kind.FAILING, host, self._failing(host, sink, failure))
        self._see(sink, failure)

    def _see(self, sink: SinkCondition, failure: LongFailure) -> None:
        if failure.subscription_id in sink.failing or len(sink.failing) < MAX_IDS:
            if self._now - sink.failing.get(failure.subscription_id, 0) >= _SEEN_EVERY_MS:
                sink.failing[failure.subscription_id] = self._now
        elif self._now - sink.more >= _SEEN_EVERY_MS:
            sink.more = self._now

    def _failing(self, host: str, sink: SinkCondition, failure: LongFailure) -> dict[str, Any]:
        return {
            "host": host,
            "since": format_time(sink.since),
            "endsAt": format_time(max(self._now, failure.since_ms + self._rules.sink_failure_ms)),
            "subscriptions": 1,
            "subscriptionIds": [failure.subscription_id],
        }

    def _recover(self, host: str, sink: SinkCondition) -> Iterator[Occurrence]:
        now = self._now
        if not sink.since:
            if now - sink.recovered > _FLAPS_KEPT_MS:
                del self._kept.sinks[host]
            return
        sink.failing = {id_: seen for id_, seen in sink.failing.items() if now - seen < UNSEEN_MS}
        still_failing = bool(sink.failing) or now - sink.more < UNSEEN_MS
        hold = min(MAX_HOLD_MS, HOLD_MS << min(sink.flaps, 10))
        answers = sink.answered > 0 and sink.answered >= sink.open_seen and now - sink.open_seen >= hold
        if still_failing or not (answers or now - sink.open_seen >= UNSEEN_MS):
            return
        since = format_time(sink.since)
        self._kept.sinks[host] = SinkCondition(recovered=now, flaps=sink.flaps)
        reason = "answered" if answers else "not_asked"
        yield Occurrence(Kind.RECOVERED, host, {"host": host, "since": since, "reason": reason})

    def _end(self, host: str, failure: LongFailure) -> Iterator[Occurrence]:
        ended = self._kept.ended.get(host)
        if ended is None:
            may_say = yield from self._begin(host)
            ended = Ended(self._now) if may_say else Ended(self._now + _ENDED_EVERY_MS)
            ended = self._kept.ended.setdefault(host if may_say else "", ended)
        ended.since = min(ended.since or failure.since_ms, failure.since_ms)
        ended.count += 1
        if len(ended.ids) < MAX_IDS:
            ended.ids = [*ended.ids, failure.subscription_id]

    def _send_ended(self, host: str, ended: Ended) -> Iterator[Occurrence]:
        if self._now < ended.due:
            return
        if not ended.count:
            del self._kept.ended[host]
            return
        self._kept.ended[host] = Ended(self._now + _ENDED_EVERY_MS)
        data = {
            "since": format_time(ended.since),
            "subscriptions": ended.count,
            "subscriptionIds": ended.ids,
        }
        yield Occurrence(Kind.ENDED, host or "sinks", ({"host": host} if host else {}) | data)

    def _resume(self) -> Iterator[Occurrence]:
        kept = self._kept
        if kept.limited and self._now - kept.limited_seen >= _LIMITED_FOR_MS:
            yield self._limit(Kind.RESUMED)
            kept.limited = kept.limited_seen = 0

    def _limit(self, kind: Kind) -> Occurrence:
        return Occurrence(
            kind, "sinks", {"since": format_time(self._kept.limited), "limit": BEGINNINGS_A_MINUTE}
        )

    def _dead_letters(self, seen: Observed) -> Iterator[Occurrence]:
        kept, counts, threshold = self._kept, seen.dead_letters, self._rules.dead_letters_a_minute
        if counts is None or not threshold:
            return
        if not kept.dead_letters and counts.now > threshold:
            kept.dead_letters = self._now
            kind = Kind.DEAD_LETTERS_HIGH
        elif kept.dead_letters and counts.highest <= threshold:
            kind = Kind.DEAD_LETTERS_NORMAL
        else:
            return
        data = {"since": format_time(kept.dead_letters), "count": counts.now, "threshold": threshold}
        if kind is Kind.DEAD_LETTERS_NORMAL:
            kept.dead_letters = 0
        yield Occurrence(kind, "dead-letters", data)

    def _memory(self, memory: Memory | None) -> Iterator[Occurrence]:
        kept = self._kept
        if memory is None:
            return
        if not kept.full and memory.used > memory.watermark:
            kept.full = self._now
            kind = Kind.ABOVE_WATERMARK
        elif kept.full and memory.used <= _BELOW * memory.watermark:
            kind = Kind.BELOW_WATERMARK
        else:
            return
        data = {
            "since": format_time(kept.full),
            "node": memory.node,
            "usedBytes": memory.used,
            "watermarkBytes": memory.watermark,
        }
        if kind is Kind.BELOW_WATERMARK:
            kept.full = 0
        yield Occurrence(kind, "store", data)
