"""The service as an adapter sees it: its requests over HTTP, with an access token; answers as values."""

import ssl
import threading
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session

from webrtc_events.core.clock import Clock
from webrtc_events.core.plain_text import printable
from webrtc_events.core.retry_after import retry_after_ms
from webrtc_events.gateways.network_requests import DeleteRegistration, PublishEvent, PutRegistration
from webrtc_events.gateways.todo import ANOTHER, AWAY, UNAUTHORIZED, todo_about

__all__ = ["Access", "Answer", "Answered", "Divisible", "Refused", "ServiceClient", "Unanswered"]

_SCOPE: Final = "webrtc-events:network"
# No more than the connections that requests keeps for a host.
_AT_ONCE: Final = 8
_CONNECT_S: Final = 5.0
_READ_S: Final = 30.0
_TOKEN_LEEWAY_S: Final = 30.0
# Where the issuer does not say; an answer of 401 ends a token in any case.
_TOKEN_LIFETIME_S: Final = 600.0
_MAX_REASON: Final = 300
# Those of a service, or of a proxy before it, that will say the same again.
_LASTING: Final = frozenset({*range(400, 500)} - {401, 407, 408, 421, 423, 425, 429})
_BATCH: Final = {"Content-Type": "application/cloudevents-batch+json"}
_PROBE: Final = "probe-of-an-adapter-"


@dataclass(frozen=True, slots=True)
class Access:
    """How an access token is had: client credentials (RFC 6749, 4.4) at `token_url`, or as `issuer` says.

    Without a `client_secret` the client only names itself, which the issuer of `serve` is content with.
    """

    issuer: str | None
    token_url: str | None
    client_id: str
    client_secret: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The service has decided on each request: None, or why it will not take it."""

    refusals: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Divisible:
    """Some requests at once are refused as a whole: fewer at once may do, or show which one it is for."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nothing is decided: the same is to be sent again, `wait_ms` from now at the earliest.

    `todo`: what an operator is to do, if it lasts.
    """

    reason: str
    wait_ms: int = 0
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A single request is refused by the service, or on its way, with a status that may last, such as 403."""

    reason: str
    todo: str = ""


Answer = Answered | Divisible | Refused | Unanswered

_UNTRUSTED: Final = Unanswered("HTTP 401: the token is not taken", todo=todo_about(401))


