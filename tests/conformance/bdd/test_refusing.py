"""Refusing a subscription."""

from pytest_bdd import parsers, scenarios, then, when

from tests.conformance.bdd.world import World

scenarios("refusing.feature")

_BODIES = {
    "no body": b"",
    "an empty object": b"{}",
    "an array": b"[]",
    "a string": b'"HTTP"',
    "unfinished JSON": b'{"protocol": "HTTP"',
    "a name twice": b'{"protocol": "HTTP", "protocol": "HTTP"}',
    "a NaN": b'{"protocol": NaN}',
    "Latin-1 text": '{"protocol": "h\u00e4"}'.encode("latin-1"),
    "10,000 brackets": b"[" * 10_000 + b"]" * 10_000,
}
# More than the limits leave room for, with all that comes in while it is tried.
_TOO_OFTEN = 200


@when(parsers.parse("{body} is sent to make a subscription"))
def send_body(world: World, body: str) -> None:
    world.ask("POST", world.subscriptions, data=_BODIES[body], headers={"Content-Type": "application/json"})


@when("the subscriptions are listed until that is too often")
def list_too_often(world: World) -> None:
    for _ in range(_TOO_OFTEN):
        world.ask("GET", world.subscriptions)
        if world.answer.status_code != 200:
            return


@then("the answer says when to try again")
def retry_after(world: World) -> None:
    assert int(world.answer.headers["Retry-After"]) >= 1
