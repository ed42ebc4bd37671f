"""Deleting a subscription."""

from pytest_bdd import parsers, scenarios, then

from tests.conformance.bdd.world import World

scenarios("deleting.feature")


@then(parsers.parse("the answer allows {methods}"))
def allows(world: World, methods: str) -> None:
    assert set(world.answer.headers["Allow"].split(", ")) == set(methods.split(", "))
