"""Asking the sink first."""

import time

import pytest
from pytest_bdd import given, parsers, scenarios, then, when

from tests.conformance.bdd.conftest import subscription
from tests.conformance.bdd.world import World
from tests.harness.sinks import Answer

scenarios("agreeing.feature")

_ORIGIN = ("WebHook-Allowed-Origin", "webrtc.example.com")


@given("a service that asks sinks first")
def asking_service(world: World, request: pytest.FixtureRequest) -> None:
    world.service = request.getfixturevalue("asking")


@given("the sink agrees when it is asked")
def agrees(world: World) -> None:
    world.sink_is_asked(Answer(200, headers=(_ORIGIN,)))


@given(parsers.parse("the sink agrees to {rate:d} notifications a minute"))
def agrees_to(world: World, rate: int) -> None:
    world.sink_is_asked(Answer(200, headers=(_ORIGIN, ("WebHook-Allowed-Rate", str(rate)))))


@given("the sink does not answer when it is asked")
def nothing_is_sent(world: World) -> None:
    world.sink_is_asked(Answer(never=True))


@given(
    parsers.parse('the sink answers {status:d} with the header "{name}" set to "{value}" when it is asked')
)
def answers_when_asked(world: World, status: int, name: str, value: str) -> None:
    world.sink_is_asked(Answer(status, headers=((name, value),)))


@given(parsers.parse("a subscription to {kind} whose sink agreed"))
def agreed_subscription(world: World, kind: str) -> None:
    subscription(world, kind)
    asked(world)
    world.await_status("ACTIVE")


@given('the gateway publishes the status "Ringing"', target_fixture="published_s")
@when('the gateway publishes the status "Ringing"', target_fixture="published_s")
def tell_and_look_at_the_clock(world: World) -> float:
    before_s = time.monotonic()
    world.publish("session-status", data={"status": "Ringing"})
    return before_s


@then("the sink is asked whether it agrees")
def asked(world: World) -> None:
    question = world.receive_question()
    assert (question.method, question.path, question.body) == ("OPTIONS", "/notifications", b"")
    assert question.header("WebHook-Request-Origin") == "webrtc.example.com"


@then("the question carries the sink's token")
def question_credentialed(world: World) -> None:
    token = world.request["sinkCredential"]["accessToken"]
    assert world.notification.header("Authorization") == f"Bearer {token}"


@then(
    parsers.parse("the third of them came no sooner than {seconds:d} s after the gateway published the first")
)
def held_back(published_s: float, seconds: int) -> None:
    assert time.monotonic() - published_s >= seconds
