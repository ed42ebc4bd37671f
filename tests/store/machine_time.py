"""The store's time in a game: it stands still until a step moves it."""

import dataclasses
import hashlib

from webrtc_events.store.redis.script_texts import Script
from webrtc_events.store.redis.scripts import Scripts

__all__ = ["hold_time"]

# The one place where a script reads the store's clock, in lua/shared/common.lua.
_READ = "redis.call('TIME')"
_ZERO = "{0, 0}"


def hold_time(scripts: Scripts) -> None:
    """From here on `offset_ms` of these scripts is the store's time, ms since the epoch: they read no clock.

    What a game takes, much on a busy machine, is then no part of its time. To subtract it from the store's
    clock would not do: between that reading and the script time passes too, now more and now less, so what
    one script makes due may not be so yet for the next.
    """
    for name, script in scripts._scripts.items():
        assert script.text.count(_READ) == 1, name
        parts = tuple(part.replace(_READ, _ZERO) for part in script.parts)
        changed = Script(parts, "")
        sha = hashlib.sha1(changed.text.encode(), usedforsecurity=False).hexdigest()
        scripts._scripts[name] = dataclasses.replace(changed, sha=sha)
