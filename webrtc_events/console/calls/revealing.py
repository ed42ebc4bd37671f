"""Which calls this browser's operator sees with personal data, and for how long."""

import hashlib
from collections.abc import Mapping
from typing import Final

from flask import session as browser_session

from webrtc_events.console.audit import current_operator, record_change
from webrtc_events.core.clock import Clock

__all__ = ["REVEALED_S", "Revealing"]

REVEALED_S: Final = 1_800
"""After that personal data is masked again, s."""

_NAME = "revealed_calls"
# A cookie holds 4 kB.
_MAX_CALLS = 20
_DIGEST_CHARACTERS = 16


class Revealing:
    """Kept in the signed cookie of the browser: nobody else sees more by it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def is_revealed(self, session: str) -> bool:
        return current_operator().may_change and _name(session) in self._now()

    def reveal(self, session: str) -> None:
        """The log says who did it."""
        calls = self._now() | {_name(session): int(self._clock.now()) + REVEALED_S}
        latest = sorted(calls.items(), key=lambda call: call[1])[-_MAX_CALLS:]
        browser_session[_NAME] = dict(latest)
        record_change("reveal personal data", "revealed", session=session)

    def hide(self, session: str) -> None:
        browser_session[_NAME] = {
            name: until for name, until in self._now().items() if name != _name(session)
        }

    def _now(self) -> dict[str, int]:
        kept = browser_session.get(_NAME)
        if not isinstance(kept, Mapping):
            return {}
        now = self._clock.now()
        return {name: until for name, until in kept.items() if isinstance(until, int) and until > now}


def _name(session: str) -> str:
    digest = hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()
    return digest[:_DIGEST_CHARACTERS]