class ServiceClient:
    """`service_url` is the API root: `/network/v0` follows it. For one thread at a time."""

    def __init__(self, service_url: str, access: Access, clock: Clock, ca_file: Path | None = None) -> None:
        self._network = f"{service_url.rstrip('/')}/network/v0"
        self._access = access
        self._clock = clock
        method = "none" if access.client_secret is None else "client_secret_basic"
        self._session = OAuth2Session(
            access.client_id,
            access.client_secret,
            scope=_SCOPE,
            token_endpoint_auth_method=method,
            leeway=0,
        )
        self._renew_at_s = 0.0
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="put")
        # A proxy or .netrc of the environment is not meant for what the command line names.
        self._session.trust_env = False
        if ca_file is not None:
            self._session.verify = str(ca_file)
        self._token_url = access.token_url

    def close(self) -> None:
        self._pool.shutdown()
        self._session.close()

    def publish(self, events: Sequence[PublishEvent]) -> Answer:
        """Some events as one batch, in order."""
        body = [request.event for request in events]
        answer = self._send("POST", f"{self._network}/events", json=body, headers=_BATCH)
        if isinstance(answer, Unanswered):
            return answer
        if answer.status_code == 202:
            return _results(answer, len(events))
        if answer.status_code not in _LASTING:
            return self._again(answer)
        return Divisible(_reason(answer)) if len(events) > 1 else _refused(answer)

    def put(self, requests_: Sequence[PutRegistration]) -> list[Answer]:
        """Of different registrations: some at once, in any order. An answer for each.

        After one that has no answer, or some refusals and nothing else, no further one is sent: they get the
        same answer.
        """
        answers = self._put_some(requests_)
        if None in answers:
            # It may have been revoked, or the issuer's keys are new.
            self._session.token = None
            left = zip(requests_, answers, strict=True)
            later = iter(self._put_some([request for request, answer in left if answer is None]))
            answers = [next(later) if answer is None else answer for answer in answers]
        return [_UNTRUSTED if answer is None else answer for answer in answers]

    def _put_some(self, requests_: Sequence[PutRegistration]) -> list[Answer | None]:
        """None: the token is not taken."""
        try:
            self._renew_token()
        except _NoToken as error:
            return [_no_token(error)] * len(requests_)
        outlook = _Outlook()

        def once(request: PutRegistration) -> Answer | None:
            return outlook.answer if outlook.is_bad else outlook.noted(self._put_once(request))

        return list(self._pool.map(once, requests_))

    def _put_once(self, request: PutRegistration) -> Answer | None:
        """By a thread of the pool, with the token that there is."""
        url = self._registration(request.registration_id)
        try:
            answer = self._request("PUT", url, {"json": request.body})
        except (AuthlibBaseError, OSError) as error:
            return _failed("PUT", url, error)
        return None if answer.status_code == 401 else self._decided(answer, {200, 201})

    def delete(self, request: DeleteRegistration) -> Answer:
        answer = self._send("DELETE", self._registration(request.registration_id))
        return self._decided(answer, {204, 404})

    def _registration(self, registration_id: str) -> str:
        return f"{self._network}/registrations/{quote(registration_id, safe='', errors='replace')}"

    def _decided(self, answer: "requests.Response | Unanswered", done: set[int]) -> Answer:
        if isinstance(answer, Unanswered):
            return answer
        if answer.status_code in done:
            return Answered((None,))
        if answer.status_code == 400 and _code(answer):
            # The service itself, by its contract.
            return Answered((_reason(answer),))
        return _refused(answer) if answer.status_code in _LASTING else self._again(answer)

    def takes_registrations(self) -> bool:
        """Whether the service decides on them: asks with a PUT that it can only call wrong."""
        url = self._registration(f"{_PROBE}{uuid.uuid4().hex}")
        return _is_called_wrong(self._send("PUT", url, json={}))

    def takes_events(self) -> bool:
        """Whether the service decides on them: asks with a batch of none, which it can only call wrong."""
        return _is_called_wrong(self._send("POST", f"{self._network}/events", json=[], headers=_BATCH))

    def _again(self, answer: requests.Response) -> Unanswered:
        """What is wrong may be over, or be mended: nothing is given up for it."""
        wait_ms = retry_after_ms(answer.headers.get("Retry-After"), self._clock.now())
        return Unanswered(_reason(answer), wait_ms, todo_about(answer.status_code))

    def _send(self, method: str, url: str, **options: Any) -> "requests.Response | Unanswered":
        try:
            self._renew_token()
            answer = self._request(method, url, options)
            if answer.status_code == 401:
                # It may have been revoked, or the issuer's keys are new.
                self._session.token = None
                self._renew_token()
                answer = self._request(method, url, options)
        except _NoToken as error:
            return _no_token(error)
        except (AuthlibBaseError, OSError) as error:
            # Those of requests are among the latter.
            return _failed(method, url, error)
        return answer

    def _request(self, method: str, url: str, options: Mapping[str, Any]) -> requests.Response:
        found: requests.Response = self._session.request(
            method, url, timeout=(_CONNECT_S, _READ_S), allow_redirects=False, **options
        )
        return found

    def _renew_token(self) -> None:
        if not self._session.token or self._clock.monotonic() >= self._renew_at_s:
            self._fetch_token()

    def _fetch_token(self) -> None:
        self._session.token = None
        try:
            token = self._session.fetch_token(
                self._find_token_url(), grant_type="client_credentials", timeout=(_CONNECT_S, _READ_S)
            )
            lifetime_s = float(token.get("expires_in") or _TOKEN_LIFETIME_S)
            if not isinstance(token.get("access_token"), str):
                self._session.token = None
                raise _NoToken("the issuer's answer has no access_token")
        except OSError as error:
            place = self._token_url or self._access.issuer
            raise _NoToken(f"{place} has {_failure(error)}") from error
        except (AuthlibBaseError, ValueError, TypeError, AttributeError) as error:
            # What the issuer says: invalid_client, say, or no JSON at all.
            raise _NoToken(str(error) or type(error).__name__) from error
        # A token of a few seconds is used for half of them.
        self._renew_at_s = self._clock.monotonic() + max(lifetime_s / 2, lifetime_s - _TOKEN_LEEWAY_S)

    def _find_token_url(self) -> str:
        if self._token_url is None:
            # Source: OpenID Connect Discovery 1.0, section 4.
            url = f"{(self._access.issuer or '').rstrip('/')}/.well-known/openid-configuration"
            answer = self._session.request("GET", url, withhold_token=True, timeout=(_CONNECT_S, _READ_S))
            found = answer.json().get("token_endpoint") if answer.status_code == 200 else None
            if not isinstance(found, str):
                raise _NoToken(f"{url} names no token_endpoint (HTTP {answer.status_code})")
            self._token_url = found
        return self._token_url


