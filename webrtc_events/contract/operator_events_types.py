# Generated from the contract by `make types`; do not edit.
# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


XCorrelator: TypeAlias = str


class OperatorEvent(TypedDict):
    """
    An event for operators, a CloudEvent 1.0 in JSON; `type` says which schema it follows.
    """

    id: str
    source: str
    specversion: Literal["1.0"]
    type: str
    subject: str
    time: str
    datacontenttype: Literal["application/json"]
    severitytext: Literal["INFO", "WARN", "ERROR"]
    severitynumber: int
    data: dict[str, Any]


Host: TypeAlias = str


Since: TypeAlias = str


EndsAt: TypeAlias = str


FailureReason: TypeAlias = str


RecoveryReason: TypeAlias = Literal["answered", "not_asked"]


Subscriptions: TypeAlias = int


SubscriptionId: TypeAlias = str


SubscriptionIds: TypeAlias = list[SubscriptionId]
"""
Some of them, at most 20.
"""


AlertLimit: TypeAlias = int


DeadLetterCount: TypeAlias = int


DeadLetterThreshold: TypeAlias = int


StoreNode: TypeAlias = str


UsedBytes: TypeAlias = int


WatermarkBytes: TypeAlias = int


TestMessage: TypeAlias = str


class Reporter(TypedDict):
    """
    The process that noticed it; others may have too.
    """

    machine: str
    pid: int
    version: str


class SinkCircuitOpened(TypedDict):
    """
    The data of `sink-circuit-opened`.
    """

    host: Host
    since: Since
    reason: FailureReason
    reportedBy: Reporter


class EventSinkCircuitOpened(OperatorEvent):
    """
    A host of sinks does not answer: nothing is sent to it but a probe now and then.
    """

    data: SinkCircuitOpened
    type: Literal["org.webrtc-events.operator.v0.sink-circuit-opened"]


class SinkFailing(TypedDict):
    """
    The data of `sink-failing`.
    """

    host: Host
    since: Since
    endsAt: EndsAt
    subscriptions: Subscriptions
    subscriptionIds: SubscriptionIds
    reportedBy: Reporter


class EventSinkFailing(OperatorEvent):
    """
    Subscriptions at a host have failed continuously for half of the time after which they end.
    """

    data: SinkFailing
    type: Literal["org.webrtc-events.operator.v0.sink-failing"]


class SinkRecovered(TypedDict):
    """
    The data of `sink-recovered`.
    """

    host: Host
    since: Since
    reason: RecoveryReason
    reportedBy: Reporter


class EventSinkRecovered(OperatorEvent):
    """
    What was said of a host is over: it answers, or nothing is to be sent there.
    """

    data: SinkRecovered
    type: Literal["org.webrtc-events.operator.v0.sink-recovered"]


class SubscriptionEndedForFailure(TypedDict):
    """
    The data of `subscription-ended-for-failure`.
    """

    host: NotRequired[Host]
    since: Since
    subscriptions: Subscriptions
    subscriptionIds: SubscriptionIds
    reportedBy: Reporter


class EventSubscriptionEndedForFailure(OperatorEvent):
    """
    Subscriptions were ended because their sink failed for too long.
    """

    data: SubscriptionEndedForFailure
    type: Literal["org.webrtc-events.operator.v0.subscription-ended-for-failure"]


class SinkAlertsLimited(TypedDict):
    """
    The data of `sink-alerts-limited`.
    """

    since: Since
    limit: AlertLimit
    reportedBy: Reporter


class EventSinkAlertsLimited(OperatorEvent):
    """
    More hosts change than are reported one by one: others are not reported until this is over.
    """

    data: SinkAlertsLimited
    type: Literal["org.webrtc-events.operator.v0.sink-alerts-limited"]


class SinkAlertsResumed(TypedDict):
    """
    The data of `sink-alerts-resumed`.
    """

    since: Since
    limit: AlertLimit
    reportedBy: Reporter


class EventSinkAlertsResumed(OperatorEvent):
    """
    Each host that changes is reported again.
    """

    data: SinkAlertsResumed
    type: Literal["org.webrtc-events.operator.v0.sink-alerts-resumed"]


class DeadLettersHigh(TypedDict):
    """
    The data of `dead-letters-high`.
    """

    since: Since
    count: DeadLetterCount
    threshold: DeadLetterThreshold
    reportedBy: Reporter


class EventDeadLettersHigh(OperatorEvent):
    """
    More notifications were given up within a minute than the operator set.
    """

    data: DeadLettersHigh
    type: Literal["org.webrtc-events.operator.v0.dead-letters-high"]


class DeadLettersNormal(TypedDict):
    """
    The data of `dead-letters-normal`.
    """

    since: Since
    count: DeadLetterCount
    threshold: DeadLetterThreshold
    reportedBy: Reporter


class EventDeadLettersNormal(OperatorEvent):
    """
    For five minutes, no more were given up in any minute than the operator set.
    """

    data: DeadLettersNormal
    type: Literal["org.webrtc-events.operator.v0.dead-letters-normal"]


class StoreAboveWatermark(TypedDict):
    """
    The data of `store-above-watermark`.
    """

    since: Since
    node: StoreNode
    usedBytes: UsedBytes
    watermarkBytes: WatermarkBytes
    reportedBy: Reporter


class EventStoreAboveWatermark(OperatorEvent):
    """
    A node of the store is above its watermark: nothing new is accepted that would go there.
    """

    data: StoreAboveWatermark
    type: Literal["org.webrtc-events.operator.v0.store-above-watermark"]


class StoreBelowWatermark(TypedDict):
    """
    The data of `store-below-watermark`.
    """

    since: Since
    node: StoreNode
    usedBytes: UsedBytes
    watermarkBytes: WatermarkBytes
    reportedBy: Reporter


class EventStoreBelowWatermark(OperatorEvent):
    """
    Every node of the store is below its watermark again, by a twentieth at least.
    """

    data: StoreBelowWatermark
    type: Literal["org.webrtc-events.operator.v0.store-below-watermark"]


class Test(TypedDict):
    """
    The data of `test`.
    """

    message: TestMessage
    reportedBy: Reporter


class EventTest(OperatorEvent):
    """
    Somebody tries whether these events arrive.
    """

    data: Test
    type: Literal["org.webrtc-events.operator.v0.test"]
