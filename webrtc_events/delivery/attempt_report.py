"""What there is to say of an attempt, for the log, the counts and the trace of its call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webrtc_events.core.outcomes import Outcome
from webrtc_events.delivery.attempt_spans import AttemptSpan
from webrtc_events.store.trace_buffer import TraceNote

__all__ = ["AttemptReport"]


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """`fields`: of its line in the log. `note`: None where no trace is kept.

    `type`: of its event, which was accepted `age_ms` before. `span`: to be ended; None: it is not recorded.
    """

    outcome: Outcome
    fields: Mapping[str, Any]
    note: TraceNote | None
    type: str
    age_ms: int
    span: AttemptSpan | None = None
