"""Requests about subscriptions as values, and what of them every version of the contract has alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self, TypedDict

from webrtc_events.contract.webrtc_events_subscriptions_types import (
    AccessTokenCredential,
    PrivateKeyJWTCredential,
)
from webrtc_events.core.channel_urls import NO_CHANNELS, ChannelUrls
from webrtc_events.core.clock import parse_time
from webrtc_events.core.credentials import token_expiry_ms
from webrtc_events.core.errors import InvalidArgument
from webrtc_events.core.model import Credential, EventType, SinkCredential
from webrtc_events.services.private_key_jwt import PRIVATE_KEY_JWT, private_key_jwt
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.headers import check_sink_headers, check_sink_token
from webrtc_events.sinks.sink_url import check_sink_url

__all__ = [
    "Renewal",
    "SinkRules",
    "SubscriptionRequest",
    "SubscriptionTerms",
    "SubscriptionUpdate",
    "credential_of_channel",
    "known_members",
    "no_such_channel",
]

# Of which it is remembered that they may be, each of 2,048 characters at most.
_SINKS = 512
# The largest count that Lua keeps exactly.
_MAX_EVENTS = 2**53


class _ConfigUpdate(TypedDict, total=False):
    subscriptionExpireTime: str


class SubscriptionUpdate(TypedDict, total=False):
    """What is to change. Source: webrtc-events-subscriptions.yaml, SubscriptionUpdateRequest."""

    sinkCredential: AccessTokenCredential | PrivateKeyJWTCredential
    config: _ConfigUpdate


@dataclass(frozen=True, slots=True)
class SinkRules:
    """Which sinks a client may name: `policy` decides on web servers, `channels` are those that are none.

    `jwks_uri`: where token servers find the operator's keys; None: it has none.
    """

    policy: AddressPolicy
    channels: ChannelUrls = NO_CHANNELS
    jwks_uri: str | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionTerms:
    """Where notifications go, as whom, and until when: all versions say it alike. Times: ms since the epoch.

    `sink` is the address to POST to, which may be written otherwise than in the request. `channel`: the
    notification channel that `sink` is the URL of, if it is one.
    """

    sink: str
    channel: str | None
    headers: Mapping[str, str] = field(repr=False)
    credential: SinkCredential | None
    expires_at_ms: int | None
    max_events: int | None

    @classmethod
    def parse(cls, request: Mapping[str, Any], rules: SinkRules) -> Self:
        """
        Raises:
            InvalidArgument: what the contract cannot say: see the checks below.
            Unprocessable: a credential that this operator is not set up for.
        """
        channel = _channel(request, rules.channels)
        config = request["config"]
        return cls(
            headers=_checked_headers(request),
            credential=_credential(request.get("sinkCredential"), rules),
            sink=_web_sink(request, rules) if channel is None else request["sink"],
            channel=channel,
            expires_at_ms=_expire_time(config.get("subscriptionExpireTime")),
            max_events=_max_events(config.get("subscriptionMaxEvents")),
        )


@dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """What a client asks for, whichever version of the contract it speaks.

    `types` has each once. It is to `registration`, and `session` if that is not None; or to `device`, a
    deviceId in lower case, and then `registration` is ''. `shown` is the request as it is stored and shown
    again: without its secret, and without members that the contract does not know.
    """

    types: tuple[EventType, ...]
    registration: str = field(repr=False)
    session: str | None
    device: str | None = field(repr=False)
    terms: SubscriptionTerms
    initial_event: bool
    shown: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a client changes: None stays as it is. `expire_time` is `expires_at_ms` as the client wrote it."""

    expire_time: str | None
    expires_at_ms: int | None
    credential: SinkCredential | None

    @classmethod
    def parse(cls, update: SubscriptionUpdate, rules: SinkRules) -> Self:
        """
        Raises:
            InvalidArgument: a time out of range, a token that no header can hold, no token server.
            Unprocessable: see `SubscriptionTerms.parse`.
        """
        expire_time = update.get("config", {}).get("subscriptionExpireTime")
        return cls(expire_time, _expire_time(expire_time), _credential(update.get("sinkCredential"), rules))


