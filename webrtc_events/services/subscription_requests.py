"""Parses requests about subscriptions into values, and checks what the contract cannot say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self, TypedDict, cast

from webrtc_events.contract.webrtc_events_types import (
    AccessTokenCredential,
    Config,
    HTTPSettings,
    HTTPSubscriptionRequest,
    WebrtcSubscriptionDetail,
)
from webrtc_events.core.channel_urls import NO_CHANNELS, ChannelUrls
from webrtc_events.core.clock import parse_time
from webrtc_events.core.credentials import token_expiry_ms
from webrtc_events.core.errors import InvalidArgument, Unprocessable
from webrtc_events.core.model import Credential, EventType
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.headers import check_sink_headers, check_sink_token
from webrtc_events.sinks.sink_url import check_sink_url

__all__ = ["Renewal", "SubscriptionRequest", "SubscriptionUpdate", "no_such_channel", "requested_type"]

# Source: network-events.yaml, NetworkRegistrationId and mediaSessionId: no other could ever match.
_MAX_REGISTRATION_CHARACTERS = 256
_MAX_SESSION_CHARACTERS = 512
_CONTROL = re.compile(r"[\x00-\x1F\x7F]")
# Of which it is remembered that they may be, each of 2,048 characters at most.
_SINKS = 512
# The largest count that Lua keeps exactly.
_MAX_EVENTS = 2**53


class _ConfigUpdate(TypedDict, total=False):
    subscriptionExpireTime: str


class SubscriptionUpdate(TypedDict, total=False):
    """One of the two at least. Source: webrtc-events-next.yaml, SubscriptionUpdateRequest."""

    sinkCredential: AccessTokenCredential
    config: _ConfigUpdate


@dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """What a client asks for. Times in ms since the epoch.

    `sink` is the address to POST to, which may be written otherwise than in the request. `shown` is the
    request as it is stored and shown again: without its secret, and without members that the contract
    does not know. `channel`: the notification channel that `sink` is the URL of, if it is one.
    """

    type: EventType
    registration: str
    session: str | None
    device: str | None = field(repr=False)
    sink: str
    headers: Mapping[str, str] = field(repr=False)
    credential: Credential | None
    expires_at_ms: int | None
    max_events: int | None
    initial_event: bool
    shown: dict[str, Any] = field(repr=False)
    channel: str | None = None

    @classmethod
    def parse(
        cls, request: HTTPSubscriptionRequest, policy: AddressPolicy, channels: ChannelUrls = NO_CHANNELS
    ) -> Self:
        """
        Raises:
            InvalidArgument: what the contract cannot say: see the checks below.
            Unprocessable: more than one event type.
        """
        channel = _channel(request, channels)
        event_type = requested_type(request)
        config = request["config"]
        detail = config["subscriptionDetail"]
        return cls(
            type=event_type,
            registration=_registration(detail),
            session=_session(event_type, detail),
            device=detail.get("deviceId"),
            headers=_checked_headers(request),
            credential=_credential(request.get("sinkCredential")),
            sink=_web_sink(request, policy, channels) if channel is None else request["sink"],
            channel=channel,
            shown=_shown(request),
            expires_at_ms=_expire_time(config.get("subscriptionExpireTime")),
            max_events=_max_events(request),
            initial_event=config.get("initialEvent", False),
        )


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a client changes: None stays as it is. `expire_time` is `expires_at_ms` as the client wrote it."""

    expire_time: str | None
    expires_at_ms: int | None
    credential: Credential | None

    @classmethod
    def parse(cls, update: SubscriptionUpdate) -> Self:
        """
        Raises:
            InvalidArgument: a time out of range, or a token that no header can hold.
        """
        expire_time = update.get("config", {}).get("subscriptionExpireTime")
        return cls(expire_time, _expire_time(expire_time), _credential(update.get("sinkCredential")))


def requested_type(request: HTTPSubscriptionRequest) -> EventType:
    """The one event type of a request.

    Raises:
        Unprocessable: there is more than one.
    """
    types = request["types"]
    if len(types) > 1:
        raise Unprocessable(
            "$.types: one event type a subscription.", code="MULTIEVENT_SUBSCRIPTION_NOT_SUPPORTED"
        )
    return EventType(types[0])


def _registration(detail: WebrtcSubscriptionDetail) -> str:
    registration = detail["registrationId"]
    if not 1 <= len(registration) <= _MAX_REGISTRATION_CHARACTERS:
        raise InvalidArgument(
            f"$.config.subscriptionDetail.registrationId: 1 to {_MAX_REGISTRATION_CHARACTERS} characters"
        )
    _check_characters("registrationId", registration)
    return registration


def _check_characters(name: str, value: str) -> None:
    if _CONTROL.search(value):
        raise InvalidArgument(
            f"$.config.subscriptionDetail.{name}: holds a control character, such as a line end; leave it out"
        )


