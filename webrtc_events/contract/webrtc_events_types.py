# Generated from the contract by `make types`; do not edit.
# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


XCorrelator: TypeAlias = str


class ErrorInfo(TypedDict):
    """
    The one shape of every error.
    """

    status: int
    code: str
    message: str


Protocol: TypeAlias = Literal["HTTP"]


class SinkCredential(TypedDict):
    """
    What the service proves itself with at the sink; `credentialType` says which schema the rest follows.
    """

    credentialType: Literal["ACCESSTOKEN"]


class AccessTokenCredential(SinkCredential):
    """
    A bearer token for the sink. The service keeps it secret and never returns it.
    """

    accessToken: str
    accessTokenExpiresUtc: str
    accessTokenType: Literal["bearer"]


SubscriptionEventType: TypeAlias = Literal[
    "org.camaraproject.webrtc-events.v0.session-status",
    "org.camaraproject.webrtc-events.v0.session-invitation",
    "org.camaraproject.webrtc-events.v0.registration-ends",
]


SubscriptionId: TypeAlias = str


RegistrationId: TypeAlias = str


Source: TypeAlias = str


DateTime: TypeAlias = str


class WrtcSDPDescriptor(TypedDict):
    """
    One side's description of its media.
    """

    sdp: NotRequired[str]


TerminationReason: TypeAlias = Literal[
    "MAX_EVENTS_REACHED",
    "NETWORK_TERMINATED",
    "SUBSCRIPTION_EXPIRED",
    "ACCESS_TOKEN_EXPIRED",
    "SUBSCRIPTION_DELETED",
]


RegistrationTerminationReason: TypeAlias = Literal["NETWORK_TERMINATED", "REGISTRATION_EXPIRED"]


class HTTPSettings(TypedDict):
    """
    How notifications are posted.
    """

    headers: NotRequired[dict[str, str]]
    method: NotRequired[Literal["POST"]]


class WebrtcSubscriptionDetail(TypedDict):
    """
    The registration, and for session-status the media session, whose events are wanted.
    """

    deviceId: NotRequired[str]
    sessionId: NotRequired[str]
    registrationId: RegistrationId


class SubscriptionAsync(TypedDict):
    """
    The answer to a request that is carried out later.
    """

    id: NotRequired[SubscriptionId]


class CloudEvent(TypedDict):
    """
    A notification, a CloudEvent 1.0 in JSON; `type` says which schema it follows.
    """

    id: str
    source: Source
    type: str
    specversion: Literal["1.0"]
    datacontenttype: NotRequired[Literal["application/json"]]
    data: NotRequired[dict[str, Any]]
    time: DateTime


class MediaSession(TypedDict):
    """
    A call between two parties, as far as the event tells of it.
    """

    subscriptionId: NotRequired[SubscriptionId]
    originatorAddress: NotRequired[str]
    originatorName: NotRequired[str]
    receiverAddress: NotRequired[str]
    receiverName: NotRequired[str]
    status: NotRequired[
        Literal[
            "Initial",
            "InProgress",
            "Ringing",
            "Proceeding",
            "Connected",
            "Terminated",
            "Hold",
            "Resume",
            "SessionCancelled",
            "Declined",
            "Failed",
            "Waiting",
            "NoAnswer",
            "NotReachable",
            "Busy",
        ]
    ]
    offer: NotRequired[WrtcSDPDescriptor]
    answer: NotRequired[WrtcSDPDescriptor]
    clientCorrelator: NotRequired[str]
    mediaSessionId: str
    callObjectRef: NotRequired[str]
    serverCorrelator: NotRequired[str]
    offerRequired: NotRequired[bool]
    reason: NotRequired[str]
    sequenceNumber: NotRequired[int]


class MediaSessionStatusUpdate(MediaSession):
    """
    What session-status tells; the session and its status at least.
    """

    status: Literal[
        "Initial",
        "InProgress",
        "Ringing",
        "Proceeding",
        "Connected",
        "Terminated",
        "Hold",
        "Resume",
        "SessionCancelled",
        "Declined",
        "Failed",
        "Waiting",
        "NoAnswer",
        "NotReachable",
        "Busy",
    ]


class MediaSessionInvite(MediaSession):
    """
    What session-invitation tells; both parties, the session and its status at least.
    """

    originatorAddress: str
    receiverAddress: str
    status: Literal[
        "Initial",
        "InProgress",
        "Ringing",
        "Proceeding",
        "Connected",
        "Terminated",
        "Hold",
        "Resume",
        "SessionCancelled",
        "Declined",
        "Failed",
        "Waiting",
        "NoAnswer",
        "NotReachable",
        "Busy",
    ]


class SubscriptionEnded(TypedDict):
    """
    Which subscription ended, and why.
    """

    subscriptionId: SubscriptionId
    terminationReason: TerminationReason
    terminationDescription: NotRequired[str]


class RegistrationEnds(TypedDict):
    """
    Which registration ended, and why.
    """

    registrationId: RegistrationId
    terminationDescription: NotRequired[str]
    terminationReason: RegistrationTerminationReason


class Config(TypedDict):
    """
    What the subscription is about, and when it ends.
    """

    subscriptionDetail: WebrtcSubscriptionDetail
    subscriptionExpireTime: NotRequired[str]
    subscriptionMaxEvents: NotRequired[int]
    initialEvent: NotRequired[bool]


class Subscription(TypedDict):
    """
    A subscription as the service keeps it; `protocol` says which schema the rest follows.
    """

    protocol: Protocol
    sink: str
    types: list[SubscriptionEventType]
    config: Config
    id: SubscriptionId
    startsAt: NotRequired[str]
    expiresAt: NotRequired[str]
    status: NotRequired[Literal["ACTIVATION_REQUESTED", "ACTIVE", "EXPIRED", "INACTIVE", "DELETED"]]


class EventSessionInvitation(CloudEvent):
    """
    A call comes in for the registration.
    """

    data: MediaSessionInvite
    type: Literal["org.camaraproject.webrtc-events.v0.session-invitation"]


class EventSessionStatus(CloudEvent):
    """
    A media session changed: its status, or the SDP of one side. `mediaSessionId` and `status` stand on the event
    itself, beside `data`, with the values that they have there.

    """

    data: NotRequired[MediaSessionStatusUpdate]
    type: Literal["org.camaraproject.webrtc-events.v0.session-status"]
    mediaSessionId: Any
    status: Any


class EventSubscriptionEnded(CloudEvent):
    """
    The subscription has ended; nothing follows.
    """

    data: NotRequired[SubscriptionEnded]
    type: Literal["org.camaraproject.webrtc-events.v0.subscription-ended"]


class EventRegistrationEnds(CloudEvent):
    """
    The registration has ended; no more calls arrive for it.
    """

    data: RegistrationEnds
    type: Literal["org.camaraproject.webrtc-events.v0.registration-ends"]


class HTTPSubscriptionResponse(Subscription):
    """
    A subscription with notifications over HTTP.
    """

    protocolSettings: NotRequired[HTTPSettings]


class SubscriptionRequest(TypedDict):
    """
    What a client asks for; `protocol` says which schema the rest follows.
    """

    protocol: Protocol
    sink: str
    sinkCredential: NotRequired[AccessTokenCredential]
    types: list[SubscriptionEventType]
    config: Config


class HTTPSubscriptionRequest(SubscriptionRequest):
    """
    A request for notifications over HTTP.
    """

    protocolSettings: NotRequired[HTTPSettings]
