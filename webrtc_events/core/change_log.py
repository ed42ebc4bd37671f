"""A change that an operator made, as the logs of the console and of the commands have it."""

from webrtc_events.core.log_fields import LogFields

__all__ = ["CHANGE_LOGGERS", "change_fields"]

CHANGE_LOGGERS = ("webrtc_events.cli.operator_access", "webrtc_events.console.audit")
"""Those that write such lines, at every LOG_LEVEL: no setting hides who changed something."""


def change_fields(by: str, action: str, result: str, **subject: str) -> LogFields:
    """The fields of `change by=alice action=end-subscription subscription=5d41…-2a result=ended`.

    `subject` says what was changed. It holds no personal data: give a pseudonym.
    """
    return LogFields({"by": by, "action": action, **subject, "result": result})
