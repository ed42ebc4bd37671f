"""The log of changes: one line for each, with who did it, what, and what came of it."""

import logging

from flask import g

from webrtc_events.console.access import Operator
from webrtc_events.core.change_log import change_fields

__all__ = ["current_operator", "record_change"]

log = logging.getLogger(__name__)


def current_operator() -> Operator:
    """Of the request under way."""
    operator: Operator = g.operator
    return operator


def record_change(action: str, result: str, **subject: str) -> None:
    """See `change_fields`."""
    log.info("change %s", change_fields(current_operator().name, action, result, **subject))
