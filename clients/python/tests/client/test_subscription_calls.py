"""What is asked of the service, and what its answers become."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from webrtc_events_client.subscriptions import (
    SinkCredential,
    SubscriptionRequest,
    SubscriptionStatus,
    SubscriptionType,
)

from .service import REQUEST, RESOURCE, Reply, Service

LATER = datetime(2030, 1, 17, 13, 18, 23, 682000, tzinfo=UTC)
CREDENTIAL = SinkCredential(access_token="s1nk", access_token_expires_utc=LATER)


def test_create_sends_the_whole_request_and_reads_the_resource(client: Any, service: Service) -> None:
    service.answers(Reply(201, RESOURCE))
    request = SubscriptionRequest.to(
        SubscriptionType.SESSION_STATUS,
        sink="https://sink.example/a",
        registration_id="r1",
        session_id="m1",
        device_id="7d444840-9dc0-11d1-b245-5ffdce74fad2",
        expire_time=LATER,
        max_events=50,
        initial_event=True,
        headers={"x-tenant": "blue"},
        credential=CREDENTIAL,
    )
    made = client.create(request)
    (received,) = service.requests
    assert (received.method, received.path) == ("POST", "/webrtc-events/v0.2/subscriptions")
    assert received.headers["content-type"] == "application/json"
    assert received.headers["authorization"] == "Bearer t0ken"
    assert received.headers["user-agent"].startswith("webrtc-events-client/")
    assert received.json == {
        "protocol": "HTTP",
        "sink": "https://sink.example/a",
        "types": ["org.camaraproject.webrtc-events.v0.session-status"],
        "config": {
            "subscriptionDetail": {
                "registrationId": "r1",
                "sessionId": "m1",
                "deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2",
            },
            "subscriptionExpireTime": "2030-01-17T13:18:23.682000Z",
            "subscriptionMaxEvents": 50,
            "initialEvent": True,
        },
        "protocolSettings": {"headers": {"x-tenant": "blue"}},
        "sinkCredential": {
            "credentialType": "ACCESSTOKEN",
            "accessToken": "s1nk",
            "accessTokenExpiresUtc": "2030-01-17T13:18:23.682000Z",
            "accessTokenType": "bearer",
        },
    }
    assert (made.id, made.status) == ("s-11", SubscriptionStatus.ACTIVE)
    assert made.starts_at == datetime(2030, 1, 16, 13, 18, 23, 682000, tzinfo=UTC)


def test_a_create_for_later_gives_the_id_and_what_was_asked_for(client: Any, service: Service) -> None:
    service.answers(Reply(202, {"id": "s-12"}))
    made = client.create(REQUEST)
    assert (made.id, made.sink, made.status) == ("s-12", REQUEST.sink, "ACTIVATION_REQUESTED")
    assert not made.ended


def test_get_puts_any_id_into_one_segment_of_the_path(client: Any, service: Service) -> None:
    assert client.get("a/b ?ü").id == "s-11"
    assert service.requests[0].path == "/webrtc-events/v0.2/subscriptions/a%2Fb%20%3F%C3%BC"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_an_id_that_is_no_segment_is_refused(client: Any, service: Service, name: str) -> None:
    for call in (client.get, client.delete):
        with pytest.raises(ValueError, match="id"):
            call(name)
    assert service.requests == []


def test_lists_and_iterates(client: Any, service: Service) -> None:
    service.answers(Reply(200, [RESOURCE, RESOURCE | {"id": "s-12", "status": "DELETED"}]))
    assert [found.id for found in client.list()] == ["s-11", "s-12"]
    assert [(found.id, found.ended) for found in client.iterate()] == [("s-11", False), ("s-12", True)]
    service.answers(Reply(200, []))
    assert client.list() == []
    assert list(client.iterate()) == []


def test_members_that_the_contract_does_not_know_are_passed_over(client: Any, service: Service) -> None:
    service.answers(Reply(200, RESOURCE | {"tomorrow": {"x": 1}, "types": ["of.tomorrow"], "status": "NEW"}))
    found = client.get("s-11")
    assert (found.types, found.status, found.ended) == (("of.tomorrow",), "NEW", False)


@pytest.mark.parametrize("reply", [Reply(204), Reply(202, {"id": "s-11"})])
def test_delete(client: Any, service: Service, reply: Reply) -> None:
    service.answers(reply)
    assert client.delete("s-11") is None
    assert service.requests[0].method == "DELETE"


@pytest.mark.parametrize("prefix", ["", "/", "/a/b", "/a/b/"])
def test_the_service_may_be_behind_any_prefix(
    make: Callable[..., Any], service: Service, prefix: str
) -> None:
    make(service.url + prefix).get("s-11")
    assert service.requests[0].path == prefix.rstrip("/") + "/webrtc-events/v0.2/subscriptions/s-11"


@pytest.mark.parametrize(
    "url", ["ftp://a", "//a", "a", "http://", "http://a?b=1", "http://a#b", "http://u:p@a", "http://a:x"]
)
def test_a_base_url_that_is_none_is_refused(make: Callable[..., Any], url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (Python's own for a bad port)
        make(url)


def test_a_correlator_is_of_the_caller_or_made_up(client: Any, service: Service) -> None:
    client.get("s-11", correlator="mine-1")
    client.get("s-11")
    client.get("s-11")
    mine, first, second = (received.headers["x-correlator"] for received in service.requests)
    assert mine == "mine-1"
    assert first
    assert first != second
    with pytest.raises(ValueError, match="x-correlator"):
        client.get("s-11", correlator="a\nb")


def test_no_repr_shows_a_secret() -> None:
    request = SubscriptionRequest.to(
        SubscriptionType.SESSION_INVITATION,
        sink="https://sink.example",
        registration_id="r1",
        headers={"x-api-key": "hidden"},
        credential=CREDENTIAL,
    )
    for text in (repr(request), str(request), f"{request}", repr(CREDENTIAL)):
        assert "s1nk" not in text
        assert "hidden" not in text
    assert "x-api-key" in repr(request)
