"""Rates that all processes keep together: of a client's requests, of notifications to a sink."""

from dataclasses import dataclass

from webrtc_events.core.model import Claim
from webrtc_events.core.settings import Settings
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import bucket_key, rate_slots_key
from webrtc_events.store.redis.scripts import Call

__all__ = ["RateLimits", "RequestRate"]


@dataclass(frozen=True, slots=True)
class RequestRate:
    """Of each client; 0 requests a second: no limit."""

    per_s: int
    at_once: int

    @classmethod
    def of(cls, settings: Settings) -> "RequestRate":
        return cls(settings.requests_per_s, settings.requests_at_once)


class RateLimits:
    """Every method may raise `errors.Unavailable`."""

    def __init__(self, connection: Connection, requests: RequestRate) -> None:
        self._connection = connection
        self._requests = requests

    @property
    def limits_requests(self) -> bool:
        """Whether requests are counted at all."""
        return self._requests.per_s > 0

    def take_token(self, client: str, cost: int = 1) -> int:
        """Counts `cost` requests of `client`: 0, or after how many ms it may try again."""
        if not self.limits_requests:
            return 0
        args = [self._requests.per_s, self._requests.at_once, cost]
        return int(self._connection.run(Call("take_rate_token", [bucket_key(client)], "", args)))

    def take_slot(self, claim: Claim, rate: int, patience_ms: int) -> int:
        """After how many ms the claim's next notification may go to its sink, which allows `rate` a minute.

        Up to `patience_ms` that slot is the caller's. A later one is kept for the subscription, which
        is to ask again before it comes.
        """
        args: list[str | int] = [claim.subscription_id, repr(60_000 / rate), patience_ms]
        return int(self._connection.run(Call("take_rate_slot", [rate_slots_key(claim.sink)], "", args)))
