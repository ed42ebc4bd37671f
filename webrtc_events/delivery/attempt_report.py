"""What there is to say of an attempt, for the log, the counts and the trace of its call."""

from dataclasses import dataclass

from webrtc_events.core.outcomes import Outcome
from webrtc_events.store.trace_buffer import TraceNote

__all__ = ["AttemptReport"]


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """`line`: of the log. `note`: None where no trace is kept."""

    outcome: Outcome
    line: str
    note: TraceNote | None
