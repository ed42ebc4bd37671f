"""A gateway's calls: events alone and in batches, registrations, ends."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events_client.client import errors, network_calls
from webrtc_events_client.network_events import EventResultStatus, NetworkEvent, Registration, stable_id
from webrtc_events_client.subscriptions import SubscriptionType

from .service import Received, Reply, Service, error

AT = datetime(2030, 1, 16, 13, 18, 23, tzinfo=UTC)


def event(number: int, text: str = "") -> NetworkEvent:
    return NetworkEvent(
        id=f"e{number}",
        source="/gateway",
        type=SubscriptionType.SESSION_STATUS,
        time=AT,
        data={"mediaSessionId": "m1", "status": "Ringing", "reason": text},
    )


def accepted(received: Received) -> Reply:
    events = received.json if isinstance(received.json, list) else [received.json]
    return Reply(
        202, {"results": [{"id": event["id"], "status": "accepted", "subscriptions": 1} for event in events]}
    )


@pytest.fixture
def gateway(make: Callable[..., Any], service: Service) -> Any:
    service.answers(accepted)
    return make(service.url, network=True)


def test_an_event_is_published(gateway: Any, service: Service) -> None:
    result = gateway.publish(event(1))
    assert (result.id, result.status, result.subscriptions) == ("e1", EventResultStatus.ACCEPTED, 1)
    (received,) = service.requests
    assert (received.method, received.path) == ("POST", "/network/v0/events")
    assert received.headers["content-type"] == "application/cloudevents+json"
    assert received.json == {
        "id": "e1",
        "source": "/gateway",
        "specversion": "1.0",
        "type": "org.camaraproject.webrtc-events.v0.session-status",
        "time": "2030-01-16T13:18:23Z",
        "data": {"mediaSessionId": "m1", "status": "Ringing", "reason": ""},
    }


def test_an_event_whose_answer_was_lost_is_sent_again_as_it_was(gateway: Any, service: Service) -> None:
    service.answers(Reply(lost=True), error(503, "UNAVAILABLE"), accepted)
    gateway.publish(event(1))
    assert len({received.body for received in service.requests}) == 1
    assert len(service.requests) == 3


def test_many_events_are_cut_into_batches_in_order(gateway: Any, service: Service) -> None:
    results = gateway.publish_batch(event(number) for number in range(2500))
    assert [result.id for result in results] == [f"e{number}" for number in range(2500)]
    assert [len(received.json) for received in service.requests] == [1000, 1000, 500]
    assert {received.headers["content-type"] for received in service.requests} == {
        "application/cloudevents-batch+json"
    }


def test_no_events_are_no_request(gateway: Any, service: Service) -> None:
    assert gateway.publish_batch([]) == []
    assert service.requests == []


@given(st.lists(st.integers(0, 60), max_size=40))
def test_batches_keep_order_and_bounds(sizes: list[int]) -> None:
    events = [b"x" * size for size in sizes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network_calls, "MAX_BATCH_EVENTS", 5)
        patch.setattr(network_calls, "MAX_BATCH_BYTES", 100)
        batches = list(network_calls._batches(events))
    assert [entry for batch in batches for entry in batch] == events
    assert all(batch and len(batch) <= 5 for batch in batches)
    assert all(sum(map(len, batch)) <= 100 for batch in batches)


def test_a_rejected_event_is_in_the_results(gateway: Any, service: Service) -> None:
    service.answers(
        Reply(202, {"results": [{"status": "rejected", "subscriptions": 0, "message": "data.status: no"}]})
    )
    (result,) = gateway.publish_batch([event(1)])
    assert (result.status, result.id, result.message) == ("rejected", None, "data.status: no")


@pytest.mark.parametrize("results", [[], [{"status": "accepted", "subscriptions": 1}] * 2])
def test_results_that_are_not_of_the_events_are_refused(
    gateway: Any, service: Service, results: list[Any]
) -> None:
    service.answers(Reply(202, {"results": results}))
    with pytest.raises(errors.UnexpectedAnswer, match="for 1 events"):
        gateway.publish(event(1))


def test_registrations(gateway: Any, service: Service) -> None:
    service.answers(Reply(201, {}), Reply(lost=True), error(404, "NOT_FOUND"))
    gateway.put_registration("r 1", Registration(device_id="d", owner="app", subject="u", expires_at=AT))
    gateway.delete_registration("r 1")
    put, *deletes = service.requests
    assert (put.method, put.path) == ("PUT", "/network/v0/registrations/r%201")
    assert put.json == {
        "deviceId": "d",
        "owner": "app",
        "subject": "u",
        "expiresAt": "2030-01-16T13:18:23Z",
    }
    assert [delete.method for delete in deletes] == ["DELETE", "DELETE"]


def test_a_registration_that_is_not_known_is_an_error(gateway: Any, service: Service) -> None:
    service.answers(error(404, "NOT_FOUND"))
    with pytest.raises(errors.NotFound):
        gateway.delete_registration("r1")
    with pytest.raises(ValueError, match="slash"):
        gateway.delete_registration("a/b")


def test_a_subscription_is_ended(gateway: Any, service: Service) -> None:
    service.answers(Reply(204))
    gateway.end_subscription("s-1")
    assert service.requests[0].path == "/network/v0/subscriptions/s-1"


def test_a_stable_id_is_of_its_parts() -> None:
    assert stable_id("call-1", "leg-a", 3) == stable_id("call-1", "leg-a", 3)
    assert (
        len({stable_id("a", "b"), stable_id("a,b"), stable_id("ab"), stable_id("a", 1), stable_id("a", "1")})
        == 5
    )
