"""What becomes of a request before and after its handler: the rules that both receivers have."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from webrtc_events_client.clock import Clock, SystemClock
from webrtc_events_client.consumer.errors import BeingHandled, MethodNotAllowed, TooLarge, WrongType
from webrtc_events_client.consumer.handshake import answer_question, is_question
from webrtc_events_client.consumer.memory import Claim, ClaimState, Event, event_of
from webrtc_events_client.consumer.messages import Request, Response
from webrtc_events_client.consumer.signatures import Signatures
from webrtc_events_client.consumer.tokens import BearerTokens
from webrtc_events_client.types import Notification

__all__ = ["ACCEPTED", "Delivery", "ReceiverSettings", "Reception"]

ACCEPTED = Response(204)
_OPTIONS = Response(204, (("Allow", "POST, OPTIONS"),))
_MEDIA_TYPE = "application/cloudevents+json"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a handler gets.

    is_stale: a later event of the same session and subscription was handled before. It tells of a state that
        is over, as a dead letter does that was sent again.
    correlator: the attempt's `x-correlator`, as the service logs it.
    headers: of the request, by lower-case names; without `authorization`.
    """

    notification: Notification
    is_stale: bool
    correlator: str
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverSettings:
    """
    Args:
        origin: scheme, host and port of the sink, as the subscriptions have it; needed to verify signatures.
        tokens: access tokens, one of which each request must carry; None does not look at tokens.
        agree_to: the names of services that may send, `*` for any, where they ask first.
        allowed_rate: notifications a minute that a service may send; None is any.
        drop_stale: whether handlers never see what is stale. It is answered 204.
        across_subscriptions: whether an event that several subscriptions bring is handled once, also one of
            0.2 and one of 0.3: for a change of versions. What happened, and when, tells which events are one.
        max_body: in bytes.
        clock_skew_s: how much this clock and the service's may differ.
        allow_unverified: to receive without signatures and without tokens, from whoever finds the URL.
    """

    origin: str | None = None
    tokens: BearerTokens | None = None
    agree_to: Collection[str] = ()
    allowed_rate: int | None = None
    drop_stale: bool = False
    across_subscriptions: bool = False
    max_body: int = 1024 * 1024
    clock_skew_s: float = 30
    allow_unverified: bool = False
    clock: Clock = field(default_factory=SystemClock)


class Reception:
    """Pure: what asks for keys and remembers events is between its steps.

    Raises:
        ValueError: the settings contradict each other.
    """

    def __init__(self, settings: ReceiverSettings, *, has_keys: bool) -> None:
        if isinstance(settings.agree_to, str):
            raise ValueError("agree_to is a collection of names")  # noqa: TRY004 (all are ValueErrors here)
        if settings.allowed_rate is not None and settings.allowed_rate < 1:
            raise ValueError("allowed_rate is 1 or more")
        if has_keys and settings.origin is None:
            raise ValueError("to verify signatures, name the origin of the sink")
        if not (has_keys or settings.tokens or settings.allow_unverified):
            raise ValueError("give keys or tokens, or set allow_unverified")
        self._settings = settings
        self.signatures = (
            Signatures(settings.origin, clock_skew_s=settings.clock_skew_s, clock=settings.clock)
            if has_keys and settings.origin is not None
            else None
        )

    def now(self) -> float:
        return self._settings.clock.now()

    def check(self, request: Request) -> Response | None:
        """The answer to an OPTIONS request, which services do not sign; None to a notification, so far.

        Raises:
            ReceiveError: it is refused.
        """
        settings = self._settings
        if request.method == "OPTIONS":
            if not is_question(request):
                return _OPTIONS
        elif request.method != "POST":
            raise MethodNotAllowed("notifications are POSTed")
        elif len(request.body) > settings.max_body:
            raise TooLarge(f"the body has more than {settings.max_body} bytes")
        else:
            _check_type(request.headers)
        if settings.tokens is not None:
            settings.tokens.check(request)
        if request.method == "OPTIONS":
            return answer_question(request, settings.agree_to, settings.allowed_rate)
        return None

    def event_of(self, notification: Notification) -> Event:
        """As the memory knows it."""
        return event_of(notification, across_subscriptions=self._settings.across_subscriptions)

    def is_over(self, claim: Claim) -> bool:
        """Whether nothing is left to do but to answer.

        Raises:
            BeingHandled: see there.
        """
        if claim.state is ClaimState.RUNNING:
            raise BeingHandled("the event is being handled")
        return claim.state is ClaimState.DONE

    def is_dropped(self, claim: Claim) -> bool:
        return claim.is_stale and self._settings.drop_stale


def delivery_of(request: Request, notification: Notification, claim: Claim) -> Delivery:
    headers = {name: value for name, value in request.headers.items() if name != "authorization"}
    return Delivery(notification, claim.is_stale, headers.get("x-correlator", ""), headers)


def _check_type(headers: Mapping[str, str]) -> None:
    """
    Raises:
        WrongType: a batch, the binary form, another charset, or compressed.
    """
    media_type, *parameters = (part.strip().lower() for part in headers.get("content-type", "").split(";"))
    if media_type != _MEDIA_TYPE or any(
        parameter and parameter.replace('"', "") != "charset=utf-8" for parameter in parameters
    ):
        raise WrongType(f"the body is no {_MEDIA_TYPE} in UTF-8")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise WrongType("the body is compressed")
