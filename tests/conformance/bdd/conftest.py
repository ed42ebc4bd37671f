"""The fixtures and the steps that all features share."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from pytest_bdd import given, parsers, then, when

from tests.api.conftest import PREFIX
from tests.conformance.bdd.credentials import CREDENTIALS
from tests.conformance.bdd.members import has_member, member, repeats, set_member
from tests.conformance.bdd.services import ASKING, LIMITED, USUAL, serving
from tests.conformance.bdd.world import Service, World, a_moment
from tests.harness.authority import Authority
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.sinks import Answer, RecordingSink
from webrtc_events.api.responses import error_info
from webrtc_events.core.errors import InvalidToken, TokenFault, Unauthenticated


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    with closing(Authority()) as made:
        yield made


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    with closing(Issuer(SigningKeyPair.rsa("rsa"))) as made:
        yield made


@pytest.fixture(scope="session")
def service(
    tmp_path_factory: pytest.TempPathFactory, issuer: Issuer, authority: Authority
) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("service"), USUAL, issuer, authority) as made:
        yield made


@pytest.fixture(scope="session")
def limited(
    tmp_path_factory: pytest.TempPathFactory, issuer: Issuer, authority: Authority
) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("limited"), LIMITED, issuer, authority) as made:
        yield made


@pytest.fixture(scope="session")
def asking(
    tmp_path_factory: pytest.TempPathFactory, issuer: Issuer, authority: Authority
) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("asking"), ASKING, issuer, authority) as made:
        yield made


@pytest.fixture
def world(service: Service, authority: Authority) -> Iterator[World]:
    with closing(World(service, lambda: RecordingSink(authority=authority))) as made:
        yield made


# Given


@given("a service with tight limits")
def limits(world: World, request: pytest.FixtureRequest) -> None:
    world.service = request.getfixturevalue("limited")


@given(parsers.parse('the token stands for the user "{user}"'))
def three_legged(world: World, user: str) -> None:
    world.claims["sub"] = user


@given("the token stands for no user")
def two_legged(world: World) -> None:
    del world.claims["sub"]


@given(parsers.parse('the token has the scope "{scope}" only'))
def one_scope(world: World, scope: str) -> None:
    world.claims["scope"] = scope


@given(parsers.parse('the token has every scope but "{scope}"'))
def all_scopes_but(world: World, scope: str) -> None:
    world.claims["scope"] = " ".join(granted for granted in world.version.scopes.split() if granted != scope)


@given(parsers.parse("a request for {kind}"))
def request_for(world: World, kind: str) -> None:
    world.prepare(kind)


@given(parsers.parse('the request has "{path}" set to {value}'))
def request_with(world: World, path: str, value: str) -> None:
    set_member(world.request, path, json.loads(value))


@given(parsers.parse('the request has "{path}" {seconds:g} s from now'))
def request_with_moment(world: World, path: str, seconds: float) -> None:
    set_member(world.request, path, a_moment(seconds))


@given(parsers.parse('the request has no "{path}"'))
def request_without(world: World, path: str) -> None:
    parent, _, name = path.rpartition(".")
    del (member(world.request, parent) if parent else world.request)[name]


@given(parsers.parse("the request has a credential for the sink that is valid for {seconds:g} s"))
def request_with_credential(world: World, seconds: float) -> None:
    world.request["sinkCredential"] = world.credential(seconds)


@given(parsers.parse('the header "{name}" is "{value}"'))
def request_header(world: World, name: str, value: str) -> None:
    world.headers[name] = value


@given(parsers.parse("a subscription to {kind}"))
def subscription(world: World, kind: str) -> None:
    world.subscribe(kind)


@given(parsers.re("the sink answers (?P<status>[0-9]{3})"))
def sink_answers(world: World, status: str) -> None:
    world.sink_answers(Answer(int(status)))


@given("the id of a subscription that never was")
def unknown_subscription(world: World) -> None:
    world.subscription = {"id": "0" * 32 + "-00"}


@given(parsers.parse('the gateway has announced that the registration belongs to "{owner}"'))
def owned_registration(world: World, owner: str) -> None:
    body = {"deviceId": world.device, "owner": owner}
    assert world.gateway("PUT", f"/registrations/{world.registration}", body).ok


@given("the gateway has announced that the registration belongs to the client")
def own_registration(world: World) -> None:
    owned_registration(world, world.client)


# When, some of which are given too


@given("the request is sent")
@when("the request is sent")
def send(world: World) -> None:
    world.send()


@when("the subscription is read")
def read(world: World) -> None:
    world.ask("GET", world.path)


@when("the subscriptions are listed")
def list_all(world: World) -> None:
    world.ask("GET", world.subscriptions)


@when("the subscription is deleted")
def delete(world: World) -> None:
    world.ask("DELETE", world.path)


@when(parsers.re("the client asks to (?P<what>[a-z]+)"))
def ask(world: World, what: str) -> None:
    ask_to(world, what)


def ask_to(world: World, what: str, **options: Any) -> None:
    """One of the operations."""
    match what:
        case "create":
            world.ask("POST", world.subscriptions, json=world.request, **options)
        case "read":
            world.ask("GET", world.path, **options)
        case "list":
            world.ask("GET", world.subscriptions, **options)
        case "update":
            world.ask("PUT", world.path, json=world.update, **options)
        case "delete":
            world.ask("DELETE", world.path, **options)
        case _:
            raise ValueError(what)


@when(parsers.re("the client asks to (?P<what>[a-z]+) with (?P<credentials>.+)"))
def ask_with(world: World, what: str, credentials: str) -> None:
    value = CREDENTIALS[credentials](world)
    ask_to(world, what, token=None, headers={} if value is None else {"Authorization": value})


@when(parsers.re(r'(?P<method>[A-Z]+) is sent to "(?P<path>[^"]*)"'))
def ask_for_path(world: World, method: str, path: str) -> None:
    world.ask(method, f"{world.version.base_path}{path}")


@given(parsers.re("the gateway publishes (a|another) (?P<kind>[a-z-]+)"))
@when(parsers.re("the gateway publishes (a|another) (?P<kind>[a-z-]+)"))
def tell(world: World, kind: str) -> None:
    world.publish(kind)


@given("the gateway publishes a session-invitation to another registration")
@when("the gateway publishes a session-invitation to another registration")
def tell_others(world: World) -> None:
    world.publish("session-invitation", subject=f"other-{world.name}")


@given(parsers.parse('the gateway publishes the status "{status}"'))
@when(parsers.parse('the gateway publishes the status "{status}"'))
def tell_status(world: World, status: str) -> None:
    world.publish("session-status", data={"status": status})


# Then


@then(parsers.parse("the answer is {status:d}"))
def answered(world: World, status: int) -> None:
    assert world.answer.status_code == status, world.answer.text
    if status == 200:
        assert world.answer.headers["Content-Type"] == "application/json"


@then(parsers.re("the error is (?P<status>[0-9]{3}) (?P<code>[A-Z_]+)"))
def refused(world: World, status: str, code: str) -> None:
    world.assert_error(int(status), code)


@then(parsers.parse('the message names "{path}"'))
def message_names(world: World, path: str) -> None:
    """The path itself, or what lacks its last member and that member."""
    message = world.answer.json()["message"]
    parent, _, name = path.rpartition(".")
    assert path in message or (parent in message and name in message), message


@then(parsers.parse("the answer is a valid {schema}"))
def valid(world: World, schema: str) -> None:
    assert world.contract.validator(schema).first_fault(world.answer.json()) is None


@then("the answer asks for a bearer token")
def challenged(world: World) -> None:
    """With the same words for every token that is refused (RFC 6750, section 3.1)."""
    refused = InvalidToken(TokenFault.FORM, "").headers["WWW-Authenticate"]
    assert world.answer.headers["WWW-Authenticate"] in ("Bearer", refused)


@then("the message is the same as without credentials")
def says_nothing(world: World) -> None:
    assert world.answer.json() == error_info(Unauthenticated())


@then("the answer has the x-correlator of the request")
def correlated(world: World) -> None:
    assert world.answer.headers["x-correlator"] == world.correlator


@then(parsers.parse('the answer has "{path}" set to {value}'))
def answer_with(world: World, path: str, value: str) -> None:
    assert member(world.answer.json(), path) == json.loads(value)


@then(parsers.parse('the answer has no "{path}"'))
def answer_without(world: World, path: str) -> None:
    assert not has_member(world.answer.json(), path)


@then("the answer has no body")
def no_body(world: World) -> None:
    assert world.answer.content == b""
    assert "Content-Type" not in world.answer.headers


@then("the answer repeats the request")
def answer_repeats(world: World) -> None:
    assert repeats(world.answer.json(), world.request)


@then("the credential is not in the answer")
def no_credential(world: World) -> None:
    assert "sinkCredential" not in world.answer.text.replace("$.sinkCredential", "")
    assert world.request["sinkCredential"]["accessToken"] not in world.answer.text


@then("the list is empty")
def empty_list(world: World) -> None:
    assert world.answer.json() == []


@then(parsers.parse("the subscription is shown as {status}"))
def shown_as(world: World, status: str) -> None:
    world.await_status(status)


@then(parsers.parse("the sink receives a {kind}"))
def received(world: World, kind: str) -> None:
    assert world.receive()["type"] == world.version.prefix + kind


@then(parsers.parse('the sink receives the status "{status}" as number {number:d}'))
def received_status(world: World, status: str, number: int) -> None:
    data = world.receive()["data"]
    assert (data["status"], data["sequenceNumber"]) == (status, number)


@then(parsers.parse("the sink is notified that the subscription ended with {reason}"))
def received_end(world: World, reason: str) -> None:
    event = world.receive()
    assert event["type"] == f"{world.version.prefix}subscription-ended"
    assert set(event) == {"id", "source", "specversion", "type", "time", "datacontenttype", "data"}
    assert event["data"]["subscriptionId"] == world.subscription["id"]
    assert event["data"]["terminationReason"] == reason
    nothing_else(world)


@then("the notification has the time and the data of the gateway's event, and the subscription's id")
def passed_on(world: World) -> None:
    event, published = world.notification.json, world.event
    added: dict[str, Any] = {"subscriptionId": world.subscription["id"]}
    if "mediaSessionId" in published["data"]:
        added["sequenceNumber"] = 1
    assert event["time"] == published["time"]
    assert event["type"] == world.version.prefix + published["type"].removeprefix(PREFIX)
    assert event["data"] == published["data"] | added


@then("nothing else has come to the sink")
def nothing_else(world: World) -> None:
    assert len(world.sink.requests) == world.seen


@then("no subscription gets it")
def unmatched(world: World) -> None:
    assert world.result["subscriptions"] == 0, world.result


@then("the notification carries the sink's token")
def credentialed(world: World) -> None:
    token = world.request["sinkCredential"]["accessToken"]
    assert world.notification.header("Authorization") == f"Bearer {token}"


@then(parsers.parse('the notification has the header "{name}" set to "{value}"'))
def with_header(world: World, name: str, value: str) -> None:
    assert world.notification.header(name) == value
