"""Which trace is kept with an event, and what is recorded of its append."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.recorded_spans import RecordedSpans
from tests.services.world import INVITATION, STATUS, P, World, invitation, status
from webrtc_events.contract.documents import load_network
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.request_context import entered_request
from webrtc_events.core.settings import Settings
from webrtc_events.services.events import event_payload
from webrtc_events.services.network_side import NetworkSide
from webrtc_events.store.store import Store

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED, UNSAMPLED = (f"00-{TRACE}-00f067aa0ba902b7-{flags}" for flags in ("01", "00"))
OTHER = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.fixture
def recorded(settings: Settings) -> Iterator[RecordedSpans]:
    spans = RecordedSpans(settings)
    yield spans
    spans.tracing.stop()


@pytest.fixture
def traced(store: Store, settings: Settings, recorded: RecordedSpans) -> World:
    """One that records."""
    world = World(store, settings)
    world.network = NetworkSide.of(store, load_network(), spans=recorded.tracing)
    return world


def publish(world: World, *events: dict[str, Any], **headers: str) -> list[Any]:
    """As a request with these headers."""
    with entered_request("c-1", [(name.encode(), value.encode()) for name, value in headers.items()]):
        return list(world.network.events.accept(list(events)))


def kept(world: World, subscription: str) -> list[tuple[str | None, str | None]]:
    payloads = world.payloads(subscription)
    return [(payload.get("traceparent"), payload.get("tracestate")) for payload in payloads]


def test_an_event_without_a_trace_is_kept_byte_by_byte_as_before(world: World, traced: World) -> None:
    subscription = world.subscribe()
    for at in (world, traced):
        publish(at, invitation())
        publish(at, invitation(), tracestate="a=1")
        publish(at, invitation() | {"traceparent": "garbage"}, traceparent="x" * 10_240)
    entries = world.store.client.lrange(P.outbox(subscription), 0, -1)
    assert len(entries) == 6
    for entry in entries:
        assert entry.partition("\n")[2].startswith('{"type":"org.camaraproject')


@pytest.mark.parametrize("parent", [SAMPLED, UNSAMPLED])
def test_a_trace_passes_through_where_none_are_recorded(world: World, parent: str) -> None:
    subscription = world.subscribe()
    publish(world, invitation(), traceparent=parent, tracestate="a=1")
    assert kept(world, subscription) == [(parent, "a=1")]


def test_the_own_trace_of_an_event_wins(world: World) -> None:
    subscription = world.subscribe()
    own = {"traceparent": OTHER, "tracestate": "b=2"}
    publish(world, invitation() | own, invitation(), traceparent=SAMPLED, tracestate="a=1")
    assert kept(world, subscription) == [(OTHER, "b=2"), (SAMPLED, "a=1")]


@pytest.mark.parametrize("own", [7, None, [], {}, "x" * 10_240, f"ff{OTHER[2:]}", OTHER.upper(), "\ud800"])
def test_what_is_no_trace_of_an_event_is_ignored_and_the_event_accepted(world: World, own: Any) -> None:
    subscription = world.subscribe()
    (result,) = publish(world, invitation() | {"traceparent": own, "tracestate": own}, traceparent=SAMPLED)
    assert result["status"] == "accepted"
    assert kept(world, subscription) == [(SAMPLED, None)]


def test_events_of_no_request_have_none(world: World) -> None:
    subscription = world.subscribe()
    world.publish(invitation())
    assert kept(world, subscription) == [(None, None)]


def test_a_trace_counts_nothing_of_what_an_event_may_have(store: Store, settings: Settings) -> None:
    world = World(store, settings)
    world.network = NetworkSide.of(store, load_network(), event_bytes=4096)
    subscription = world.subscribe()
    largest = invitation(originatorName="x")
    room = 4096 - len(event_payload(INVITATION, largest["time"], largest["data"]))
    largest["data"]["originatorName"] += "x" * room
    (result,) = publish(world, largest, traceparent=SAMPLED, tracestate="v=" + "x" * 200)
    assert result["status"] == "accepted"
    assert kept(world, subscription) == [(SAMPLED, "v=" + "x" * 200)]
    largest["data"]["originatorName"] += "x"
    (result,) = publish(world, largest | {"id": "too-large"})
    assert result["status"] == "rejected"


def test_a_repeated_event_keeps_the_trace_with_which_it_was_accepted(world: World) -> None:
    subscription = world.subscribe()
    repeated = invitation()
    publish(world, repeated, traceparent=SAMPLED)
    (result,) = publish(world, repeated, traceparent=OTHER)
    assert result["status"] == "duplicate"
    assert kept(world, subscription) == [(SAMPLED, None)]


def test_an_initial_event_is_of_the_trace_of_what_it_repeats(world: World) -> None:
    publish(world, status("Ringing"), traceparent=SAMPLED)
    subscription = world.subscribe(STATUS, config={"initialEvent": True})
    assert kept(world, subscription) == [(SAMPLED, None)]


def test_an_append_is_recorded_for_each_trace_of_a_batch(traced: World, recorded: RecordedSpans) -> None:
    subscription = traced.subscribe()
    first = invitation()
    publish(traced, first, traceparent=UNSAMPLED)
    batch = [first, invitation(), {"bad": True}, invitation() | {"traceparent": OTHER}]
    publish(traced, *batch, traceparent=SAMPLED, tracestate="a=1")
    of_request, own = sorted(recorded.named("append"), key=lambda span: len(span.links))
    for span, parent, attributes in (
        (
            of_request,
            SAMPLED,
            {"messaging.batch.message_count": 3, "webrtc_events.outboxes": 1, "webrtc_events.duplicates": 1},
        ),
        (own, OTHER, {"webrtc_events.outboxes": 1, "webrtc_events.duplicates": 0}),
    ):
        assert span.parent is not None
        assert f"{span.parent.trace_id:032x}-{span.parent.span_id:016x}" == parent[3:52]
        assert attributes.items() <= dict(span.attributes or {}).items()
        assert span.status.is_unset
    # The request's span, which has other events too.
    assert [f"{link.context.span_id:016x}" for link in own.links] == [SAMPLED[36:52]]
    assert kept(traced, subscription) == [
        (UNSAMPLED, None),
        (f"00-{TRACE}-{of_request.context.span_id:016x}-01", "a=1"),
        (f"00-{'a' * 32}-{own.context.span_id:016x}-01", None),
    ]


def test_an_append_that_the_store_does_not_take_is_an_error(
    traced: World, recorded: RecordedSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Any) -> Any:
        raise Unavailable

    monkeypatch.setattr(traced.store.events, "accept", away)
    with pytest.raises(Unavailable):
        publish(traced, invitation(), traceparent=SAMPLED)
    (span,) = recorded.named("append")
    assert not span.status.is_ok
    assert dict(span.attributes or {})["error.type"] == "Unavailable"


def test_what_is_not_recorded_leaves_nothing(traced: World, recorded: RecordedSpans) -> None:
    subscription = traced.subscribe(INVITATION)
    publish(traced, invitation())
    publish(traced, invitation(), traceparent=UNSAMPLED)
    assert kept(traced, subscription) == [(None, None), (UNSAMPLED, None)]
    assert recorded.all == []
