"""What is asked of the service under the contract 0.3, and what its answers become."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from webrtc_events_client.client import IDEMPOTENCY_HEADER, errors
from webrtc_events_client.device_subscriptions import (
    DeviceEventType,
    DeviceSubscriptionRequest,
    DeviceSubscriptionUpdate,
    PrivateKeyJwt,
)
from webrtc_events_client.subscriptions import SinkCredential

from .service import Received, Reply, Service, SteppedClock, error

PATH = "/webrtc-events-subscriptions/v0.3rc1/subscriptions"
PREFIX = "org.camaraproject.webrtc-events-subscriptions.v0."
DEVICE = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
LATER = datetime(2030, 1, 17, 13, 18, 23, 682000, tzinfo=UTC)
RESOURCE: dict[str, Any] = {
    "id": "d-11",
    "protocol": "HTTP",
    "sink": "https://sink.example/a",
    "types": [PREFIX + "session-invitation", PREFIX + "session-status"],
    "config": {"subscriptionDetail": {"deviceId": DEVICE}},
    "startsAt": "2030-01-16T13:18:23.682Z",
    "status": "ACTIVE",
}
JWT = PrivateKeyJwt(client_id="webrtc", token_uri="https://login.app.example/token")
REQUEST = DeviceSubscriptionRequest.to(
    [DeviceEventType.SESSION_INVITATION, DeviceEventType.SESSION_STATUS],
    sink="https://sink.example/a",
    device_id=DEVICE,
)


class Kept:
    """A list of subscriptions, given in pages as the service does; `outcomes` are those of creates."""

    def __init__(self, count: int = 0, *outcomes: str) -> None:
        self.kept = [RESOURCE | {"id": f"d-{number}"} for number in range(count)]
        self.outcomes = list(outcomes)
        self.pages: list[tuple[int, int]] = []

    def __call__(self, received: Received) -> Reply:
        if received.method == "GET":
            query = parse_qs(urlsplit(received.path).query)
            page, per_page = int(query["page"][0]), int(query["perPage"][0])
            self.pages.append((page, per_page))
            found = self.kept[(page - 1) * per_page : page * per_page]
            return Reply(200, found, {"X-Total-Count": str(len(self.kept))})
        outcome = self.outcomes.pop(0) if self.outcomes else "made"
        if outcome == "away":
            return error(503, "UNAVAILABLE")
        self.kept.append(received.json | {"id": f"d-{len(self.kept)}", "status": "ACTIVE"})
        return Reply(lost=True) if outcome == "lost" else Reply(201, self.kept[-1])


def test_create_sends_the_whole_request_and_reads_the_resource(device_client: Any, service: Service) -> None:
    service.answers(
        Reply(
            201,
            RESOURCE
            | {
                "sinkCredential": {
                    "credentialType": "PRIVATE_KEY_JWT",
                    "jwksUri": "https://events.example/keys",
                }
            },
        )
    )
    request = DeviceSubscriptionRequest.to(
        list(DeviceEventType),
        sink="https://sink.example/a",
        device_id=DEVICE,
        expire_time=LATER,
        max_events=50,
        headers={"x-tenant": "blue"},
        credential=JWT,
    )
    made = device_client.create(request)
    (received,) = service.requests
    assert (received.method, received.path) == ("POST", PATH)
    assert received.json == {
        "protocol": "HTTP",
        "sink": "https://sink.example/a",
        "types": [PREFIX + "session-status", PREFIX + "session-invitation", PREFIX + "registration-ends"],
        "config": {
            "subscriptionDetail": {"deviceId": DEVICE},
            "subscriptionExpireTime": "2030-01-17T13:18:23.682000Z",
            "subscriptionMaxEvents": 50,
        },
        "protocolSettings": {"headers": {"x-tenant": "blue"}},
        "sinkCredential": {
            "credentialType": "PRIVATE_KEY_JWT",
            "clientId": "webrtc",
            "tokenUri": "https://login.app.example/token",
        },
    }
    assert (made.id, made.ended, made.config.subscription_detail.device_id) == ("d-11", False, DEVICE)
    assert made.types == (DeviceEventType.SESSION_INVITATION, DeviceEventType.SESSION_STATUS)
    assert made.sink_credential.jwks_uri == "https://events.example/keys"


def test_a_device_that_is_not_shown(device_client: Any, service: Service) -> None:
    service.answers(Reply(200, [RESOURCE | {"config": {"subscriptionDetail": {}}}]))
    (found,) = device_client.list()
    assert found.config.subscription_detail.device_id is None


def test_a_create_for_later_gives_the_id_and_what_was_asked_for(device_client: Any, service: Service) -> None:
    service.answers(Reply(202, {"id": "d-12"}))
    made = device_client.create(REQUEST)
    assert (made.id, made.types, made.status) == ("d-12", REQUEST.types, "ACTIVATION_REQUESTED")
    assert made.config.subscription_detail.device_id == DEVICE


@pytest.mark.parametrize("types", [[], [DeviceEventType.SESSION_STATUS] * 2])
def test_a_request_names_types_each_once(types: list[DeviceEventType]) -> None:
    with pytest.raises(ValueError, match="each once"):
        DeviceSubscriptionRequest.to(types, sink="https://a.example", device_id=DEVICE)


@pytest.mark.parametrize(
    ("count", "pages"), [(0, 1), (1, 1), (7, 1), (99, 10), (100, 10), (101, 11), (250, 25)]
)
def test_all_are_listed_page_by_page(device_client: Any, service: Service, count: int, pages: int) -> None:
    kept = Kept(count)
    service.answers(kept)
    assert [found.id for found in device_client.list()] == [f"d-{number}" for number in range(count)]
    assert len(kept.pages) == max(1, -(-count // 100))
    kept.pages.clear()
    assert [found.id for found in device_client.iterate(per_page=10)] == [
        f"d-{number}" for number in range(count)
    ]
    assert kept.pages == [(number, 10) for number in range(1, pages + 1)]


def test_a_page_says_how_many_there_are(device_client: Any, service: Service) -> None:
    service.answers(Kept(45))
    page = device_client.page(3, per_page=20)
    assert ([found.id for found in page.subscriptions], page.total) == (
        [f"d-{number}" for number in range(40, 45)],
        45,
    )
    assert service.requests[0].path == f"{PATH}?page=3&perPage=20"
    assert device_client.page(4, per_page=20).subscriptions == ()


def test_what_moves_to_another_page_meanwhile_comes_once(device_client: Any, service: Service) -> None:
    kept = Kept(20)

    def moving(received: Received) -> Reply:
        reply = kept(received)
        if len(kept.pages) == 1:
            kept.kept.insert(0, RESOURCE | {"id": "new"})
        return reply

    service.answers(moving)
    found = [subscription.id for subscription in device_client.iterate(per_page=10)]
    assert sorted(found) == sorted(f"d-{number}" for number in range(20))


def test_a_service_without_pages_is_read_once(device_client: Any, service: Service) -> None:
    service.answers(Reply(200, [RESOURCE]))
    assert len(device_client.list()) == len(list(device_client.iterate(per_page=1))) == 1
    assert len(service.requests) == 2


def test_a_total_that_never_comes_true_ends(device_client: Any, service: Service) -> None:
    service.answers(Reply(200, [RESOURCE], {"X-Total-Count": "99"}), Reply(200, [], {"X-Total-Count": "99"}))
    assert len(device_client.list()) == 1


@pytest.mark.parametrize("total", ["", "-1", "many", "\u0661".encode().decode("latin-1"), "9" * 5000])
def test_a_total_that_is_no_number(device_client: Any, service: Service, total: str) -> None:
    service.answers(Reply(200, [], {"X-Total-Count": total}))
    with pytest.raises(errors.UnexpectedAnswer, match="X-Total-Count"):
        device_client.list()


@pytest.mark.parametrize(("number", "per_page"), [(0, 1), (1, 0), (1, 101)])
def test_a_page_that_is_none_is_not_asked_for(
    device_client: Any, service: Service, number: int, per_page: int
) -> None:
    with pytest.raises(ValueError, match="pages"):
        device_client.page(number, per_page=per_page)
    assert service.requests == []


def test_renewals(device_client: Any, service: Service) -> None:
    service.answers(Reply(200, RESOURCE))
    device_client.update("d-11", DeviceSubscriptionUpdate.of(expire_time=LATER))
    token = SinkCredential(access_token="s1nk", access_token_expires_utc=LATER)
    device_client.update("d-11", DeviceSubscriptionUpdate.of(credential=token))
    device_client.update("d-11", DeviceSubscriptionUpdate.of(credential=JWT))
    first, second, third = service.requests
    assert (first.method, first.path) == ("PUT", PATH + "/d-11")
    assert first.json == {"config": {"subscriptionExpireTime": "2030-01-17T13:18:23.682000Z"}}
    assert second.json["sinkCredential"]["accessToken"] == "s1nk"
    assert third.json["sinkCredential"]["credentialType"] == "PRIVATE_KEY_JWT"
    with pytest.raises(ValueError, match="credential"):
        DeviceSubscriptionUpdate()
    service.answers(error(409, "INCOMPATIBLE_STATE"))
    with pytest.raises(errors.IncompatibleState):
        device_client.update("d-11", DeviceSubscriptionUpdate.of(credential=JWT))


def test_get_and_delete(device_client: Any, service: Service) -> None:
    service.answers(Reply(200, RESOURCE), Reply(204))
    assert device_client.get("a/b").id == "d-11"
    assert device_client.delete("a/b", correlator="mine") is None
    got, deleted = service.requests
    assert (got.path, deleted.method) == (PATH + "/a%2Fb", "DELETE")
    assert deleted.headers["x-correlator"] == "mine"


@pytest.mark.parametrize("outcomes", [[], ["lost"], ["away", "lost"]])
def test_a_create_with_a_key_makes_one_however_many_pages_there_are(
    device_client: Any, service: Service, outcomes: list[str]
) -> None:
    kept = Kept(150, *outcomes)
    service.answers(kept)
    made = device_client.create(REQUEST, idempotency_key="call-7")
    assert made.id == kept.kept[-1]["id"]
    assert kept.kept[-1]["protocolSettings"]["headers"] == {IDEMPOTENCY_HEADER: "call-7"}
    assert device_client.create(REQUEST, idempotency_key="call-7").id == made.id
    assert len(kept.kept) == 151


def test_a_create_without_a_key_is_not_repeated(
    device_client: Any, service: Service, clock: SteppedClock
) -> None:
    service.answers(Reply(lost=True))
    with pytest.raises(errors.AnswerLost):
        device_client.create(REQUEST)
    assert (len(service.requests), clock.waits) == (1, [])


def test_no_repr_shows_a_secret() -> None:
    token = SinkCredential(access_token="s3cret", access_token_expires_utc=LATER)
    request = DeviceSubscriptionRequest.to(
        [DeviceEventType.SESSION_STATUS],
        sink="https://a.example",
        device_id=DEVICE,
        headers={"x-key": "s3cret"},
        credential=token,
    )
    assert "s3cret" not in repr(request) + repr(DeviceSubscriptionUpdate.of(credential=token))
