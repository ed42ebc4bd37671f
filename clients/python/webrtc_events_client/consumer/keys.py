"""The public keys of the service, fetched when they are needed and kept: for threads, and for asyncio."""

import asyncio
import logging
import threading
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2

from webrtc_events_client.clock import Clock, SystemClock
from webrtc_events_client.consumer.key_cache import Fetch, KeyCache, KeyRules
from webrtc_events_client.consumer.key_set_document import PublicKey, read_key_set

__all__ = ["AsyncKeySet", "AsyncKeySource", "KeySet", "KeySource"]

log = logging.getLogger(__name__)

_MAX_BYTES = 256 * 1024
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_HEADERS = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}


class KeySource(Protocol):
    """Where a verifier gets public keys from."""

    def get(self, kid: str) -> PublicKey:
        """
        Raises:
            UnknownKey, KeysUnavailable: there is no such key, or nobody knows.
        """


class AsyncKeySource(Protocol):
    """The same for asyncio."""

    async def get(self, kid: str) -> PublicKey: ...


class _Kept:
    """What both ways have: where the keys are, and those that are known."""

    def __init__(
        self, url: str, rules: KeyRules | None, initial: bytes | Mapping[str, Any] | None, clock: Clock | None
    ) -> None:
        self._url = _checked(url)
        self._rules = rules or KeyRules()
        self._clock = clock or SystemClock()
        given = None if initial is None else read_key_set(initial)
        self._cache = KeyCache(self._rules, given, self._clock.monotonic())


class KeySet(_Kept):
    """The keys at a URL, for any number of threads. Nothing is fetched before the first key is needed.

    Args:
        url: of the operator's `/.well-known/jwks.json`. Never take it from a notification.
        rules: see `KeyRules`.
        initial: a JWK Set to begin with, as kept from before: notifications are verified while the service is
            away. It is fetched again all the same.
        http: a client with other certificates, or a proxy; it stays yours to close.

    Raises:
        ValueError: the URL is not https, and not on this machine; `initial` is no JWK Set.
    """

    def __init__(
        self,
        url: str,
        *,
        rules: KeyRules | None = None,
        initial: bytes | Mapping[str, Any] | None = None,
        http: httpx2.Client | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(url, rules, initial, clock)
        self._http = http
        self._state = threading.Lock()
        self._fetching = threading.Lock()

    def get(self, kid: str) -> PublicKey:
        """See `KeySource`. It fetches at most once at a time; who needs no new keys does not wait for it."""
        with self._state:
            need = self._cache.look_up(kid, self._clock.monotonic())
        if need is Fetch.NOW:
            with self._fetching:
                # Perhaps another thread has fetched meanwhile.
                with self._state:
                    need = self._cache.look_up(kid, self._clock.monotonic())
                if need is Fetch.NOW:
                    self._fetch()
        elif need is Fetch.ASIDE and self._fetching.acquire(blocking=False):
            try:
                self._fetch()
            finally:
                self._fetching.release()
        with self._state:
            return self._cache.get(kid, self._clock.monotonic())

    def _fetch(self) -> None:
        body = _Body(self._clock, self._rules.timeout_s)
        client = self._http or httpx2.Client(timeout=self._rules.timeout_s)
        try:
            with client.stream("GET", self._url, headers=_HEADERS, follow_redirects=False) as answer:
                answer.raise_for_status()
                for part in answer.iter_bytes():
                    body.add(part)
            keys = read_key_set(bytes(body.content))
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            _log_failure(self._url, error)
            with self._state:
                self._cache.failed(self._clock.monotonic())
        else:
            with self._state:
                self._cache.fetched(keys, answer.headers.get("cache-control", ""), self._clock.monotonic())
        finally:
            if self._http is None:
                client.close()


class AsyncKeySet(_Kept):
    """The same for asyncio: one event loop, any number of tasks."""

    def __init__(
        self,
        url: str,
        *,
        rules: KeyRules | None = None,
        initial: bytes | Mapping[str, Any] | None = None,
        http: httpx2.AsyncClient | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(url, rules, initial, clock)
        self._http = http
        self._fetching = asyncio.Lock()

    async def get(self, kid: str) -> PublicKey:
        """See `AsyncKeySource`."""
        need = self._cache.look_up(kid, self._clock.monotonic())
        if need is Fetch.NOW or (need is Fetch.ASIDE and not self._fetching.locked()):
            async with self._fetching:
                if self._cache.look_up(kid, self._clock.monotonic()) is not Fetch.NOTHING:
                    await self._fetch()
        return self._cache.get(kid, self._clock.monotonic())

    async def _fetch(self) -> None:
        body = _Body(self._clock, self._rules.timeout_s)
        client = self._http or httpx2.AsyncClient(timeout=self._rules.timeout_s)
        try:
            async with client.stream("GET", self._url, headers=_HEADERS, follow_redirects=False) as answer:
                answer.raise_for_status()
                async for part in answer.aiter_bytes():
                    body.add(part)
            keys = read_key_set(bytes(body.content))
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            _log_failure(self._url, error)
            self._cache.failed(self._clock.monotonic())
        else:
            self._cache.fetched(keys, answer.headers.get("cache-control", ""), self._clock.monotonic())
        finally:
            if self._http is None:
                await client.aclose()


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in ("https", "http"):
        raise ValueError("the URL of the keys is no URL")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("the URL of the keys must be https: whoever changes them signs what he likes")
    return url


class _Body:
    """What is read of an answer: no more than a key set has, and not for ever, however slowly it drips."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self.content = bytearray()
        self._clock = clock
        self._deadline = clock.monotonic() + timeout_s

    def add(self, part: bytes) -> None:
        self.content += part
        if len(self.content) > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_BYTES} bytes")
        if self._clock.monotonic() > self._deadline:
            raise ValueError("it takes too long")


def _log_failure(url: str, error: Exception) -> None:
    log.warning("the keys at %s cannot be fetched: %s: %s", url, type(error).__name__, error)