def _session(event_type: EventType, detail: WebrtcSubscriptionDetail) -> str | None:
    """The session id under either of its names: the schema says `sessionId`, the example `mediaSessionId`."""
    if event_type is not EventType.SESSION_STATUS:
        return None
    names = ("sessionId", "mediaSessionId")
    given = [value for name, value in detail.items() if name in names]
    if not given or not all(isinstance(name, str) and name for name in given):
        raise InvalidArgument("$.config.subscriptionDetail.sessionId: session-status needs a session id")
    if len(str(given[0])) > _MAX_SESSION_CHARACTERS:
        raise InvalidArgument(
            f"$.config.subscriptionDetail.sessionId: at most {_MAX_SESSION_CHARACTERS} characters"
        )
    _check_characters("sessionId", str(given[0]))
    if given[0] != given[-1]:
        raise InvalidArgument("$.config.subscriptionDetail: sessionId and mediaSessionId differ")
    return cast("str", given[0])


def _checked_headers(request: HTTPSubscriptionRequest) -> dict[str, str]:
    headers = request.get("protocolSettings", {}).get("headers", {})
    try:
        check_sink_headers(headers)
    except ValueError as error:
        raise InvalidArgument(f"$.protocolSettings.headers: {error}") from None
    return headers


def _channel(request: HTTPSubscriptionRequest, channels: ChannelUrls) -> str | None:
    """The channel that is to be the sink; None: a web server is."""
    if not channels.covers(request["sink"]):
        return None
    channel = channels.id_of(request["sink"])
    if channel is None:
        raise no_such_channel()
    if "sinkCredential" in request:
        raise InvalidArgument("$.sinkCredential: a channel takes none", code="INVALID_CREDENTIAL")
    return channel


def no_such_channel() -> InvalidArgument:
    """The sink looks like the URL of a channel. The answer is the same for another client's."""
    return InvalidArgument("$.sink: there is no such channel of this client", code="INVALID_SINK")


def _web_sink(request: HTTPSubscriptionRequest, policy: AddressPolicy, channels: ChannelUrls) -> str:
    """The address of a web server."""
    try:
        sink = _sink_url(request["sink"], policy)
    except ValueError as error:
        raise InvalidArgument(f"$.sink: {error}", code="INVALID_SINK") from None
    # Workers know a channel by its URL: no other spelling of it gets past the look at whose channel it is.
    if channels.covers(sink):
        raise no_such_channel()
    return sink


@lru_cache(_SINKS)
def _sink_url(url: str, policy: AddressPolicy) -> str:
    """A client has many subscriptions to the same sink, and what is said of a URL does not change."""
    return check_sink_url(url, policy)


def _credential(given: AccessTokenCredential | None) -> Credential | None:
    if given is None:
        return None
    try:
        check_sink_token(given["accessToken"])
    except ValueError as error:
        raise InvalidArgument(f"$.sinkCredential.accessToken: {error}") from None
    stated_ms = _moment(given["accessTokenExpiresUtc"], "$.sinkCredential.accessTokenExpiresUtc")
    claimed_ms = token_expiry_ms(given["accessToken"])
    return Credential(given["accessToken"], stated_ms if claimed_ms is None else min(stated_ms, claimed_ms))


def _expire_time(text: str | None) -> int | None:
    return None if text is None else _moment(text, "$.config.subscriptionExpireTime")


def _max_events(request: HTTPSubscriptionRequest) -> int | None:
    """JSON knows one kind of number: 5.0 is an integer too, and so is one with 90 digits."""
    wanted = request["config"].get("subscriptionMaxEvents")
    return None if wanted is None else min(int(wanted), _MAX_EVENTS)


def _moment(text: str, path: str) -> int:
    try:
        return parse_time(text)
    except ValueError:
        # The format is checked before; what is left are moments outside the years 1 to 9999 in UTC.
        if text.startswith("000"):
            raise InvalidArgument(f"{path} is not in the future") from None
        raise InvalidArgument(f"{path} is out of range", code="OUT_OF_RANGE") from None


def _shown(request: HTTPSubscriptionRequest) -> dict[str, Any]:
    """What is stored and shown again: what the contract knows, but for the secret.

    A member that it does not know may be anything: a token under a misspelt name, or a lie
    about what the server decides.
    """
    kept = _known(request, HTTPSubscriptionRequest, without="sinkCredential")
    kept["config"] = _known(request["config"], Config)
    detail = request["config"]["subscriptionDetail"]
    kept["config"]["subscriptionDetail"] = _known(detail, WebrtcSubscriptionDetail)
    if "mediaSessionId" in detail:
        kept["config"]["subscriptionDetail"]["mediaSessionId"] = cast("Any", detail)["mediaSessionId"]
    if "protocolSettings" in request:
        kept["protocolSettings"] = _known(request["protocolSettings"], HTTPSettings)
    return kept


def _known(given: Mapping[str, Any], schema: type, *, without: str = "") -> dict[str, Any]:
    """Source: contract/webrtc_events_types.py, whose types have a key for each property of their schema."""
    return {name: given[name] for name in given if name in schema.__annotations__ and name != without}
