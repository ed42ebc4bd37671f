"""Making a subscription."""

import json
import time

from pytest_bdd import parsers, scenarios, then, when

from tests.conformance.bdd.members import has_member, member, repeats
from tests.conformance.bdd.world import World, moments

scenarios("creating.feature")


@when("the request is sent", target_fixture="under_way_ms")
def send_and_look_at_the_clock(world: World) -> tuple[int, int]:
    before_ms = int(time.time() * 1000)
    world.send()
    return before_ms, int(time.time() * 1000)


@then("the answer began while the request was under way")
def began(world: World, under_way_ms: tuple[int, int]) -> None:
    (starts_at_ms,) = moments(world.answer.json()["startsAt"])
    assert under_way_ms[0] <= starts_at_ms <= under_way_ms[1]


@then("the answer expires when the request asked for it")
def expires(world: World) -> None:
    shown, asked = moments(
        world.answer.json()["expiresAt"], world.request["config"]["subscriptionExpireTime"]
    )
    assert shown == asked


@then(parsers.parse('"{path}" is not {value} in the answer'))
def answer_differs(world: World, path: str, value: str) -> None:
    answer = world.answer.json()
    assert not has_member(answer, path) or member(answer, path) != json.loads(value)


@then("the first item repeats the request")
def item_repeats(world: World) -> None:
    assert repeats(world.answer.json()[0], world.request)


@then(parsers.parse('the first item has no "{path}"'))
def item_without(world: World, path: str) -> None:
    assert not has_member(world.answer.json()[0], path)
