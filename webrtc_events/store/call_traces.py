"""Traces of calls, read: the entries of one media session, and the calls of late with what came of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from webrtc_events.core.call_trace import CallOutcome, GapEntry, TraceEntry, decode_entry, in_order
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import RECENT_CALLS_KEY, REGISTRATION_FIELD, call_trace_key
from webrtc_events.store.redis.scripts import WrongType, answers_of, store_errors

__all__ = ["CallFilter", "CallPage", "CallSummary", "CallTraces", "TracePage"]

# As many as a trace has at most: see trace_writes.py.
_PAGE = 500
_CALLS = 50
# Where a filter chooses, so many calls are looked at at once, and so many for one page.
_LOOKED_AT = 200
_MAX_LOOKED_AT = 1000
_COUNTED = ("accepted", "duplicate", "delivered", "retry", "drop", "end", "agreed", "refused", "gap")
_FIELDS = ("first", "last", "status", "level", "from", *_COUNTED)
_CURSOR = re.compile(r"(\d{1,16})-(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TracePage:
    """Entries in order of `at`. `cursor`: after which the next page begins, also of what is still to come.

    `more`: there is more already. `damaged` entries could not be read and are left out.
    """

    entries: list[TraceEntry]
    cursor: str
    more: bool
    damaged: int


@dataclass(frozen=True, slots=True)
class CallSummary:
    """A call by its trace. Times in ms since the epoch, `status` the latest that the gateway gave it.

    The counts are of events that were accepted, of those of them that were duplicates, and of attempts by
    their outcome (`dropped`: events that were given up; `ended`: subscriptions that an answer ended); `lost`
    entries could not be kept, or are kept no more.
    """

    session: str
    first_ms: int
    last_ms: int
    status: str
    level: str
    accepted: int
    duplicates: int
    delivered: int
    retries: int
    dropped: int
    ended: int
    agreed: int
    refused: int
    lost: int

    @property
    def outcome(self) -> CallOutcome:
        """The worst that came of its notifications."""
        if self.dropped or self.ended or self.refused:
            return CallOutcome.FAILED
        if self.retries:
            return CallOutcome.RETRIED
        return CallOutcome.DELIVERED if self.delivered else CallOutcome.NOT_TRIED


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls are wanted: whose session begins so, that involve the registration, of the outcome."""

    session_prefix: str = ""
    registration: str | None = None
    outcome: CallOutcome | None = None


@dataclass(frozen=True, slots=True)
class CallPage:
    """The calls that were written to last come first. `cursor`: where the next page begins; None: nowhere.

    A page may have fewer calls than asked for, or none, and a next one: it looks at so many calls only.
    """

    calls: list[CallSummary]
    cursor: str | None


