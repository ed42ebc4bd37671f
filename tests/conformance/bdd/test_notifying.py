"""Notifications."""

from pytest_bdd import given, parsers, scenarios, then, when

from tests.conformance.bdd.world import World
from tests.harness.sinks import Answer

scenarios("notifying.feature")

_ATTRIBUTES = {"id", "source", "specversion", "type", "time", "datacontenttype", "data"}
_ANSWER_SDP = {"sdp": "v=0\r\no=- 2 2 IN IP4 192.0.2.2\r\ns=-\r\nt=0 0\r\n"}


@given(parsers.parse("the sink answers {first:d}, then {second:d}"))
def sink_answers_in_turn(world: World, first: int, second: int) -> None:
    world.sink_answers(Answer(first), Answer(second))


@given(parsers.parse('the sink answers {status:d} to "{path}", then 204'))
def sink_redirects(world: World, status: int, path: str) -> None:
    world.sink_answers(Answer(status, headers=(("Location", world.sink.url_of(path)),)), Answer())


@given(parsers.parse("the sink answers 429 and asks for {seconds:d} s, then 204"))
def sink_asks_for_time(world: World, seconds: int) -> None:
    world.sink_answers(Answer(429, headers=(("Retry-After", str(seconds)),)), Answer())


@when("the gateway repeats its event")
def tell_again(world: World) -> None:
    world.publish("session-invitation", **world.event)


@when(parsers.parse('the gateway publishes the status "{status}" as number {number:d}'))
def tell_numbered(world: World, status: str, number: int) -> None:
    world.publish("session-status", data={"status": status, "sequenceNumber": number})


@when(parsers.parse('the gateway publishes the status "{status}" with an SDP answer'))
def tell_answer(world: World, status: str) -> None:
    world.publish("session-status", data={"status": status, "answer": _ANSWER_SDP})


@then("the notification is a POST of one CloudEvent in structured mode")
def structured(world: World) -> None:
    assert (world.notification.method, world.notification.path) == ("POST", "/notifications")
    assert world.notification.header("Content-Type") == "application/cloudevents+json"
    assert not [name for name, _ in world.notification.headers if name.lower().startswith("ce-")]
    assert isinstance(world.notification.json, dict)


@then(parsers.parse("the notification has the attributes of CAMARA and no others but {names}"))
def attributes(world: World, names: str) -> None:
    event = world.notification.json
    extensions = set() if names == "none" else set(names.split(", "))
    assert set(event) == _ATTRIBUTES | extensions
    assert event["specversion"] == "1.0"
    assert event["datacontenttype"] == "application/json"
    assert event["source"] == "https://webrtc.example.com/events"
    assert {name: event[name] for name in extensions} == {name: event["data"][name] for name in extensions}


@then("the notification has an x-correlator")
def has_correlator(world: World) -> None:
    value = world.notification.header("x-correlator")
    assert value
    assert world.contract.validator("XCorrelator").is_valid(value)


@then(parsers.parse('the notification has no header "{name}"'))
def without_header(world: World, name: str) -> None:
    assert world.notification.header(name) is None


@then("every notification has a different id")
def unique_ids(world: World) -> None:
    identities = [(request.json["source"], request.json["id"]) for request in world.sink.requests]
    assert len(set(identities)) == len(identities) == world.seen


@then("the sink receives the same notification again")
def received_again(world: World) -> None:
    before = world.notification.body
    world.receive()
    assert world.notification.body == before


@then("the sink receives the same notification again, not earlier than asked for")
def received_again_in_time(world: World) -> None:
    received_again(world)
    assert world.arrivals[1] - world.arrivals[0] >= 1000


@then(parsers.parse('nothing has come to the sink at "{path}"'))
def nothing_at(world: World, path: str) -> None:
    assert path not in {request.path for request in world.sink.requests}
