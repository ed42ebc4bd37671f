"""The delay that a sink asks for. Pure. Source: RFC 9110, 10.2.3 (Retry-After)."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["retry_after_ms"]

# A longer delay is cut to this, and a longer number is not parsed.
_MAX_MS = 366 * 24 * 3600 * 1000
_MAX_DIGITS = 10

_SECONDS = re.compile(r"[0-9]+")
# email.utils reads much that is no HTTP-date; each of its three forms opens with a weekday.
_WEEKDAY = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun)")


def retry_after_ms(text: str | None, now_s: float) -> int:
    """The delay in ms, a year at most; 0 if there is none, it is unreadable or lies in the past.

    `now_s` is seconds since the epoch, for a date.
    """
    wanted = text.strip() if text else ""
    if _SECONDS.fullmatch(wanted):
        return _MAX_MS if len(wanted) > _MAX_DIGITS else min(int(wanted) * 1000, _MAX_MS)
    if not _WEEKDAY.match(wanted):
        return 0
    moment = _http_date(wanted)
    if moment is None:
        return 0
    return max(0, min(round((moment.timestamp() - now_s) * 1000), _MAX_MS))


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError, IndexError):
        return None
    # HTTP-dates are in GMT, whether they say so (asctime does not).
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