class _Outlook:
    """Of several requests under way: whether it makes sense to send more, or they get the same answer.

    Each thread of the pool notes its answers.
    """

    def __init__(self) -> None:
        self.is_bad = False
        self.answer: Answer | None = None
        self._decided = 0
        self._refused = 0
        self._lock = threading.Lock()

    def noted(self, answer: Answer | None) -> Answer | None:
        with self._lock:
            self._decided += isinstance(answer, Answered)
            self._refused += isinstance(answer, Refused)
            all_refused = self._refused >= _AT_ONCE and not self._decided
            if answer is None or isinstance(answer, Unanswered) or all_refused:
                self.answer, self.is_bad = answer, True
        return answer


class _NoToken(Exception):
    """The issuer is away, refuses, or says what it should not."""


def _results(answer: requests.Response, count: int) -> Answer:
    try:
        results = answer.json()["results"]
        refusals = tuple(
            str(result.get("message") or "rejected")[:_MAX_REASON] if result["status"] == "rejected" else None
            for result in results
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Unanswered(
            "the answer to POST /events has no results: is --service the service?", todo=ANOTHER
        )
    if len(refusals) != count:
        return Unanswered(
            f"{len(refusals)} results for {count} events: is --service the service?", todo=ANOTHER
        )
    return Answered(refusals)


def _of_another(found: str) -> Unanswered:
    return Unanswered(f"{found}: is --service the service?", todo=ANOTHER)


def _no_token(error: Exception) -> Unanswered:
    return Unanswered(f"no access token: {str(error)[:_MAX_REASON]}", todo=UNAUTHORIZED)


def _failed(method: str, url: str, error: AuthlibBaseError | OSError) -> Unanswered:
    if isinstance(error, OSError):
        return Unanswered(f"{method} {url} has {_failure(error)}", todo=AWAY)
    return _no_token(error)


def _refused(answer: requests.Response) -> Refused:
    return Refused(_reason(answer), todo_about(answer.status_code))


def _is_called_wrong(answer: "requests.Response | Unanswered") -> bool:
    return not isinstance(answer, Unanswered) and answer.status_code == 400 and _code(answer) != ""


def _reason(answer: requests.Response) -> str:
    """The status, with the message of an ErrorInfo, or what a proxy says, as one line of text."""
    try:
        info = answer.json()
        words = f"{info['code']}: {info['message']}"
    except (ValueError, KeyError, TypeError):
        words = answer.text[:_MAX_REASON]
    return printable(" ".join(f"HTTP {answer.status_code} {words}".split()), _MAX_REASON)


def _code(answer: requests.Response) -> str:
    """That of an ErrorInfo; empty: the answer is none, and so not the service's."""
    try:
        info = answer.json()
        return str(info["code"]) if isinstance(info["message"], str) else ""
    except (ValueError, KeyError, TypeError):
        return ""


def _failure(error: OSError) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return f"a certificate that is not trusted ({_root(error)})"
    return f"no answer ({type(error).__name__})"


def _root(error: BaseException) -> str:
    found: BaseException = error
    while found.__cause__ or found.__context__:
        found = found.__cause__ or found.__context__ or found
    return str(found)[:_MAX_REASON] if isinstance(found, ssl.SSLError) else type(found).__name__
