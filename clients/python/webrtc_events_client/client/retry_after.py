"""The delay that an answer asks for. Pure. Source: RFC 9110, 10.2.3 (Retry-After)."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

__all__ = ["retry_after_s"]


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Seconds, not negative; None if the answer does not say, or says what is no delay.

    A date counts from the answer's own `Date`, so that the clock here need not be right; without one from
    `now_s`, seconds since 1970.

    Args:
        headers: those of the answer, names in lower case.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        # More digits than any delay has.
        return float(text[:12])
    at = _date(text)
    if at is None:
        return None
    sent_at = _date(headers.get("date", ""))
    return max(0.0, at - (now_s if sent_at is None else sent_at))


def _date(text: str) -> float | None:
    try:
        date: datetime = parsedate_to_datetime(text)
        return date.timestamp() if date.tzinfo is not None else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
