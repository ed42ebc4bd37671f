"""The end of a subscription."""

from pytest_bdd import given, parsers, scenarios, then, when

from tests.conformance.bdd.world import World, a_moment, moments

scenarios("ending.feature")


@given(parsers.parse("the gateway has announced that the registration expires in {seconds:g} s"))
def expiring_registration(world: World, seconds: float) -> None:
    world.event = {"time": a_moment(seconds)}
    body = {"deviceId": world.device, "owner": world.client, "expiresAt": world.event["time"]}
    assert world.gateway("PUT", f"/registrations/{world.registration}", body).ok


@when("the operator ends the subscription")
def end(world: World) -> None:
    assert world.gateway("DELETE", f"/subscriptions/{world.subscription['id']}").status_code == 204


@then("that came not before the subscription expired")
def not_before_expiry(world: World) -> None:
    (expiry_ms,) = moments(world.subscription["expiresAt"])
    assert world.arrivals[-1] >= expiry_ms


@then("that came not before the registration expired")
def not_before_registration_expiry(world: World) -> None:
    (expiry_ms,) = moments(world.event["time"])
    assert world.arrivals[world.seen - 1] >= expiry_ms


@then("that came before the sink's token expired")
def before_token_expiry(world: World) -> None:
    (expiry_ms,) = moments(world.request["sinkCredential"]["accessTokenExpiresUtc"])
    assert world.arrivals[-1] < expiry_ms


@then(parsers.parse("the notification says {reason}, at the moment of the expiry"))
def registration_expired(world: World, reason: str) -> None:
    event = world.notification.json
    assert event["data"]["terminationReason"] == reason
    assert event["data"]["registrationId"] == world.registration
    assert moments(event["time"]) == moments(world.event["time"])


@then(parsers.parse("the answer expires {seconds:d} s after it began"))
def expires_after(world: World, seconds: int) -> None:
    began_ms, expires_ms = moments(world.subscription["startsAt"], world.subscription["expiresAt"])
    assert expires_ms - began_ms == seconds * 1000
