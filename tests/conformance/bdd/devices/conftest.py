"""A client of 0.3 and its device, and the steps that only these features have."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pytest_bdd import given, parsers, then, when

from tests.api.conftest import PREFIX
from tests.conformance.bdd.conftest import ask_to
from tests.conformance.bdd.members import has_member
from tests.conformance.bdd.versions import V0_2, V0_3
from tests.conformance.bdd.world import Service, World, a_moment, moments
from tests.harness.authority import Authority
from tests.harness.sinks import Answer, RecordingSink

_ATTRIBUTES = {"id", "source", "specversion", "type", "time", "datacontenttype", "data"}
_PLACE = {
    "shape": "Circle",
    "coordinates": {"latitude": 50.7, "longitude": 7.1, "radius": 30.0},
    "method": "GPS",
}


@pytest.fixture
def world(service: Service, authority: Authority) -> Iterator[World]:
    with closing(World(service, lambda: RecordingSink(authority=authority), V0_3)) as made:
        yield made


@pytest.fixture
def former(world: World) -> Iterator[World]:
    """The same client under 0.2, with a sink of its own."""
    with closing(World(world.service, world.open_sink, V0_2, world.name)) as made:
        yield made


# The device


def _register(world: World, registration: str, **changes: Any) -> None:
    body = {"deviceId": world.device, "owner": world.client} | changes
    answer = world.gateway("PUT", f"/registrations/{registration}", body)
    assert answer.ok, answer.text


@given("the device has a registration")
@when("the gateway announces a registration of the device")
def registered(world: World) -> None:
    _register(world, world.registration)


@given("the device has another registration")
def registered_twice(world: World) -> None:
    _register(world, f"second-{world.name}")


@given("another device has the registration")
def of_another_device(world: World) -> None:
    _register(world, world.registration, deviceId=str(uuid.uuid4()))


@given("the device has a registration of another client")
def of_another_client(world: World) -> None:
    _register(world, world.registration, owner="another-client")


@given(parsers.parse("the device has a registration that expires in {seconds:g} s"))
def expiring(world: World, seconds: float) -> None:
    world.event = {"time": a_moment(seconds)}
    _register(world, world.registration, expiresAt=world.event["time"])


@when("the gateway publishes a session-invitation to the device's other registration")
def invite_elsewhere(world: World) -> None:
    world.publish("session-invitation", subject=f"second-{world.name}")


@given(parsers.parse('the gateway publishes the status "{status}" of no registration'))
@when(parsers.parse('the gateway publishes the status "{status}" of no registration'))
def status_of_nobody(world: World, status: str) -> None:
    world.publish("session-status", data={"status": status}, subject=None)


@when(parsers.parse('the gateway publishes the status "{status}" with a place'))
def located(world: World, status: str) -> None:
    world.publish("session-status", data={"status": status, "locationDetails": _PLACE})


@when("the gateway repeats its event")
def repeated(world: World) -> None:
    kind = world.event["type"].removeprefix(PREFIX)
    world.publish(kind, **world.event)


@then(parsers.parse('the gateway is told that "{name}" would help'))
def told(world: World, name: str) -> None:
    assert f"$.{name}: is missing" in world.result["message"], world.result


# The client


@given("the client has a subscription under 0.2 as well")
def subscribed_before(former: World) -> None:
    former.subscribe("session-invitation")


@given("the client has a subscription to session-status under 0.2 as well")
def subscribed_to_status_before(former: World) -> None:
    former.subscribe("session-status")


@given(parsers.parse("the client has {count:d} subscriptions"))
def subscribed_often(world: World, count: int) -> None:
    for _ in range(count):
        world.subscribe("session-invitation")


@given("the token is another client's")
def stranger(world: World) -> None:
    world.claims |= {"client_id": "stranger", "sub": "stranger"}


@given("the token has the scopes of 0.2 only")
def former_scopes(world: World) -> None:
    world.claims["scope"] = V0_2.scopes


@when("the client asks for its list under 0.2")
def list_before(world: World) -> None:
    world.ask("GET", V0_2.subscriptions)


@when(parsers.parse("the client asks to {what}, with {body} as body"))
def ask_with_body(world: World, what: str, body: str) -> None:
    assert what in ("create", "update")
    method, path = ("POST", world.subscriptions) if what == "create" else ("PUT", world.path)
    data = b"" if body == "nothing" else body.encode()
    world.ask(method, path, data=data, headers={"Content-Type": "application/json"})


@when("the client asks for a private key JWT as credential")
def ask_with_key(world: World) -> None:
    credential = {
        "credentialType": "PRIVATE_KEY_JWT",
        "clientId": world.client,
        "tokenUri": "https://localhost/token",
    }
    world.ask("PUT", world.path, json={"sinkCredential": credential})


@when("the client renews the sink's credential")
def renew_credential(world: World) -> None:
    credential = world.credential(600) | {"accessToken": f"renewed-{world.name}"}
    world.update = {"sinkCredential": credential}
    ask_to(world, "update")


@when(parsers.parse("the client renews the expiry to {seconds:g} s from now"))
def renew_expiry(world: World, seconds: float) -> None:
    world.update = {"config": {"subscriptionExpireTime": a_moment(seconds)}}
    ask_to(world, "update")


@when("the client renews both")
def renew_both(world: World) -> None:
    world.update = {
        "sinkCredential": world.credential(600),
        "config": {"subscriptionExpireTime": a_moment(900)},
    }
    ask_to(world, "update")


@when(parsers.parse("the client asks to {do} the one under the other version"))
def cross(world: World, former: World, do: str) -> None:
    method = {"read": "GET", "delete": "DELETE"}[do]
    world.ask(method, f"{V0_3.subscriptions}/{former.subscription['id']}")
    former.ask(method, f"{V0_2.subscriptions}/{world.subscription['id']}")


@then("both errors are 404 NOT_FOUND")
def both_missing(world: World, former: World) -> None:
    for one in (world, former):
        one.assert_error(404, "NOT_FOUND")


# Its lists


@pytest.fixture
def listed() -> list[str]:
    """The ids of all pages that were listed."""
    return []


@when(parsers.parse("page {page:d} of {size:d} each is listed"))
def list_page(world: World, listed: list[str], page: int, size: int) -> None:
    world.ask("GET", f"{world.subscriptions}?page={page}&perPage={size}")
    assert world.answer.status_code == 200, world.answer.text
    listed += [subscription["id"] for subscription in world.answer.json()]


@then(parsers.parse("the list has {count:d} valid items"))
def items(world: World, count: int) -> None:
    found = world.answer.json()
    validator = world.contract.validator("Subscription")
    assert [validator.first_fault(resource) for resource in found] == [None] * count
    assert len({resource["id"] for resource in found}) == count


@then(parsers.parse("the answer counts {count:d} in all"))
def counted(world: World, count: int) -> None:
    assert world.answer.headers["X-Total-Count"] == str(count)


@then("under 0.2 the list has 1 item")
def items_before(former: World) -> None:
    former.ask("GET", V0_2.subscriptions)
    assert [resource["id"] for resource in former.answer.json()] == [former.subscription["id"]]


@then(parsers.parse("the answer leads to the pages {pages}"))
def linked(world: World, pages: str) -> None:
    """RFC 8288; an answer may lead to more pages than are asked about here."""
    wanted = dict(page.split() for page in pages.split(", "))
    links = {name: link["url"] for name, link in world.answer.links.items()}
    found = {name: parse_qs(urlsplit(url).query)["page"][0] for name, url in links.items()}
    assert found.items() >= wanted.items()
    assert found.keys() <= {"first", "prev", "next", "last"}
    assert ("next" in wanted) == ("next" in found)
    assert ("prev" in wanted) == ("prev" in found)


@then("the pages had each subscription once")
def each_once(world: World, listed: list[str]) -> None:
    assert len(listed) == len(set(listed)) == int(world.answer.headers["X-Total-Count"])


@then("the answer is as when the subscription was made")
def unchanged(world: World) -> None:
    assert world.answer.json() == world.subscription


@then("the answer expires as it was renewed")
def expires(world: World) -> None:
    shown, asked = moments(world.answer.json()["expiresAt"], world.update["config"]["subscriptionExpireTime"])
    assert shown == asked
    world.subscription = world.answer.json()


@then("the answer is as before")
def same(world: World) -> None:
    assert world.answer.json() == world.subscription


# Its sink


@given("the sink answers 503, then 204")
def answers_in_turn(world: World) -> None:
    world.sink_answers(Answer(503), Answer(204))


@then("the sink receives the same notification again")
def received_again(world: World) -> None:
    before = world.notification.body
    world.receive()
    assert world.notification.body == before


@then(parsers.re('the sink receives the status "(?P<status>[A-Za-z]+)"'))
def received_status(world: World, status: str) -> None:
    event = world.receive()
    assert (event["type"], event["data"]["status"]) == (f"{V0_3.prefix}session-status", status)


@then(parsers.parse("the 0.2 sink receives a {kind}"))
def received_before(former: World, kind: str) -> None:
    assert former.receive()["type"] == V0_2.prefix + kind


@then("the notification has the attributes of a CloudEvent and no others")
def attributes(world: World) -> None:
    assert set(world.notification.json) == _ATTRIBUTES


@then("every notification has a different id")
def unique(world: World) -> None:
    identities = [(request.json["source"], request.json["id"]) for request in world.sink.requests]
    assert len(set(identities)) == len(identities) == world.seen


@then("the notification carries the renewed token")
def renewed(world: World) -> None:
    token = world.update["sinkCredential"]["accessToken"]
    assert world.notification.header("Authorization") == f"Bearer {token}"


@then("the notification says that the registration expired")
def registration_expired(world: World) -> None:
    event = world.notification.json
    assert event["data"]["terminationReason"] == "REGISTRATION_EXPIRED"
    assert event["data"]["registrationId"] == world.registration
    assert moments(event["time"]) == moments(world.event["time"])


@then("the notification says where")
def says_where(world: World) -> None:
    assert world.notification.json["data"]["locationDetails"] == _PLACE


@then("the 0.2 notification does not say where")
def says_nothing_of_it(former: World) -> None:
    assert not has_member(former.notification.json, "data.locationDetails")


@then("only the 0.2 notification has the attributes mediaSessionId, status")
def forms(world: World, former: World) -> None:
    moved = {"mediaSessionId", "status"}
    assert set(former.notification.json) == _ATTRIBUTES | moved
    assert set(world.notification.json) == _ATTRIBUTES


@when("the operator ends the subscription")
def end(world: World) -> None:
    assert world.gateway("DELETE", f"/subscriptions/{world.subscription['id']}").status_code == 204
