"""The operations of the gateway's side: the request of each, and how its answer is read.

Each may be repeated: an event is known by its source and id. Source: network-events.yaml, paths.
"""

from collections.abc import Iterable, Sequence
from urllib.parse import quote

import msgspec

from webrtc_events_client.client.errors import UnexpectedAnswer
from webrtc_events_client.client.flows import Call, Context, Flow, perform
from webrtc_events_client.client.messages import Answer, Request, read_json
from webrtc_events_client.network_events import EventResult, NetworkEvent, Registration

__all__ = ["MAX_BATCH_BYTES", "MAX_BATCH_EVENTS", "NetworkCalls", "publish_all"]

MAX_BATCH_EVENTS = 1000
"""Source: network-events.yaml, NetworkEventBatch."""
MAX_BATCH_BYTES = 8 * 1024 * 1024
"""Half of what the service takes, so that a setting may lower its bound."""


class _Results(msgspec.Struct):
    results: list[EventResult]


class _Resource(Registration, frozen=True, kw_only=True, rename="camel"):
    registration_id: str


class NetworkCalls:
    """`base_url` has no final slash."""

    def __init__(self, base_url: str) -> None:
        self._url = f"{base_url}/network/v0"

    def publish(self, event: NetworkEvent) -> Call[EventResult]:
        def read(answer: Answer, correlator: str) -> EventResult:
            return _results(answer, 1, correlator)[0]

        return Call(
            self._post("application/cloudevents+json", msgspec.json.encode(event)), repeatable=True, read=read
        )

    def publish_batch(self, events: Sequence[bytes]) -> Call[list[EventResult]]:
        """`events`: 1 to 1,000, each in JSON."""

        def read(answer: Answer, correlator: str) -> list[EventResult]:
            return _results(answer, len(events), correlator)

        body = b"[" + b",".join(events) + b"]"
        return Call(self._post("application/cloudevents-batch+json", body), repeatable=True, read=read)

    def put_registration(self, registration_id: str, registration: Registration) -> Call[None]:
        body = msgspec.json.encode(registration)
        request = Request("PUT", self._registration(registration_id), _content("application/json"), body)
        return Call(request, repeatable=True, read=lambda _answer, _correlator: None)

    def delete_registration(self, registration_id: str) -> Call[None]:
        return self._delete(self._registration(registration_id))

    def end_subscription(self, subscription_id: str) -> Call[None]:
        return self._delete(f"{self._url}/subscriptions/{_segment(subscription_id)}")

    def _post(self, content_type: str, body: bytes) -> Request:
        return Request("POST", f"{self._url}/events", _content(content_type), body)

    def _registration(self, registration_id: str) -> str:
        return f"{self._url}/registrations/{_segment(registration_id)}"

    def _delete(self, url: str) -> Call[None]:
        request = Request("DELETE", url, {"Accept": "application/json"})
        return Call(request, repeatable=True, read=lambda _answer, _correlator: None, gone=lambda: None)


def publish_all(
    calls: NetworkCalls, events: Iterable[NetworkEvent], context: Context
) -> Flow[list[EventResult]]:
    """In batches as large as the service takes, each after the answer to the one before: so their order is
    kept.

    Raises:
        ClientError: a batch failed; those before it are accepted. Publishing all again changes nothing about
            them.
    """
    results: list[EventResult] = []
    for batch in _batches(msgspec.json.encode(event) for event in events):
        results += yield from perform(calls.publish_batch(batch), context)
    return results


def _batches(events: Iterable[bytes]) -> Iterable[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for event in events:
        if batch and (len(batch) == MAX_BATCH_EVENTS or size + len(event) > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += len(event) + 1
    if batch:
        yield batch


def _results(answer: Answer, expected: int, correlator: str) -> list[EventResult]:
    results = read_json(answer, _Results, correlator).results
    if len(results) != expected:
        raise UnexpectedAnswer(
            f"{len(results)} results for {expected} events", status=answer.status, correlator=correlator
        )
    return results


def _content(kind: str) -> dict[str, str]:
    return {"Content-Type": kind, "Accept": "application/json"}


def _segment(name: str) -> str:
    """
    Raises:
        ValueError: it is no segment of a path.
    """
    if name in ("", ".", "..") or "/" in name:
        raise ValueError("an id is not empty and has no slash")
    return quote(name, safe="")
