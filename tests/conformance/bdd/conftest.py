"""The services that the scenarios are played on, and the steps that all features share."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pytest_bdd import given, parsers, then, when

from tests.api.conftest import ALL_SCOPES, PREFIX, PUBLIC, Api
from tests.conformance.bdd.members import has_member, member, repeats, set_member
from tests.conformance.bdd.world import DEVICE, SUBSCRIPTIONS, Service, World, a_moment
from tests.harness.authority import Authority
from tests.harness.commands import Running
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.sinks import Answer, RecordingSink
from webrtc_events.contract.documents import load_public
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.sink.second_validator import SecondValidator

_SOURCE = "https://webrtc.example.com/events"

_USUAL = {
    "SOURCE": _SOURCE,
    # What a client may ask for is looked at with the limits below.
    "REQUESTS_PER_S": "0",
    "MAX_SUBSCRIPTIONS": "0",
    "MAX_REGISTRATION_SUBSCRIPTIONS": "0",
    "MAX_SESSION_SUBSCRIPTIONS": "0",
    "SESSION_LINGER_S": "1",
}
_LIMITED = {
    "SOURCE": _SOURCE,
    "REQUIRE_KNOWN_REGISTRATION": "true",
    "MAX_SUBSCRIPTIONS": "2",
    "MAX_LIFETIME_S": "3600",
    "REQUESTS_PER_S": "1",
    "REQUESTS_AT_ONCE": "30",
    "STRICT_CLOUDEVENTS": "true",
}


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    with closing(Authority()) as made:
        yield made


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    with closing(Issuer(SigningKeyPair.rsa("rsa"))) as made:
        yield made


_ASKING = {"SOURCE": _SOURCE, "SINK_VALIDATION": "on"}


@contextmanager
def _serving(home: Path, settings: dict[str, str], issuer: Issuer, authority: Authority) -> Iterator[Service]:
    """`webrtc-events serve` on free ports, with the issuer and the sinks of the tests."""
    environ = {
        "OPENID_CONFIGURATION_URL": issuer.discovery_url,
        "SINK_CA_FILE": str(authority.ca_file),
    } | settings
    running = Running(
        home / "log",
        *("serve", "--port", "0", "--sink-port", "0", "--data-dir", str(home / "data")),
        env={f"WEBRTC_EVENTS_{name}": value for name, value in environ.items()},
    )
    strict = settings.get("STRICT_CLOUDEVENTS") == "true"
    try:
        running.await_output("Ctrl-C stops everything")
        api = Api(urlsplit(Endpoints.read(home / "data").api).port or 0, issuer)
        with closing(api):
            yield Service(api, authority, SecondValidator(strict=strict), strict)
        assert running.stop() == 0, running.output
        assert "Traceback" not in running.output
    finally:
        # Its store ends with it, whatever it dies of.
        running.process.kill()
        running.process.wait()


@pytest.fixture(scope="session")
def service(
    tmp_path_factory: pytest.TempPathFactory, issuer: Issuer, authority: Authority
) -> Iterator[Service]:
    with _serving(tmp_path_factory.mktemp("service"), _USUAL, issuer, authority) as made:
        yield made


@pytest.fixture(scope="session")
def limited(
    tmp_path_factory: pytest.TempPathFactory, issuer: Issuer, authority: Authority
) -> Iterator[Service]:
    with _serving(tmp_path_factory.mktemp("limited"), _LIMITED, issuer, authority) as made:
        yield made


@pytest.fixture(scope="session")
def asking(
    tmp_path_factory: pytest.TempPathFactory, issuer: Issuer, authority: Authority
) -> Iterator[Service]:
    with _serving(tmp_path_factory.mktemp("asking"), _ASKING, issuer, authority) as made:
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
    world.claims["scope"] = " ".join(granted for granted in ALL_SCOPES.split() if granted != scope)


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
    body = {"deviceId": DEVICE, "owner": owner}
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
    world.ask("GET", SUBSCRIPTIONS)


@when("the subscription is deleted")
def delete(world: World) -> None:
    world.ask("DELETE", world.path)


@when(parsers.re("the client asks to (?P<what>[a-z]+)"))
def ask(world: World, what: str) -> None:
    ask_to(world, what)


def ask_to(world: World, what: str, **options: Any) -> None:
    """One of the four operations."""
    match what:
        case "create":
            world.ask("POST", SUBSCRIPTIONS, json=world.request, **options)
        case "read":
            world.ask("GET", world.path, **options)
        case "list":
            world.ask("GET", SUBSCRIPTIONS, **options)
        case "delete":
            world.ask("DELETE", world.path, **options)
        case _:
            raise ValueError(what)


@when(parsers.re(r'(?P<method>[A-Z]+) is sent to "(?P<path>[^"]*)"'))
def ask_for_path(world: World, method: str, path: str) -> None:
    world.ask(method, f"{PUBLIC}{path}")


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
    assert load_public().validator(schema).first_fault(world.answer.json()) is None


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
    assert world.receive()["type"] == PREFIX + kind


@then(parsers.parse('the sink receives the status "{status}" as number {number:d}'))
def received_status(world: World, status: str, number: int) -> None:
    data = world.receive()["data"]
    assert (data["status"], data["sequenceNumber"]) == (status, number)


@then(parsers.parse("the sink is notified that the subscription ended with {reason}"))
def received_end(world: World, reason: str) -> None:
    event = world.receive()
    assert event["type"] == f"{PREFIX}subscription-ended"
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
    assert event["type"] == published["type"]
    assert event["data"] == published["data"] | added


@then("nothing else has come to the sink")
def nothing_else(world: World) -> None:
    assert len(world.sink.requests) == world.seen


@then("no subscription gets it")
def unmatched(world: World) -> None:
    assert world.matched == 0


@then("the notification carries the sink's token")
def credentialed(world: World) -> None:
    token = world.request["sinkCredential"]["accessToken"]
    assert world.notification.header("Authorization") == f"Bearer {token}"


@then(parsers.parse('the notification has the header "{name}" set to "{value}"'))
def with_header(world: World, name: str, value: str) -> None:
    assert world.notification.header(name) == value
