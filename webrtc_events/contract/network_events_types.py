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


NetworkEventBatch: TypeAlias = list[Any]
"""
Several events. The entries are left open here on purpose: each is validated against `NetworkEvent` by itself,
and one that is not valid is answered `rejected` without stopping the others.

"""


NetworkAddress: TypeAlias = str


NetworkSessionState: TypeAlias = Literal[
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


class NetworkSdp(TypedDict):
    """
    One side's description of its media.
    """

    sdp: NotRequired[str]


NetworkRegistrationId: TypeAlias = str


class EventResult(TypedDict):
    """
    What became of one event.
    """

    id: NotRequired[str]
    status: Literal["accepted", "duplicate", "rejected"]
    subscriptions: int
    message: NotRequired[str]


class Registration(TypedDict):
    """
    To whom a registration belongs, and until when it lasts.
    """

    deviceId: str
    owner: str
    subject: NotRequired[str]
    expiresAt: NotRequired[str]


class RegistrationResource(Registration):
    """
    A registration as the service knows it.
    """

    registrationId: NetworkRegistrationId


class NetworkEvent(TypedDict):
    """
    Something that happened on the network, a CloudEvent 1.0 in JSON; `type` says which schema it follows.

    """

    id: str
    source: str
    specversion: Literal["1.0"]
    type: Literal[
        "org.camaraproject.webrtc-events.v0.session-invitation",
        "org.camaraproject.webrtc-events.v0.session-status",
        "org.camaraproject.webrtc-events.v0.registration-ends",
    ]
    time: str
    datacontenttype: NotRequired[Literal["application/json"]]
    subject: NotRequired[NetworkRegistrationId]
    data: dict[str, Any]


class NetworkMediaSession(TypedDict):
    """
    A call between two parties, as far as the event tells of it. `subscriptionId` must be absent, as it is the
    service's to give.

    """

    originatorAddress: NotRequired[NetworkAddress]
    originatorName: NotRequired[str]
    receiverAddress: NotRequired[NetworkAddress]
    receiverName: NotRequired[str]
    status: NotRequired[NetworkSessionState]
    offer: NotRequired[NetworkSdp]
    answer: NotRequired[NetworkSdp]
    clientCorrelator: NotRequired[str]
    mediaSessionId: str
    callObjectRef: NotRequired[str]
    serverCorrelator: NotRequired[str]
    offerRequired: NotRequired[bool]
    reason: NotRequired[str]
    sequenceNumber: NotRequired[int]


class NetworkInvitationData(NetworkMediaSession):
    """
    What session-invitation tells; the session, both parties and the status at least.
    """

    originatorAddress: NetworkAddress
    receiverAddress: NetworkAddress
    status: NetworkSessionState


class NetworkStatusData(NetworkMediaSession):
    """
    What session-status tells; the session and its status at least.
    """

    status: NetworkSessionState


class NetworkRegistrationEndsData(TypedDict):
    """
    Which registration ended, and why. `subscriptionId` must be absent, as it is the service's to give.

    """

    registrationId: NetworkRegistrationId
    terminationReason: Literal["NETWORK_TERMINATED", "REGISTRATION_EXPIRED"]
    terminationDescription: NotRequired[str]


class PublishResult(TypedDict):
    """
    What became of the events.
    """

    results: list[EventResult]


class NetworkSessionInvitation(NetworkEvent):
    """
    A call comes in for the registration that `subject` names.
    """

    type: Literal["org.camaraproject.webrtc-events.v0.session-invitation"]
    data: NetworkInvitationData
    subject: NetworkRegistrationId


class NetworkSessionStatus(NetworkEvent):
    """
    A media session changed. It goes to the subscriptions to `data.mediaSessionId`. A gateway that speaks for one leg
    of the session names its registration as `subject`: then only the subscriptions of that registration get it.

    """

    type: Literal["org.camaraproject.webrtc-events.v0.session-status"]
    data: NetworkStatusData


class NetworkRegistrationEnds(NetworkEvent):
    """
    A registration has ended. `subject` may be left out; if it is given, it equals `data.registrationId`, or the
    event is not valid.

    """

    type: Literal["org.camaraproject.webrtc-events.v0.registration-ends"]
    data: NetworkRegistrationEndsData


NetworkEventOrBatch: TypeAlias = (
    NetworkSessionInvitation | NetworkSessionStatus | NetworkRegistrationEnds | NetworkEventBatch
)
