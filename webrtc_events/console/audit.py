"""The log of changes: one line for each, with who did it, what, and what came of it."""

import logging

from flask import g

from webrtc_events.console.access import Operator
from webrtc_events.core.log_fields import LogFields

__all__ = ["current_operator", "record_change"]

log = logging.getLogger(__name__)


def current_operator() -> Operator:
    """Of the request under way."""
    operator: Operator = g.operator
    return operator


def record_change(action: str, result: str, **subject: str) -> None:
    """`change by=alice action=end subscription=5d41…-2a result=ended`.

    `subject` says what was changed. It holds no personal data: give a pseudonym.
    """
    fields = {"by": current_operator().name, "action": action, **subject, "result": result}
    log.info("change %s", LogFields(fields))
