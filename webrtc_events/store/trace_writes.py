"""Traces of calls, written: entries of several media sessions at once, bounded in count, bytes and age."""

import itertools
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from webrtc_events.core.call_trace import (
    AcceptedEntry,
    AttemptEntry,
    GapEntry,
    TraceEntry,
    TraceLevel,
    encode_entry,
    without_content,
)
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.settings import Settings
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import RECENT_CALLS_KEY, call_trace_key, erased_key
from webrtc_events.store.redis.scripts import Call, answers_of, store_errors

__all__ = ["Noted", "TraceBatch", "TraceLimits", "TraceWrites"]

# Of one run of the script, so that it is short for the store.
_BATCH_ENTRIES = 250
_BATCH_BYTES = 262_144
# What is longer is kept without what was said in it.
_ENTRY_BYTES = 131_072


@dataclass(frozen=True, slots=True)
class TraceLimits:
    """How many sessions have a trace, how long after its last entry one is kept, and what each may have."""

    sessions: int
    age_ms: int
    entries: int = 500
    size: int = 1_048_576

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.call_traces_kept, settings.call_traces_s * 1000)


@dataclass(frozen=True, slots=True)
class Noted:
    """An entry, and the registration that its session involves by that, if it names one."""

    entry: TraceEntry
    registration: str | None = None


@dataclass(frozen=True, slots=True)
class TraceBatch:
    """What one run of a script adds to the trace of a session. `last_ms`: the moment of its last entry.

    `stands_for`: its entries, with those that gaps among them stand for. `registrations`: that they name.
    """

    session: str
    last_ms: int
    entries: int
    stands_for: int
    registrations: frozenset[str]
    call: Call


class TraceWrites:
    """For one thread at a time. Every method may raise `errors.Unavailable`."""

    def __init__(self, connection: Connection, limits: TraceLimits, level: TraceLevel) -> None:
        self._connection = connection
        self._limits = limits
        self._level = level
        self._name = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    def batches(self, session: str, noted: Sequence[Noted]) -> Iterator[TraceBatch]:
        """What is to be written of a session, in order: as many entries in each as one run may have."""
        texts = [_encoded(one.entry) for one in noted]
        start = size = 0
        for index, text in enumerate(texts):
            if index > start and (index - start == _BATCH_ENTRIES or size + len(text) > _BATCH_BYTES):
                yield self._batch(session, noted[start:index], texts[start:index])
                start, size = index, 0
            size += len(text)
        if texts:
            yield self._batch(session, noted[start:], texts[start:])

    def wanted(self, batches: Sequence[TraceBatch]) -> list[TraceBatch]:
        """Without those of a registration that was erased meanwhile: an attempt may have outlived it.

        Raises:
            Unavailable: some cannot be told.
        """
        named = sorted(frozenset[str]().union(*(batch.registrations for batch in batches)))
        with store_errors():
            pipe = self._connection.client.pipeline()
            for registration in named:
                pipe.exists(erased_key(registration))
            answers = answers_of(pipe) if named else []
        erased = {registration for registration, there in zip(named, answers, strict=True) if there}
        return [batch for batch in batches if not erased & batch.registrations]

    def write(self, batches: Sequence[TraceBatch]) -> list[bool]:
        """Whether each is dealt with; if not, it may be there or not, and can be given again.

        Raises:
            Unavailable: none is.
        """
        answers = self._connection.scripts.run_some([batch.call for batch in batches])
        if answers and all(isinstance(answer, Unavailable) for answer in answers):
            raise answers[0]
        for batch, answer in zip(batches, answers, strict=True):
            if answer == "left":
                why = "it is a key of another type, or a newer release wrote it"
                self._connection.damage.report(call_trace_key(batch.session), why)
        return [not isinstance(answer, Unavailable) for answer in answers]

    def index(self, sessions: Mapping[str, int]) -> None:
        """Lists these among the recent calls, with the moments of their last entries; what is beyond the
        bound goes, with its trace.
        """
        args: list[str | int] = [self._limits.sessions, self._limits.age_ms, *_in_turn(sessions)]
        removed = self._connection.run(Call("index_traces", [RECENT_CALLS_KEY], "", args))
        if removed:
            with store_errors():
                pipe = self._connection.client.pipeline()
                for session in removed:
                    pipe.unlink(call_trace_key(session))
                answers_of(pipe)

    def _batch(self, session: str, noted: Sequence[Noted], texts: Sequence[bytes]) -> TraceBatch:
        """Source: lua/trace.lua."""
        moments = [one.entry.at for one in noted]
        status, status_at = _latest_status(one.entry for one in noted)
        counts = _counted(one.entry for one in noted)
        registrations = frozenset(one.registration for one in noted if one.registration)
        args: list[str | int | bytes] = [
            self._name,
            next(self._numbers),
            self._limits.entries,
            self._limits.size,
            self._limits.age_ms,
            self._level.value,
            min(moments),
            max(moments),
            status,
            status_at,
            len(counts),
            *_in_turn(counts),
            len(registrations),
            *registrations,
            *texts,
        ]
        call = Call("trace", [call_trace_key(session)], "", args)
        stands_for = sum(one.entry.count if isinstance(one.entry, GapEntry) else 1 for one in noted)
        return TraceBatch(session, max(moments), len(texts), stands_for, registrations, call)


def _in_turn(pairs: Mapping[str, int]) -> Iterator[str | int]:
    for name, value in pairs.items():
        yield name
        yield value


def _encoded(entry: TraceEntry) -> bytes:
    text = encode_entry(entry)
    return text if len(text) <= _ENTRY_BYTES else encode_entry(without_content(entry))


def _latest_status(entries: Iterable[TraceEntry]) -> tuple[str, int]:
    """What the gateway said last, and when; of one ms the last one counts."""
    found = ("", 0)
    for entry in entries:
        if isinstance(entry, AcceptedEntry) and entry.status and entry.at >= found[1]:
            found = (entry.status, entry.at)
    return found


def _counted(entries: Iterable[TraceEntry]) -> dict[str, int]:
    """Source of the names: call_traces.py."""
    counts: defaultdict[str, int] = defaultdict(int)
    for entry in entries:
        if isinstance(entry, AttemptEntry):
            counts[entry.outcome] += 1
        elif isinstance(entry, GapEntry):
            counts["gap"] += entry.count
        else:
            counts["accepted"] += 1
            if entry.duplicate:
                counts["duplicate"] += 1
    return counts
