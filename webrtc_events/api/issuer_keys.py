"""The issuer's keys, cached: read when needed, now and then in passing, and not too often."""

import asyncio
import logging
from contextvars import Context

from webrtc_events.api.openid import Issuer, IssuerError, fetch_issuer
from webrtc_events.core.clock import Clock
from webrtc_events.core.conditions import Condition, Health
from webrtc_events.core.egress_proxy import EgressProxy
from webrtc_events.core.errors import Unavailable

__all__ = ["IssuerKeys"]

_REFRESH_S = 3600
_MIN_INTERVAL_S = 10
_MIN_INTERVAL_WITHOUT_KEYS_S = 1
_FETCH_TIMEOUT_S = 20
# A readiness check reads the keys again when the last reading is older than _LOOK_S. Without any keys its
# answer waits for that, _LOOK_TIMEOUT_S at most.
_LOOK_S = 60
_LOOK_TIMEOUT_S = 2

_logger = logging.getLogger(__name__)


class IssuerKeys:
    """Keys of one issuer. For use on one event loop; nothing blocks it.

    They are read when first needed, again when a token names an unknown one (at most every
    10 s, one request at a time), and every hour in passing. While the issuer is out of reach
    the cached keys go on working.
    """

    def __init__(self, openid_configuration_url: str, clock: Clock, proxy: EgressProxy | None = None) -> None:
        self._proxy = proxy
        self._url = openid_configuration_url
        self._clock = clock
        self._issuer: Issuer | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._not_before = float("-inf")
        self._failing = False

    async def knowing(self, kid: str | None) -> Issuer:
        """The issuer with cached keys; read anew if they lack `kid`, as far as the rate allows.

        Raises:
            Unavailable: the keys have not been had yet.
        """
        if self._issuer is None or (kid is not None and not self._issuer.knows(kid)):
            fetching = self._start_fetching()
            if fetching is not None:
                # Shielded: one client that goes away must not stop what others wait for.
                await asyncio.shield(fetching)
        elif self._age_s(self._issuer) > _REFRESH_S:
            self._start_fetching()
        if self._issuer is None:
            raise Unavailable("Access tokens cannot be verified at the moment; try again.")
        return self._issuer

    async def condition(self) -> Condition:
        """How the issuer did at the last look; a new one begins about once a minute."""
        if self._issuer is None or self._age_s(self._issuer) > _LOOK_S:
            fetching = self._start_fetching()
            if fetching is not None and self._issuer is None:
                await asyncio.wait([fetching], timeout=_LOOK_TIMEOUT_S)
        if self._issuer is None:
            return Condition(
                Health.UNAVAILABLE, "The token issuer cannot be reached: no access token can be verified."
            )
        if self._failing:
            age_s = round(self._age_s(self._issuer))
            return Condition(
                Health.DEGRADED, f"The token issuer cannot be reached; its keys of {age_s} s ago are used."
            )
        return Condition.ok()

    def _age_s(self, issuer: Issuer) -> float:
        return self._clock.monotonic() - issuer.fetched_at

    def _start_fetching(self) -> "asyncio.Task[None] | None":
        """The fetch under way, a new one, or None: it is too early for one."""
        now = self._clock.monotonic()
        if self._fetching is None and now >= self._not_before:
            self._not_before = now + (_MIN_INTERVAL_S if self._issuer else _MIN_INTERVAL_WITHOUT_KEYS_S)
            # For all who wait, and not for the request that happens to begin it.
            self._fetching = asyncio.create_task(self._fetch(), context=Context())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            reading = asyncio.to_thread(fetch_issuer, self._url, self._clock, self._proxy)
            self._issuer = await asyncio.wait_for(reading, _FETCH_TIMEOUT_S)
        except (IssuerError, TimeoutError) as error:
            self._failed(str(error) or f"no answer within {_FETCH_TIMEOUT_S} s")
        else:
            self._answered()
        finally:
            self._fetching = None

    def _failed(self, reason: str) -> None:
        """The first failure is news, those that follow are not."""
        level = logging.DEBUG if self._failing else logging.WARNING
        self._failing = True
        left = "tokens cannot be verified" if self._issuer is None else "the keys known so far are used"
        _logger.log(level, "the token issuer is out of reach, %s: %s", left, reason)

    def _answered(self) -> None:
        if self._failing:
            _logger.info("the token issuer answers again")
        self._failing = False
