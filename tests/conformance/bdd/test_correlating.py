"""Tying requests to answers."""

import uuid

from pytest_bdd import given, parsers, scenarios, then

from tests.conformance.bdd.world import World

scenarios("correlating.feature")


@given(parsers.re('the x-correlator is "(?P<value>.*)"'))
def correlator(world: World, value: str) -> None:
    world.correlator = value


@given("the request has no x-correlator")
def no_correlator(world: World) -> None:
    world.correlator = ""


@then("the answer has a new x-correlator")
def own_correlator(world: World) -> None:
    assert uuid.UUID(world.answer.headers["x-correlator"]).version == 4
    assert world.answer.headers["x-correlator"] != world.correlator
