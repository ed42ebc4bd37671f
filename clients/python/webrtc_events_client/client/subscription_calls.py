"""The operations on subscriptions: the request of each, and how its answer is read, for both contracts.

Source: webrtc-events.yaml, webrtc-events-subscriptions.yaml, paths.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import ClassVar, Generic, Self, TypeVar
from urllib.parse import quote

import msgspec

from webrtc_events_client.client.errors import ClientError, UnexpectedAnswer
from webrtc_events_client.client.flows import Attempts, Call, Context, Flow, perform
from webrtc_events_client.client.messages import Answer, Request, read_json
from webrtc_events_client.device_subscriptions import (
    DeviceConfig,
    DeviceSubscription,
    DeviceSubscriptionPage,
    DeviceSubscriptionRequest,
    DeviceSubscriptionUpdate,
    ShownDeviceConfig,
    ShownDeviceDetail,
)
from webrtc_events_client.subscriptions import (
    HttpSettings,
    Subscription,
    SubscriptionRequest,
    SubscriptionStatus,
)

__all__ = [
    "IDEMPOTENCY_HEADER",
    "MAX_PER_PAGE",
    "DeviceCalls",
    "SubscriptionCalls",
    "create_device_once",
    "create_once",
    "is_last",
    "read_all",
]

IDEMPOTENCY_HEADER = "idempotency-key"
"""Of a subscription's `protocolSettings.headers`: by it a create that is made again knows what the first one
has made.
"""
MAX_PER_PAGE = 100
"""Source: webrtc-events-subscriptions.yaml, perPage."""

# Source: webrtc-events.yaml, XCorrelator; an empty one would say nothing.
_CORRELATOR = re.compile(r"[a-zA-Z0-9\-_:;./<>{}]{1,256}")

_Kept = TypeVar("_Kept", Subscription, DeviceSubscription)
_Asked = TypeVar("_Asked", SubscriptionRequest, DeviceSubscriptionRequest)


class _Made(msgspec.Struct):
    id: str


class _Calls(Generic[_Kept]):
    """What both contracts have. `base_url` has no final slash."""

    path: ClassVar[str]
    kept: type[_Kept]

    def __init__(self, base_url: str, correlator: str | None = None) -> None:
        self._base_url = base_url
        self._url = f"{base_url}/{self.path}/subscriptions"
        self._headers = {"Accept": "application/json"}
        if correlator is not None:
            self._headers["x-correlator"] = correlator

    def correlated(self, correlator: str | None) -> Self:
        """The same, with that x-correlator on all requests; None: each call makes one up.

        Raises:
            ValueError: the contract does not allow it.
        """
        if correlator is None:
            return self
        if _CORRELATOR.fullmatch(correlator) is None:
            raise ValueError("an x-correlator has 1 to 256 letters, digits and -_:;./<>{}")
        return type(self)(self._base_url, correlator)

    def get(self, subscription_id: str) -> Call[_Kept]:
        return Call(self._request("GET", _segment(subscription_id)), repeatable=True, read=self._resource)

    def delete(self, subscription_id: str) -> Call[None]:
        request = self._request("DELETE", _segment(subscription_id))
        return Call(request, repeatable=True, read=lambda _answer, _correlator: None, gone=lambda: None)

    def _resource(self, answer: Answer, correlator: str) -> _Kept:
        return read_json(answer, self.kept, correlator)

    def _request(self, method: str, segment: str = "", body: bytes = b"") -> Request:
        headers = {**self._headers, "Content-Type": "application/json"} if body else self._headers
        return Request(method, self._url + segment, headers, body)


class SubscriptionCalls(_Calls[Subscription]):
    """Those of 0.2."""

    path = "webrtc-events/v0.2"
    kept = Subscription

    def create(self, request: SubscriptionRequest) -> Call[Subscription]:
        """Not repeatable: the same request twice makes two subscriptions."""

        def read(answer: Answer, correlator: str) -> Subscription:
            if answer.status != 202:
                return self._resource(answer, correlator)
            return Subscription(
                id=read_json(answer, _Made, correlator).id,
                sink=request.sink,
                types=request.types,
                config=request.config,
                protocol_settings=request.protocol_settings,
                status=SubscriptionStatus.ACTIVATION_REQUESTED,
            )

        return Call(self._request("POST", "", msgspec.json.encode(request)), repeatable=False, read=read)

    def each(self) -> Call[Iterator[Subscription]]:
        """As `list`, but a subscription is read when it is asked for, and may raise UnexpectedAnswer then."""

        def read(answer: Answer, correlator: str) -> Iterator[Subscription]:
            entries = read_json(answer, list[msgspec.Raw], correlator)
            return (
                read_json(Answer(answer.status, {}, bytes(entry)), Subscription, correlator)
                for entry in entries
            )

        return Call(self._request("GET"), repeatable=True, read=read)

    def list(self) -> Call[list[Subscription]]:
        def read(answer: Answer, correlator: str) -> list[Subscription]:
            return read_json(answer, list[Subscription], correlator)

        return Call(self._request("GET"), repeatable=True, read=read)


class DeviceCalls(_Calls[DeviceSubscription]):
    """Those of 0.3."""

    path = "webrtc-events-subscriptions/v0.3rc1"
    kept = DeviceSubscription

    def create(self, request: DeviceSubscriptionRequest) -> Call[DeviceSubscription]:
        """Not repeatable: the same request twice makes two subscriptions."""

        def read(answer: Answer, correlator: str) -> DeviceSubscription:
            if answer.status != 202:
                return self._resource(answer, correlator)
            return DeviceSubscription(
                id=read_json(answer, _Made, correlator).id,
                sink=request.sink,
                types=request.types,
                config=_shown(request.config),
                protocol_settings=request.protocol_settings,
                status=SubscriptionStatus.ACTIVATION_REQUESTED,
            )

        return Call(self._request("POST", "", msgspec.json.encode(request)), repeatable=False, read=read)

    def page(self, number: int, per_page: int) -> Call[DeviceSubscriptionPage]:
        """`number` counts from 1.

        Raises:
            ValueError: one of them is below 1, or `per_page` is above 100.
        """
        if number < 1 or not 1 <= per_page <= MAX_PER_PAGE:
            raise ValueError(f"pages count from 1, and have 1 to {MAX_PER_PAGE} subscriptions")

        def read(answer: Answer, correlator: str) -> DeviceSubscriptionPage:
            found = read_json(answer, tuple[DeviceSubscription, ...], correlator)
            return DeviceSubscriptionPage(found, _total(answer, correlator))

        request = self._request("GET", f"?page={number}&perPage={per_page}")
        return Call(request, repeatable=True, read=read)

    def update(self, subscription_id: str, update: DeviceSubscriptionUpdate) -> Call[DeviceSubscription]:
        request = self._request("PUT", _segment(subscription_id), msgspec.json.encode(update))
        return Call(request, repeatable=True, read=self._resource)


def create_once(
    calls: SubscriptionCalls, request: SubscriptionRequest, key: str, context: Context
) -> Flow[Subscription]:
    """Makes the subscription, unless there is one with this key that has not ended.

    The key stands in `protocolSettings.headers`, which the service shows again. The list is read before each
    attempt. Two callers at the same moment may both make one, and so may a create that the service begins
    after its caller gave it up.

    Raises:
        ValueError: the key is no value of a header.
        ClientError: as for create and list.
    """
    create = calls.create(_marked(request, key))

    def kept() -> Flow[list[Subscription]]:
        return perform(calls.list(), context)

    return (yield from _once(create, kept, key, context))


def create_device_once(
    calls: DeviceCalls, request: DeviceSubscriptionRequest, key: str, context: Context
) -> Flow[DeviceSubscription]:
    """See `create_once`; reads all pages of the list."""
    create = calls.create(_marked(request, key))

    def kept() -> Flow[list[DeviceSubscription]]:
        return read_all(calls, context)

    return (yield from _once(create, kept, key, context))


def read_all(calls: DeviceCalls, context: Context) -> Flow[list[DeviceSubscription]]:
    """The pages of the list, one after the other; each subscription once."""
    found: dict[str, DeviceSubscription] = {}
    seen = 0
    for number in itertools.count(1):
        page = yield from perform(calls.page(number, MAX_PER_PAGE), context)
        seen += len(page.subscriptions)
        found.update((subscription.id, subscription) for subscription in page.subscriptions)
        if is_last(page, seen):
            break
    return list(found.values())


def is_last(page: DeviceSubscriptionPage, seen: int) -> bool:
    """Whether nothing comes after a page. `seen`: how many subscriptions there were up to its end. A service
    that gives no total has no pages.
    """
    return page.total is None or seen >= page.total or not page.subscriptions


def _marked(request: _Asked, key: str) -> _Asked:
    """
    Raises:
        ValueError: the key is no value of a header.
    """
    if not key or not key.isascii() or not key.isprintable() or key != key.strip():
        raise ValueError("an idempotency key is visible ASCII")
    settings = request.protocol_settings or HttpSettings()
    headers = {**settings.headers, IDEMPOTENCY_HEADER: key}
    return msgspec.structs.replace(
        request, protocol_settings=msgspec.structs.replace(settings, headers=headers)
    )


def _once(
    create: Call[_Kept], kept: Callable[[], Flow[list[_Kept]]], key: str, context: Context
) -> Flow[_Kept]:
    # Safe to repeat, as the list is read in between.
    attempts = Attempts(
        context, create.request, create.request.headers.get("x-correlator", ""), repeatable=True
    )
    while True:
        for found in (yield from kept()):
            headers = found.protocol_settings.headers if found.protocol_settings else {}
            if headers.get(IDEMPOTENCY_HEADER) == key and not found.ended:
                return found
        try:
            return (yield from perform(create, context))
        except ClientError as error:
            if not error.uncertain:
                # What is certain was tried again already.
                raise
            yield from attempts.next(error)


def _shown(config: DeviceConfig) -> ShownDeviceConfig:
    return ShownDeviceConfig(
        subscription_detail=ShownDeviceDetail(device_id=config.subscription_detail.device_id),
        subscription_expire_time=config.subscription_expire_time,
        subscription_max_events=config.subscription_max_events,
        initial_event=config.initial_event,
    )


def _total(answer: Answer, correlator: str) -> int | None:
    """
    Raises:
        UnexpectedAnswer: X-Total-Count is there, and no number.
    """
    text = answer.headers.get("x-total-count")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise UnexpectedAnswer("X-Total-Count is no number", status=answer.status, correlator=correlator)
    return int(text)


def _segment(subscription_id: str) -> str:
    """
    Raises:
        ValueError: it is empty, and the path would be that of the list; or it would lead out of the path.
    """
    if subscription_id in ("", ".", ".."):
        raise ValueError("a subscription's id is not empty")
    return "/" + quote(subscription_id, safe="")
