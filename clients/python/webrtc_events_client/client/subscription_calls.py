"""The operations on subscriptions: the request of each, and how its answer is read.

Source: webrtc-events.yaml, webrtc-events-next.yaml, paths.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from urllib.parse import quote

import msgspec

from webrtc_events_client.client.errors import ClientError, UnsupportedOperation
from webrtc_events_client.client.flows import Attempts, Call, Context, Flow, perform
from webrtc_events_client.client.messages import Answer, Request, read_json
from webrtc_events_client.subscriptions import (
    HttpSettings,
    Subscription,
    SubscriptionRequest,
    SubscriptionStatus,
    SubscriptionUpdate,
)

__all__ = ["IDEMPOTENCY_HEADER", "ApiVersion", "SubscriptionCalls", "create_once"]

IDEMPOTENCY_HEADER = "idempotency-key"
"""Of a subscription's `protocolSettings.headers`: by it a create that is made again knows what the first one
has made.
"""

# Source: webrtc-events.yaml, XCorrelator; an empty one would say nothing.
_CORRELATOR = re.compile(r"[a-zA-Z0-9\-_:;./<>{}]{1,256}")


class ApiVersion(StrEnum):
    """The versions of the contract, as their paths have them. `NEXT` is CAMARA's work in progress; few
    services offer it.
    """

    V0_2 = "v0.2"
    NEXT = "vwip"


class _Made(msgspec.Struct):
    id: str


class SubscriptionCalls:
    """Calls of one version of the contract. `base_url` has no final slash."""

    def __init__(
        self, base_url: str, version: ApiVersion = ApiVersion.V0_2, correlator: str | None = None
    ) -> None:
        self._base_url = base_url
        self._url = f"{base_url}/webrtc-events/{version.value}/subscriptions"
        self._version = version
        self._headers = {"Accept": "application/json"}
        if correlator is not None:
            self._headers["x-correlator"] = correlator

    def correlated(self, correlator: str | None) -> "SubscriptionCalls":
        """The same, with that x-correlator on all requests; None: each call makes one up.

        Raises:
            ValueError: the contract does not allow it.
        """
        if correlator is None:
            return self
        if _CORRELATOR.fullmatch(correlator) is None:
            raise ValueError("an x-correlator has 1 to 256 letters, digits and -_:;./<>{}")
        return SubscriptionCalls(self._base_url, self._version, correlator)

    def create(self, request: SubscriptionRequest) -> Call[Subscription]:
        """Not repeatable: the same request twice makes two subscriptions."""

        def read(answer: Answer, correlator: str) -> Subscription:
            if answer.status != 202:
                return read_json(answer, Subscription, correlator)
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

    def get(self, subscription_id: str) -> Call[Subscription]:
        return Call(self._request("GET", _segment(subscription_id)), repeatable=True, read=_subscription)

    def update(self, subscription_id: str, update: SubscriptionUpdate) -> Call[Subscription]:
        """
        Raises:
            UnsupportedOperation: the version has no update.
        """
        if self._version is ApiVersion.V0_2:
            raise UnsupportedOperation("version 0.2 has no update; make the client with ApiVersion.NEXT")
        request = self._request("PUT", _segment(subscription_id), msgspec.json.encode(update))
        return Call(request, repeatable=True, read=_subscription)

    def delete(self, subscription_id: str) -> Call[None]:
        request = self._request("DELETE", _segment(subscription_id))
        return Call(request, repeatable=True, read=lambda _answer, _correlator: None, gone=lambda: None)

    def _request(self, method: str, segment: str = "", body: bytes = b"") -> Request:
        headers = {**self._headers, "Content-Type": "application/json"} if body else self._headers
        return Request(method, self._url + segment, headers, body)


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
    if not key or not key.isascii() or not key.isprintable() or key != key.strip():
        raise ValueError("an idempotency key is visible ASCII")
    settings = request.protocol_settings or HttpSettings()
    marked = msgspec.structs.replace(
        request,
        protocol_settings=msgspec.structs.replace(
            settings, headers={**settings.headers, IDEMPOTENCY_HEADER: key}
        ),
    )
    create = calls.create(marked)
    # Safe to repeat, as the list is read in between.
    attempts = Attempts(
        context, create.request, create.request.headers.get("x-correlator", ""), repeatable=True
    )
    while True:
        for found in (yield from perform(calls.list(), context)):
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


def _subscription(answer: Answer, correlator: str) -> Subscription:
    return read_json(answer, Subscription, correlator)


def _segment(subscription_id: str) -> str:
    """
    Raises:
        ValueError: it is empty, and the path would be that of the list; or it would lead out of the path.
    """
    if subscription_id in ("", ".", ".."):
        raise ValueError("a subscription's id is not empty")
    return "/" + quote(subscription_id, safe="")