def _checked_headers(request: Mapping[str, Any]) -> dict[str, str]:
    headers: dict[str, str] = request.get("protocolSettings", {}).get("headers", {})
    try:
        check_sink_headers(headers)
    except ValueError as error:
        raise InvalidArgument(f"$.protocolSettings.headers: {error}") from None
    return headers


def _channel(request: Mapping[str, Any], channels: ChannelUrls) -> str | None:
    """The channel that is to be the sink; None: a web server is."""
    if not channels.covers(request["sink"]):
        return None
    channel = channels.id_of(request["sink"])
    if channel is None:
        raise no_such_channel()
    if "sinkCredential" in request:
        raise credential_of_channel()
    return channel


def credential_of_channel() -> InvalidArgument:
    """The sink is a channel: nothing is sent there, so no token of it may run out."""
    return InvalidArgument("$.sinkCredential: a channel takes none", code="INVALID_CREDENTIAL")


def no_such_channel() -> InvalidArgument:
    """The sink looks like the URL of a channel. The answer is the same for another client's."""
    return InvalidArgument("$.sink: there is no such channel of this client", code="INVALID_SINK")


def _web_sink(request: Mapping[str, Any], rules: SinkRules) -> str:
    """The address of a web server."""
    try:
        sink = _sink_url(request["sink"], rules.policy)
    except ValueError as error:
        raise InvalidArgument(f"$.sink: {error}", code="INVALID_SINK") from None
    # Workers know a channel by its URL: no other spelling of it gets past the look at whose channel it is.
    if rules.channels.covers(sink):
        raise no_such_channel()
    return sink


@lru_cache(_SINKS)
def _sink_url(url: str, policy: AddressPolicy) -> str:
    """A client has many subscriptions to the same sink, and what is said of a URL does not change."""
    return check_sink_url(url, policy)


def _credential(given: Mapping[str, Any] | None, rules: SinkRules) -> SinkCredential | None:
    """The one place where a `sinkCredential` is parsed: that of a request, and that of an update."""
    if given is None:
        return None
    if given["credentialType"] == PRIVATE_KEY_JWT:
        return private_key_jwt(given, rules.policy, rules.jwks_uri)
    try:
        check_sink_token(given["accessToken"])
    except ValueError as error:
        raise InvalidArgument(f"$.sinkCredential.accessToken: {error}") from None
    stated_ms = _moment(given["accessTokenExpiresUtc"], "$.sinkCredential.accessTokenExpiresUtc")
    claimed_ms = token_expiry_ms(given["accessToken"])
    return Credential(given["accessToken"], stated_ms if claimed_ms is None else min(stated_ms, claimed_ms))


def _expire_time(text: str | None) -> int | None:
    return None if text is None else _moment(text, "$.config.subscriptionExpireTime")


def _max_events(wanted: float | None) -> int | None:
    """JSON knows one kind of number: 5.0 is an integer too, and so is one with 90 digits."""
    return None if wanted is None else min(int(wanted), _MAX_EVENTS)


def _moment(text: str, path: str) -> int:
    try:
        return parse_time(text)
    except ValueError:
        # The format is checked before; what is left are moments outside the years 1 to 9999 in UTC.
        if text.startswith("000"):
            raise InvalidArgument(f"{path} is not in the future") from None
        raise InvalidArgument(f"{path} is out of range", code="OUT_OF_RANGE") from None


def known_members(given: Mapping[str, Any], schema: type, *, without: str = "") -> dict[str, Any]:
    """What is kept of an object of a request: what the contract knows, but for the secret.

    A member that it does not know may be anything: a token under a misspelt name, or a lie about what the
    server decides. `schema` is one of the generated types: each has a key for each property of its schema.
    """
    return {name: given[name] for name in given if name in schema.__annotations__ and name != without}