class CallTraces:
    """Reads what was kept, whatever is kept now. Every method may raise `errors.Unavailable`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._redis = connection.client

    def read(self, session: str, after: str = "", limit: int = _PAGE) -> TracePage:
        """Up to `limit` entries of a session that were written after the cursor `after`, or from the first.

        What is written later may have happened earlier: who adds up pages orders them anew (`in_order`). A
        cursor of a trace that is gone begins with the one that is there.
        """
        key = call_trace_key(session)
        head = self._ask(key, ("born", "first", "from", "next"))
        if isinstance(head, WrongType):
            self._connection.damage.report(key, "it is a key of another type")
            head = (None,) * 4
        born, first, oldest, following = map(_number, head)
        if not following:
            return TracePage([], "", more=False, damaged=0)
        seen = _after(after, born)
        start = max(seen + 1, oldest)
        numbers = range(start, min(start + limit, following))
        found = self._ask(key, [f"e:{number}" for number in numbers]) if numbers else []
        entries, damaged = _decoded([text for text in found if text is not None])
        missing = start - seen - 1
        if missing:
            at = min((entry.at for entry in entries), default=first)
            entries.insert(0, GapEntry(at=at, session=session, count=missing))
        latest = numbers[-1] if numbers else max(seen, start - 1)
        more = latest + 1 < following
        return TracePage(in_order(entries), f"{born}-{latest}", more=more, damaged=damaged)

    def summary(self, session: str) -> CallSummary | None:
        """The call of a session; None: it has no trace."""
        return _summary(session, self._ask(call_trace_key(session), _FIELDS))

    def recent(
        self, cursor: str | None = None, limit: int = _CALLS, wanted: CallFilter | None = None
    ) -> CallPage:
        """Up to `limit` calls. A page that the filter keeps whole takes two round trips."""
        step = limit if wanted is None else max(limit, _LOOKED_AT)
        wanted = wanted or CallFilter()
        calls: list[CallSummary] = []
        looked_at = 0
        place = _place(cursor)
        while len(calls) < limit and looked_at < _MAX_LOOKED_AT:
            found = self._older(place, step)
            if not found:
                return CallPage(calls, None)
            looked_at += len(found)
            named = [pair for pair in found if pair[0].startswith(wanted.session_prefix)]
            for (session, score), summary in zip(named, self._summaries(named, wanted), strict=True):
                if summary is not None:
                    calls.append(summary)
                if len(calls) == limit:
                    return CallPage(calls, f"{score}-{session}")
            place = (found[-1][1], found[-1][0])
        return CallPage(calls, f"{place[0]}-{place[1]}" if place else None)

    def _older(self, place: tuple[int, str] | None, limit: int) -> list[tuple[str, int]]:
        """Sessions in the index behind a place in it, with their moments, the latest first."""
        offset = 0
        while True:
            start = place[0] if place else "+inf"
            options = {"desc": True, "byscore": True, "withscores": True, "offset": offset, "num": limit}
            try:
                with store_errors():
                    raw = self._redis.zrange(RECENT_CALLS_KEY, start, "-inf", **options)
            except WrongType:
                return []
            pairs = [(str(session), int(score)) for session, score in raw]
            found = [pair for pair in pairs if place is None or _is_behind(pair, place)]
            if found or len(pairs) < limit:
                return found
            # As many at the moment of the place.
            offset += limit

    def _summaries(self, sessions: Sequence[tuple[str, int]], wanted: CallFilter) -> list[CallSummary | None]:
        """The call of each; None: it has no trace any more, or is not wanted."""
        if not sessions:
            return []
        involved = [] if wanted.registration is None else [REGISTRATION_FIELD + wanted.registration]
        with store_errors():
            pipe = self._redis.pipeline()
            for session, _ in sessions:
                pipe.hmget(call_trace_key(session), [*_FIELDS, *involved])
            answers = answers_of(pipe)
        found = []
        for (session, _), answer in zip(sessions, answers, strict=True):
            summary = _summary(session, answer)
            is_wanted = summary is not None and (
                (not involved or answer[-1] is not None) and wanted.outcome in (None, summary.outcome)
            )
            found.append(summary if is_wanted else None)
        return found

    def _ask(self, key: str, fields: Sequence[str]) -> Any:
        """These fields of a hash; WrongType for a key of another type."""
        with store_errors():
            pipe = self._redis.pipeline()
            pipe.hmget(key, fields)
            (answer,) = answers_of(pipe)
        return answer


def _after(cursor: str, born: int) -> int:
    """The number of the entry after which the cursor stands; 0: before all, or of another trace."""
    match = _CURSOR.fullmatch(cursor)
    return _number(match[2]) if match and int(match[1]) == born else 0


def _place(cursor: str | None) -> tuple[int, str] | None:
    match = _CURSOR.fullmatch(cursor or "")
    return (int(match[1]), match[2]) if match else None


def _is_behind(pair: tuple[str, int], place: tuple[int, str]) -> bool:
    """Source of the order: ZRANGE with REV, which compares members byte by byte."""
    session, score = pair
    return (score, _bytes(session)) < (place[0], _bytes(place[1]))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decoded(texts: Sequence[str]) -> tuple[list[TraceEntry], int]:
    """What can be read, and how many cannot."""
    entries: list[TraceEntry] = []
    for text in texts:
        try:
            entries.append(decode_entry(text))
        except ValueError:
            continue
    return entries, len(texts) - len(entries)


def _summary(session: str, answer: Any) -> CallSummary | None:
    if not isinstance(answer, list) or answer[0] is None:
        return None
    fields = dict(zip(_FIELDS, answer, strict=False))
    counts = {name: _number(fields[name]) for name in _COUNTED}
    return CallSummary(
        session=session,
        first_ms=_number(fields["first"]),
        last_ms=_number(fields["last"]),
        status=fields["status"] or "",
        level=fields["level"] or "",
        accepted=counts["accepted"],
        duplicates=counts["duplicate"],
        delivered=counts["delivered"],
        retries=counts["retry"],
        dropped=counts["drop"],
        ended=counts["end"],
        agreed=counts["agreed"],
        refused=counts["refused"],
        lost=counts["gap"] + max(0, _number(fields["from"]) - 1),
    )


def _number(text: str | None) -> int:
    """What is no number counts as none."""
    return int(text) if text and re.fullmatch("[0-9]{1,16}", text) else 0
