"""A create with a key: once, whatever is lost. The service keeps what it is asked for."""

from collections.abc import Callable
from typing import Any

import pytest

from webrtc_events_client.client import IDEMPOTENCY_HEADER, errors
from webrtc_events_client.subscriptions import SubscriptionRequest, SubscriptionType

from .service import REQUEST, Received, Reply, Service, SteppedClock, error


class Keeper:
    """Makes subscriptions as the service does: each create makes another.

    `outcomes`: what becomes of the creates, one after the other.
    """

    def __init__(self, *outcomes: str) -> None:
        self.kept: list[dict[str, Any]] = []
        self.outcomes = list(outcomes)

    def __call__(self, received: Received) -> Reply:
        if received.method == "GET":
            return Reply(200, self.kept)
        outcome = self.outcomes.pop(0) if self.outcomes else "made"
        if outcome == "refused":
            return error(400, "INVALID_SINK")
        if outcome == "away":
            return error(503, "UNAVAILABLE")
        if outcome != "lost before":
            self.kept.append(received.json | {"id": f"s-{len(self.kept)}", "status": "ACTIVE"})
        if outcome in ("lost", "lost before"):
            return Reply(lost=True)
        if outcome == "made and away":
            return error(503, "UNAVAILABLE")
        return Reply(201, self.kept[-1])


@pytest.mark.parametrize(
    "outcomes",
    [[], ["lost"], ["lost before"], ["lost before", "lost"], ["away", "away", "made"], ["made and away"]],
)
def test_one_subscription_is_made(client: Any, service: Service, outcomes: list[str]) -> None:
    keeper = Keeper(*outcomes)
    service.answers(keeper)
    made = client.create(REQUEST, idempotency_key="call-7")
    assert [kept["id"] for kept in keeper.kept] == [made.id]
    # The second time: after a restart, say.
    assert client.create(REQUEST, idempotency_key="call-7").id == made.id
    assert client.create(REQUEST, idempotency_key="call-8").id != made.id
    assert len(keeper.kept) == 2


def test_headers_of_the_caller_stay(client: Any, service: Service) -> None:
    keeper = Keeper()
    service.answers(keeper)
    request = SubscriptionRequest.to(
        SubscriptionType.SESSION_INVITATION,
        sink="https://a.example",
        registration_id="r",
        headers={"x-t": "b"},
    )
    client.create(request, idempotency_key="k")
    assert keeper.kept[0]["protocolSettings"]["headers"] == {"x-t": "b", IDEMPOTENCY_HEADER: "k"}


def test_an_ended_one_does_not_count(client: Any, service: Service) -> None:
    keeper = Keeper()
    service.answers(keeper)
    first = client.create(REQUEST, idempotency_key="k")
    keeper.kept[0]["status"] = "EXPIRED"
    assert client.create(REQUEST, idempotency_key="k").id != first.id


def test_a_refusal_is_raised_at_once(client: Any, service: Service) -> None:
    service.answers(Keeper("refused"))
    with pytest.raises(errors.InvalidSink):
        client.create(REQUEST, idempotency_key="k")
    assert len(service.requests) == 2


def test_it_gives_up(client: Any, service: Service, clock: SteppedClock) -> None:
    keeper = Keeper(*["away"] * 99)
    service.answers(keeper)
    with pytest.raises(errors.Unavailable):
        client.create(REQUEST, idempotency_key="k")
    assert [received.method for received in service.requests] == ["GET", "POST"] * 4
    assert len(clock.waits) == 3


@pytest.mark.parametrize("key", ["", " a", "a\n", "ü"])
def test_a_key_that_no_header_can_hold_is_refused(client: Any, service: Service, key: str) -> None:
    with pytest.raises(ValueError, match="idempotency key"):
        client.create(REQUEST, idempotency_key=key)
    assert service.requests == []


def test_subscriptions_without_headers_are_passed_over(make: Callable[..., Any], service: Service) -> None:
    keeper = Keeper()
    keeper.kept.append(
        {
            "id": "x",
            "sink": "https://a.example",
            "types": ["t"],
            "protocol": "HTTP",
            "config": {"subscriptionDetail": {"registrationId": "r"}},
        }
    )
    service.answers(keeper)
    assert make(service.url).create(REQUEST, idempotency_key="k").id == "s-1"
