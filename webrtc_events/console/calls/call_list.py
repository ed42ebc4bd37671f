"""The list of calls, the latest first: a page of it, filtered by what an address says."""

from collections.abc import Mapping
from dataclasses import dataclass

from webrtc_events.console.ladder.wording import date_time, duration
from webrtc_events.core.call_trace import CallOutcome
from webrtc_events.core.plain_text import printable
from webrtc_events.store.call_traces import CallFilter, CallSummary, CallTraces

__all__ = ["CallList", "CallRow", "call_list"]

_PER_PAGE = 50
_MAX_CHARACTERS = 512


@dataclass(frozen=True, slots=True)
class CallRow:
    """`failed`: events that were given up, subscriptions that ended, sinks that refused."""

    session: str
    shown: str
    first_seen: str
    lasted: str
    status: str
    outcome: CallOutcome
    accepted: int
    delivered: int
    retries: int
    failed: int


@dataclass(frozen=True, slots=True)
class CallList:
    """`next`: where the next page begins, None on the last. `is_first`: nothing is left out before it."""

    rows: list[CallRow]
    next: str | None
    session: str
    outcome: str
    is_first: bool

    @property
    def is_filtered(self) -> bool:
        return bool(self.session or self.outcome)


def call_list(traces: CallTraces, query: Mapping[str, str]) -> CallList:
    """`query`: `session`, with what it begins, `outcome`, and `from`, where the page begins.

    Raises:
        Unavailable: the store is away.
    """
    session = query.get("session", "").strip()[:_MAX_CHARACTERS]
    outcome = query.get("outcome", "")
    wanted = CallOutcome(outcome) if outcome in list(CallOutcome) else None
    place = query.get("from") or None
    page = traces.recent(place, _PER_PAGE, CallFilter(session_prefix=session, outcome=wanted))
    return CallList(
        rows=[_row(call) for call in page.calls],
        next=page.cursor,
        session=session,
        outcome=wanted.value if wanted else "",
        is_first=place is None,
    )


def _row(call: CallSummary) -> CallRow:
    return CallRow(
        session=call.session,
        shown=printable(call.session, _MAX_CHARACTERS),
        first_seen=date_time(call.first_ms).removesuffix(" UTC"),
        lasted=duration(max(call.last_ms - call.first_ms, 0)),
        status=printable(call.status, 60),
        outcome=call.outcome,
        accepted=call.accepted,
        delivered=call.delivered,
        retries=call.retries,
        failed=call.dropped + call.ended + call.refused,
    )
