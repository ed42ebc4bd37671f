"""Where access tokens come from: a fixed one, a function, or client credentials at the issuer.

Each is a flow, so that the sync and the async client share it. One source may serve several clients.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

import msgspec

from webrtc_events_client.client.errors import ApiError, NoAnswer, TokenUnavailable, UnexpectedAnswer
from webrtc_events_client.client.flows import Context, Flow, ask, send_retried
from webrtc_events_client.client.messages import NO_JSON, Answer, Request, read_json

if TYPE_CHECKING:
    from authlib.oauth2.auth import ClientAuth

__all__ = ["ClientCredentials", "StaticToken", "TokenFunction", "TokenSource", "token_source"]

_DISCOVERY = "/.well-known/openid-configuration"


class TokenSource(Protocol):
    def token(self, refused: str | None, context: Context) -> Flow[str]:
        """An access token. `refused`: one that the service did not take; the same one again gives up.

        Raises:
            TokenUnavailable: there is none.
        """


class StaticToken:
    """One token, which nobody renews."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self, refused: str | None, context: Context) -> Flow[str]:  # noqa: ARG002 (as all sources)
        yield from ()
        return self._token


class TokenFunction:
    """Calls a function for each request, and once more when a token is refused. The async client takes async
    ones too.
    """

    def __init__(self, function: Callable[[], str | Awaitable[str]]) -> None:
        self._function = function

    def token(self, refused: str | None, context: Context) -> Flow[str]:  # noqa: ARG002 (as all sources)
        return ask(self._function)


def token_source(source: "str | Callable[[], str | Awaitable[str]] | TokenSource") -> TokenSource:
    """A text is a fixed token, a function gives tokens, a source is one already."""
    if isinstance(source, str):
        return StaticToken(source)
    return TokenFunction(source) if callable(source) else source


@dataclass(frozen=True, slots=True)
class _Cached:
    """`until_s` is of the monotonic clock; None: until it is refused."""

    token: str = field(repr=False)
    until_s: float | None

    def lasts(self, now_s: float) -> bool:
        return self.until_s is None or now_s < self.until_s


class _Discovery(msgspec.Struct):
    issuer: str
    token_endpoint: str


class _Token(msgspec.Struct):
    access_token: str
    token_type: str
    # Some issuers write the number as a text.
    expires_in: float | str | None = None


class _OAuthError(msgspec.Struct):
    error: str = ""


class ClientCredentials:
    """Gets tokens from the issuer with the application's own credentials (RFC 6749, 4.4), by Authlib.

    A token is kept until `lead_s` before its end, at most for half of its life, or until the service refuses
    it.

    Args:
        token_url: the issuer's token endpoint; or `discovery_url`, where its OpenID configuration says it.
        scopes: those to ask for; none: what the issuer gives by itself.
        auth_method: 'client_secret_basic', 'client_secret_post', 'none', or what Authlib takes, such as
            `authlib.oauth2.rfc7523.PrivateKeyJWT(token_url)`, whose key is `client_secret`.
        parameters: further ones of the request, such as `audience` or `resource`.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str = "",
        *,
        token_url: str | None = None,
        discovery_url: str | None = None,
        scopes: tuple[str, ...] = (),
        auth_method: str | Callable[..., Any] = "client_secret_basic",
        parameters: Mapping[str, str] | None = None,
        lead_s: float = 30.0,
    ) -> None:
        if (token_url is None) == (discovery_url is None):
            raise ValueError("give token_url or discovery_url")
        self._auth = _client_auth(client_id, client_secret, auth_method)
        self._client_id = client_id
        self._token_url = token_url
        self._discovery_url = discovery_url
        self._found_url: str | None = None
        self._form = {"grant_type": "client_credentials", **(parameters or {})}
        if scopes:
            self._form["scope"] = " ".join(scopes)
        self._lead_s = lead_s
        self._cached: _Cached | None = None

    def __repr__(self) -> str:
        return f"ClientCredentials({self._client_id!r})"

    def token(self, refused: str | None, context: Context) -> Flow[str]:
        cached = self._cached
        if cached is not None and cached.token != refused and cached.lasts(context.clock.monotonic()):
            return cached.token
        asked_at_s = context.clock.monotonic()
        correlator = str(uuid.uuid4())
        try:
            url = self._token_url or self._found_url or (yield from self._discovered(context, correlator))
            answer = yield from send_retried(self._request(url), context, correlator)
            token = _read_token(answer, correlator)
        except TokenUnavailable:
            self._found_url = None
            raise
        except (ApiError, NoAnswer, UnexpectedAnswer) as error:
            # The issuer may have moved.
            self._found_url = None
            raise TokenUnavailable(f"the issuer gave no access token: {error.message}") from error
        self._cached = _Cached(token.access_token, self._until(token, asked_at_s))
        return token.access_token

    def _until(self, token: _Token, asked_at_s: float) -> float | None:
        try:
            lifetime_s = float(token.expires_in or "nan")
        except ValueError:
            return None
        # Also for what is no number.
        if not 0 < lifetime_s < float("inf"):
            return None
        return asked_at_s + lifetime_s - min(self._lead_s, lifetime_s / 2)

    def _request(self, url: str) -> Request:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        prepared: Any = self._auth.prepare(  # type: ignore[no-untyped-call]
            "POST", url, headers, urlencode(self._form)
        )
        return Request("POST", prepared[0], dict(prepared[1]), str(prepared[2]).encode())

    def _discovered(self, context: Context, correlator: str) -> Flow[str]:
        """Source: OpenID Connect Discovery 1.0, sections 4.1 and 4.3."""
        url = self._discovery_url or ""
        answer = yield from send_retried(
            Request("GET", url, {"Accept": "application/json"}), context, correlator
        )
        if answer.status != 200:
            raise TokenUnavailable(f"the issuer's OpenID configuration is not there: {answer.status}")
        found = read_json(answer, _Discovery, correlator)
        if found.issuer.rstrip("/") + _DISCOVERY != url:
            raise TokenUnavailable("the issuer's OpenID configuration is of another issuer")
        if url.startswith("https:") and not found.token_endpoint.startswith("https:"):
            raise TokenUnavailable("the issuer's token endpoint is not https")
        self._found_url = found.token_endpoint
        return found.token_endpoint


def _client_auth(client_id: str, client_secret: str, method: str | Callable[..., Any]) -> "ClientAuth":
    try:
        from authlib.oauth2.auth import ClientAuth
    except ImportError as error:
        raise ImportError(
            "client credentials need Authlib: pip install 'webrtc-events-client[oauth]'"
        ) from error
    return ClientAuth(client_id, client_secret, method)


def _read_token(answer: Answer, correlator: str) -> _Token:
    """
    Raises:
        TokenUnavailable: the issuer refuses (RFC 6749, 5.2), or gives tokens of a kind that is not known
            here.
        UnexpectedAnswer: the answer is none of OAuth's.
    """
    if answer.status != 200:
        try:
            code = msgspec.json.decode(answer.body, type=_OAuthError).error[:100]
        except NO_JSON:
            code = ""
        said = code if code.isidentifier() else "no OAuth error"
        raise TokenUnavailable(f"the issuer refuses: {answer.status}, {said}", code=code)
    token = read_json(answer, _Token, correlator)
    if token.token_type.lower() != "bearer":
        raise TokenUnavailable("the issuer gave a token that is no bearer token")
    return token
