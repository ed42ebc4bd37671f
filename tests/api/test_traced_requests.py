"""A span for each request to an operation, and the trace that handlers find in the headers."""

import json
from collections.abc import Callable, Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from tests.api.conftest import NETWORK, PUBLIC, Api, invitation, serving, subscription_request
from tests.harness.issuer import Issuer
from tests.harness.recorded_spans import RecordedSpans
from tests.harness.valkeys import eventually
from webrtc_events.app import create_app
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def recorded(settings: Settings) -> Iterator[RecordedSpans]:
    spans = RecordedSpans(settings)
    yield spans
    spans.tracing.stop()


@pytest.fixture
def traced(http_settings: Settings, issuer: Issuer, recorded: RecordedSpans) -> Iterator[Api]:
    with serving(create_app(http_settings, tracing=recorded.tracing), issuer) as running:
        yield running


def requests_of(recorded: RecordedSpans) -> list[ReadableSpan]:
    return [span for span in recorded.all if span.kind.name == "SERVER"]


def test_a_request_is_named_by_its_route_and_never_by_its_path(traced: Api, recorded: RecordedSpans) -> None:
    made = traced("POST", f"{PUBLIC}/subscriptions", json=subscription_request())
    assert made.status_code == 201
    path = f"{PUBLIC}/subscriptions/{made.json()['id']}"
    assert traced("GET", path, headers={"x-correlator": "c-2"}).status_code == 200
    assert traced("GET", f"{PUBLIC}/subscriptions/none").status_code == 404
    assert traced("PUT", f"{NETWORK}/registrations/tel:+12025550100", json={}).status_code == 400
    eventually(lambda: len(requests_of(recorded)) == 4, "all are recorded")
    found = requests_of(recorded)
    route = f"{PUBLIC}/subscriptions/{{subscriptionId}}"
    assert [span.name for span in found] == [
        f"POST {PUBLIC}/subscriptions",
        f"GET {route}",
        f"GET {route}",
        f"PUT {NETWORK}/registrations/{{registrationId}}",
    ]
    attributes = [dict(span.attributes or {}) for span in found]
    assert [of["http.response.status_code"] for of in attributes] == [201, 200, 404, 400]
    assert attributes[1] == {
        "http.request.method": "GET",
        "http.route": route,
        "http.response.status_code": 200,
        "webrtc_events.correlator": "c-2",
    }
    # What a client did wrong is no error of the server.
    assert all(span.status.is_unset for span in found)
    assert all("12025550100" not in str(span.to_json()) for span in found)


def test_what_is_no_operation_has_no_span(traced: Api, recorded: RecordedSpans) -> None:
    for path in ("/healthz", "/readyz", "/nothing", f"{PUBLIC}/openapi.json", f"{PUBLIC}/nothing"):
        traced("GET", path, headers={"traceparent": TRACEPARENT})
    assert traced("GET", f"{PUBLIC}/subscriptions", token=None).status_code == 401
    eventually(lambda: requests_of(recorded), "the last is recorded")
    (found,) = requests_of(recorded)
    assert dict(found.attributes or {})["http.response.status_code"] == 401


def test_an_error_of_the_service_is_one_of_the_span(
    traced: Api, recorded: RecordedSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> object:
        raise RuntimeError("s3cret")

    monkeypatch.setattr("webrtc_events.services.events.Events.accept_single", broken)
    assert traced("POST", f"{NETWORK}/events", json=invitation(1)).status_code == 500
    eventually(lambda: requests_of(recorded), "it is recorded")
    (found,) = requests_of(recorded)
    assert (found.status.is_ok, found.status.is_unset) == (False, False)
    assert dict(found.attributes or {})["error.type"] == "500"
    assert "s3cret" not in found.to_json()


def test_an_append_is_the_child_of_its_request(traced: Api, recorded: RecordedSpans) -> None:
    for number, headers in enumerate(({}, {"traceparent": TRACEPARENT}, {"traceparent": "garbage"})):
        assert (
            traced("POST", f"{NETWORK}/events", json=invitation(number), headers=headers).status_code == 202
        )
    eventually(lambda: len(recorded.all) == 6, "all are recorded")
    appends = {span.parent.span_id: span for span in recorded.named("append") if span.parent}
    for span in requests_of(recorded):
        assert appends[span.context.span_id].context.trace_id == span.context.trace_id
    of_gateway = [span for span in requests_of(recorded) if span.parent is not None]
    assert [f"{span.context.trace_id:032x}" for span in of_gateway] == [TRACE]


def test_two_traceparents_are_none(traced: Api, recorded: RecordedSpans) -> None:
    # As a proxy that does not know of it may join them.
    headers = {"traceparent": f"{TRACEPARENT}, {TRACEPARENT}"}
    assert traced("POST", f"{NETWORK}/events", json=invitation(1), headers=headers).status_code == 202
    eventually(lambda: requests_of(recorded), "it is recorded")
    assert requests_of(recorded)[0].parent is None


def test_requests_on_one_connection_have_traces_of_their_own(
    http_settings: Settings, api_with: Callable[..., Api], traced: Api
) -> None:
    """What a request was of is forgotten with it: the next on its connection is not of its trace."""
    kept = {}
    for name, api in (("passed through", api_with()), ("recorded", traced)):
        made = api("POST", f"{PUBLIC}/subscriptions", json=subscription_request()).json()["id"]
        for number, headers in ((1, {"traceparent": TRACEPARENT}), (2, {})):
            event = invitation(number, source=f"/{api.port}")
            assert api("POST", f"{NETWORK}/events", json=event, headers=headers).status_code == 202
        store = Store.connect(http_settings)
        entries = store.client.lrange(partition_of("r1", 64).outbox(made), 0, -1)
        store.close()
        kept[name] = [json.loads(entry.partition("\n")[2]).get("traceparent") for entry in entries][-2:]
    assert kept["passed through"] == [TRACEPARENT, None]
    first, second = kept["recorded"]
    assert first[3:35] == TRACE
    assert first != TRACEPARENT
    assert second[3:35] != TRACE
