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


class SubscriptionUpdateConfig(TypedDict):
    """
    The part of `config` that can change.
    """

    subscriptionExpireTime: NotRequired[str]


Protocol: TypeAlias = Literal["HTTP"]


class SinkCredential(TypedDict):
    """
    What the service proves itself with at the sink; `credentialType` says which schema the rest follows.
    """

    credentialType: Literal["ACCESSTOKEN", "PRIVATE_KEY_JWT"]


class AccessTokenCredential(SinkCredential):
    """
    A bearer token for the sink. The service keeps it secret and never returns it.
    """

    accessToken: str
    accessTokenExpiresUtc: str
    accessTokenType: Literal["bearer"]


class PrivateKeyJWTCredential(SinkCredential):
    """
    Where the service gets access tokens for the sink, by the client credentials grant. It proves itself
    there with a JWT that it signs (`private_key_jwt` of OpenID Connect). Where the operator has set up no
    keys for it, the request is answered 422 `PRIVATE_KEY_JWT_NOT_CONFIGURED`.

    """

    clientId: str
    tokenUri: str
    jwksUri: NotRequired[str]


class ShownSinkCredential(TypedDict):
    """
    What is shown of a sink credential of the kind PRIVATE_KEY_JWT; of an access token nothing is.
    """

    credentialType: Literal["PRIVATE_KEY_JWT"]
    jwksUri: str


class WebrtcSubscriptionDetail(TypedDict):
    """
    The device whose events are wanted.
    """

    deviceId: str


class ShownSubscriptionDetail(TypedDict):
    """
    The device whose events are wanted; empty where a device may not be shown.
    """

    deviceId: NotRequired[str]


SubscriptionEventType: TypeAlias = Literal[
    "org.camaraproject.webrtc-events-subscriptions.v0.session-status",
    "org.camaraproject.webrtc-events-subscriptions.v0.session-invitation",
    "org.camaraproject.webrtc-events-subscriptions.v0.registration-ends",
]


SubscriptionId: TypeAlias = str


RegistrationId: TypeAlias = str


Source: TypeAlias = str


DateTime: TypeAlias = str


class WrtcSdpDescriptor(TypedDict):
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


class Confidence(TypedDict):
    """
    How certain it is that the party is in the area.
    """

    pdf: NotRequired[Literal["normal", "uniform"]]
    value: NotRequired[float]


class CircleCoordinates(TypedDict):
    """
    A circle on the ground.
    """

    latitude: float
    longitude: float
    radius: float


class EllipsoidCoordinates(TypedDict):
    """
    An ellipsoid in space.
    """

    latitude: float
    longitude: float
    zAxis: float
    semiMajorAxis: float
    semiMinorAxis: float
    verticalAxis: float
    orientation: float


class SubscriptionUpdateRequest(TypedDict):
    """
    What to renew of a subscription; one of the two at least.
    """

    sinkCredential: NotRequired[AccessTokenCredential | PrivateKeyJWTCredential]
    config: NotRequired[SubscriptionUpdateConfig]


class Config(TypedDict):
    """
    What the subscription is about, and when it ends. It holds for all types asked for.
    """

    subscriptionDetail: WebrtcSubscriptionDetail
    subscriptionExpireTime: NotRequired[str]
    subscriptionMaxEvents: NotRequired[int]
    initialEvent: NotRequired[bool]


class ShownConfig(TypedDict):
    """
    `config` as it was asked for. Answers leave `deviceId` out when the access token stands for an end user
    (three-legged), and repeat it otherwise.

    """

    subscriptionDetail: ShownSubscriptionDetail
    subscriptionExpireTime: NotRequired[str]
    subscriptionMaxEvents: NotRequired[int]
    initialEvent: NotRequired[bool]


class Subscription(TypedDict):
    """
    A subscription as the service keeps it; `protocol` says which schema the rest follows.
    """

    protocol: Protocol
    sink: str
    sinkCredential: NotRequired[ShownSinkCredential]
    types: list[SubscriptionEventType]
    config: ShownConfig
    id: SubscriptionId
    startsAt: NotRequired[str]
    expiresAt: NotRequired[str]
    status: NotRequired[Literal["ACTIVATION_REQUESTED", "ACTIVE", "EXPIRED", "INACTIVE", "DELETED"]]


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


class HTTPSubscriptionResponse(Subscription):
    """
    A subscription with notifications over HTTP.
    """

    protocolSettings: NotRequired[HTTPSettings]


class LocationDetails(TypedDict):
    """
    Where a party is, and how that is known; follows PIDF-LO (RFC 4119, RFC 5491, 3GPP TS 24.229).
    """

    shape: NotRequired[Literal["Circle", "Ellipsoid"]]
    coordinates: NotRequired[CircleCoordinates | EllipsoidCoordinates]
    method: NotRequired[Literal["GPS", "DBH", "DBH_HELO", "Other"]]
    confidence: NotRequired[Confidence]
    timestamp: NotRequired[str]


class SubscriptionRequest(TypedDict):
    """
    What a client asks for; `protocol` says which schema the rest follows.
    """

    protocol: Protocol
    sink: str
    sinkCredential: NotRequired[AccessTokenCredential | PrivateKeyJWTCredential]
    types: list[SubscriptionEventType]
    config: Config


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
    offer: NotRequired[WrtcSdpDescriptor]
    answer: NotRequired[WrtcSdpDescriptor]
    mediaSessionId: str
    reason: NotRequired[str]
    sequenceNumber: NotRequired[int]
    locationDetails: NotRequired[LocationDetails]


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


class EventSubscriptionEnded(CloudEvent):
    """
    The subscription has ended; nothing follows.
    """

    data: NotRequired[SubscriptionEnded]
    type: Literal["org.camaraproject.webrtc-events-subscriptions.v0.subscription-ended"]


class EventRegistrationEnds(CloudEvent):
    """
    A registration of the device has ended; no more calls arrive for it. The subscription goes on.
    """

    data: RegistrationEnds
    type: Literal["org.camaraproject.webrtc-events-subscriptions.v0.registration-ends"]


class HTTPSubscriptionRequest(SubscriptionRequest):
    """
    A request for notifications over HTTP.
    """

    protocolSettings: NotRequired[HTTPSettings]


class EventSessionInvitation(CloudEvent):
    """
    A call comes in for a registration of the device.
    """

    data: MediaSessionInvite
    type: Literal["org.camaraproject.webrtc-events-subscriptions.v0.session-invitation"]


class EventSessionStatus(CloudEvent):
    """
    A media session changed: its status, or the SDP of one side. `mediaSessionId` and `status` are in `data`.

    """

    data: MediaSessionStatusUpdate
    type: Literal["org.camaraproject.webrtc-events-subscriptions.v0.session-status"]
