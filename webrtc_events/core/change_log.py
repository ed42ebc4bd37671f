"""The text of a change that an operator made, as the logs of the console and of the commands have it."""

from webrtc_events.core.one_line import key_values

__all__ = ["change_text"]


def change_text(by: str, action: str, result: str, **subject: str) -> str:
    """`change by=alice action=end-subscription subscription=5d41…-2a result=ended`.

    `subject` says what was changed. It holds no personal data: give a pseudonym.
    """
    return f"change {key_values({'by': by, 'action': action, **subject, 'result': result})}"
