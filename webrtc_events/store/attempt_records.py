"""The delivery attempts of an entry of the stream `attempts`: one, or a run of deliveries."""

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["count_attempts", "read_attempts"]

# What an attempt has, of which there may be more.
_ATTEMPT = {"event", "at", "attempt", "outcome", "reason", "status", "ms", "correlator"}
# What differs within a run, and the same of one attempt. Source: delivery/delivered_run.py.
_OF_RUN = {"numbers": "event", "at": "at", "ms": "ms", "correlators": "correlator"}


def read_attempts(fields: Mapping[str, str]) -> list[dict[str, Any]]:
    """Oldest first; none if the entry cannot be read. The release 0.1.0 reads no run."""
    try:
        found = json.loads(fields["attempt"])
        attempts = _of_run(fields["subscription"], found) if "numbers" in found else [found]
        return [attempt for attempt in attempts if attempt.keys() >= _ATTEMPT]
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return []


def count_attempts(record: Mapping[str, Any]) -> int:
    """How many an entry that is to be kept has."""
    return len(record.get("numbers", (1,)))


def _of_run(subscription_id: str, run: dict[str, Any]) -> list[dict[str, Any]]:
    same = {name: value for name, value in run.items() if name not in _OF_RUN}
    rows = zip(*(run[name] for name in _OF_RUN), strict=True)
    attempts = [same | dict(zip(_OF_RUN.values(), row, strict=True)) for row in rows]
    return [attempt | {"event": f"{subscription_id}.{attempt['event']}"} for attempt in attempts]
