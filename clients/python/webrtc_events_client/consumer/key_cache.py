"""When keys are fetched, and how long they are trusted: the rules, without any I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from webrtc_events_client.consumer.errors import KeysUnavailable, UnknownKey
from webrtc_events_client.consumer.key_set_document import PublicKey

__all__ = ["Fetch", "KeyCache", "KeyRules"]

_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])", re.IGNORECASE)


class Fetch(Enum):
    """What a look-up needs first."""

    NOTHING = auto()
    NOW = auto()
    """The key is not known, or the keys may not be used any more: wait for the answer."""
    ASIDE = auto()
    """They are due, and may still be used: one caller fetches, the others go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRules:
    """In seconds.

    ttl_s: how long keys are used before they are fetched again, unless the service's `Cache-Control: max-age`
        says less or more; between a minute and an hour it is followed.
    unknown_s: least time between two fetches for keys that are not known, however many are asked for.
    retry_s: the same after a fetch that failed.
    stale_s: how long after they were due keys are still trusted while they cannot be fetched.
    timeout_s: of a fetch.
    """

    ttl_s: float = 300
    unknown_s: float = 30
    retry_s: float = 5
    stale_s: float = 3600
    timeout_s: float = 5


class KeyCache:
    """Not thread-safe: the caller holds a lock. `now` is monotonic, in seconds.

    `keys` are some to begin with: they are trusted, and due at once.
    """

    def __init__(self, rules: KeyRules, keys: Mapping[str, PublicKey] | None, now: float) -> None:
        self._rules = rules
        self._keys = dict(keys or {})
        self._due = float("-inf") if keys is None else now
        self._next = float("-inf")

    def look_up(self, kid: str, now: float) -> Fetch:
        if now < self._next:
            return Fetch.NOTHING
        if kid not in self._keys or not self._is_usable(now):
            return Fetch.NOW
        return Fetch.ASIDE if now >= self._due else Fetch.NOTHING

    def get(self, kid: str, now: float) -> PublicKey:
        """
        Raises:
            UnknownKey: the service does not publish it, as far as is known.
            KeysUnavailable: there are none, or they are too old.
        """
        if not self._is_usable(now):
            raise KeysUnavailable("the keys of the service cannot be fetched")
        try:
            return self._keys[kid]
        except KeyError:
            raise UnknownKey("the key of the signature is not known") from None

    def fetched(self, keys: Mapping[str, PublicKey], cache_control: str, now: float) -> None:
        """What is no longer published is no longer trusted."""
        self._keys = dict(keys)
        self._due = now + self._ttl_s(cache_control)
        self._next = now + self._rules.unknown_s

    def failed(self, now: float) -> None:
        self._next = now + self._rules.retry_s

    def _is_usable(self, now: float) -> bool:
        return now < self._due + self._rules.stale_s

    def _ttl_s(self, cache_control: str) -> float:
        found = _MAX_AGE.search(cache_control)
        return min(max(float(found[1]), 60), 3600) if found else self._rules.ttl_s
