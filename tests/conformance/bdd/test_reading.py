"""Reading subscriptions."""

import pytest
from pytest_bdd import parsers, scenarios, then, when

from tests.conformance.bdd.world import World

scenarios("reading.feature")

_METHODS = {"reads the subscription": "GET", "deletes the subscription": "DELETE"}


@pytest.fixture
def stranger(world: World) -> str:
    """A token of another client with every scope."""
    return world.token(client_id="stranger", sub="stranger")


@when("another client lists its subscriptions")
def stranger_lists(world: World, stranger: str) -> None:
    world.ask("GET", world.subscriptions, token=stranger)


@when(parsers.re("another client (?P<does>reads the subscription|deletes the subscription)"))
def stranger_asks(world: World, stranger: str, does: str) -> None:
    world.ask(_METHODS[does], world.path, token=stranger)


@then("the error is the same as for a subscription that never was")
def indistinguishable(world: World, stranger: str) -> None:
    first = world.answer
    world.ask(str(first.request.method), f"{world.subscriptions}/{'0' * 32}-00", token=stranger)
    assert (world.answer.status_code, world.answer.content) == (first.status_code, first.content)


@then("the answer is as when the subscription was made")
def unchanged(world: World) -> None:
    assert world.answer.json() == world.subscription


@then(parsers.parse("the list has {count:d} items, each a valid Subscription that says when it began"))
def listed(world: World, count: int) -> None:
    items = world.answer.json()
    validator = world.contract.validator("Subscription")
    assert [validator.first_fault(resource) for resource in items] == [None] * count
    assert all(resource["startsAt"] for resource in items)
    assert len({resource["id"] for resource in items}) == count
