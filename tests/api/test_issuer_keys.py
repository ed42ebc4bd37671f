"""The keys of the issuer: when they are read, and what happens while the issuer is unavailable."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.api.tokens import ENCRYPTS, RSA, SECOND, SHORT, UNKNOWN, verifier
from tests.harness.clocks import NOW, SteppedClock
from tests.harness.issuer import AUDIENCE, Issuer
from webrtc_events.api.access_tokens import TokenVerifier
from webrtc_events.core.conditions import Condition, Health
from webrtc_events.core.errors import InvalidToken, Unauthenticated, Unavailable
from webrtc_events.core.model import Caller


def test_new_key_is_fetched_but_not_too_often(own_issuer: Issuer) -> None:
    clock = SteppedClock()
    verifying = verifier(own_issuer, clock)

    async def scenario() -> None:
        await verifying.caller(own_issuer.token(NOW))
        own_issuer.keys.append(SECOND)
        clock.elapsed = 11
        await verifying.caller(own_issuer.token(NOW, key=SECOND))
        assert own_issuer.fetches() == 2
        for _ in range(20):
            with pytest.raises(Unauthenticated):
                await verifying.caller(own_issuer.token(NOW, key=UNKNOWN))
        assert own_issuer.fetches() == 2
        clock.elapsed = 22
        with pytest.raises(Unauthenticated):
            await verifying.caller(own_issuer.token(NOW, key=UNKNOWN))
        assert own_issuer.fetches() == 3

    asyncio.run(scenario())


def held_back(issuer: Issuer) -> threading.Event:
    """The issuer's discovery document comes once the event is set."""
    answering = threading.Event()
    discovery = issuer.documents["/.well-known/openid-configuration"]

    def slow() -> Any:
        assert answering.wait(10)
        return discovery()

    issuer.documents["/.well-known/openid-configuration"] = slow
    return answering


def test_many_at_once_share_one_fetch_and_the_loop_goes_on(own_issuer: Issuer) -> None:
    verifying = verifier(own_issuer)
    token = own_issuer.token(NOW)
    answering = held_back(own_issuer)

    async def scenario() -> None:
        waiting: list[Awaitable[Caller]] = [asyncio.create_task(verifying.caller(token)) for _ in range(30)]
        gone = asyncio.create_task(verifying.caller(token))
        await asyncio.sleep(0)
        gone.cancel()
        answering.set()  # the loop is free to do this while the thread waits
        assert len(await asyncio.gather(*waiting)) == 30

    asyncio.run(scenario())
    assert own_issuer.fetches() == 1


def test_cached_keys_outlive_the_issuer(own_issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    clock = SteppedClock()
    verifying = verifier(own_issuer, clock)

    async def scenario() -> None:
        await verifying.caller(own_issuer.token(NOW))
        own_issuer.status = 500
        clock.elapsed = 3601
        await verifying.caller(own_issuer.token(clock.now()))
        while "out of reach" not in caplog.text:
            await asyncio.sleep(0.01)
        await verifying.caller(own_issuer.token(clock.now()))

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_keys_are_read_anew_every_hour(own_issuer: Issuer) -> None:
    clock = SteppedClock()
    verifying = verifier(own_issuer, clock)

    async def scenario() -> None:
        await verifying.caller(own_issuer.token(NOW))
        clock.elapsed = 3600
        await verifying.caller(own_issuer.token(clock.now()))
        assert own_issuer.fetches() == 1
        clock.elapsed = 3601
        await verifying.caller(own_issuer.token(clock.now()))
        while own_issuer.fetches() < 2:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(scenario(), 10))


def wrong_status(issuer: Issuer) -> None:
    issuer.status = 404


def redirects(issuer: Issuer) -> None:
    issuer.status = 302
    issuer.headers["Location"] = issuer.discovery_url


def too_large(issuer: Issuer) -> None:
    issuer.documents["/jwks"] = lambda: b'{"keys": [' + b" " * (1 << 20) + b"]}"


def no_json(issuer: Issuer) -> None:
    issuer.documents["/jwks"] = lambda: b"<html>"


def no_keys(issuer: Issuer) -> None:
    issuer.keys = [ENCRYPTS, SHORT]


def jwks_elsewhere(issuer: Issuer) -> None:
    issuer.documents["/.well-known/openid-configuration"] = lambda: {
        "issuer": issuer.url,
        "jwks_uri": "http://example.com/jwks",
    }


def issuer_without_name(issuer: Issuer) -> None:
    issuer.documents["/.well-known/openid-configuration"] = lambda: {"jwks_uri": f"{issuer.url}/jwks"}


@pytest.mark.parametrize(
    "break_it",
    [wrong_status, redirects, too_large, no_json, no_keys, jwks_elsewhere, issuer_without_name],
)
def test_without_keys_the_service_is_unavailable(
    own_issuer: Issuer, break_it: Callable[[Issuer], None]
) -> None:
    clock = SteppedClock()
    verifying = verifier(own_issuer, clock)
    documents, keys = dict(own_issuer.documents), own_issuer.keys
    break_it(own_issuer)

    async def scenario() -> None:
        with pytest.raises(Unavailable):
            await verifying.caller(own_issuer.token(NOW, key=RSA))
        own_issuer.status, own_issuer.documents, own_issuer.keys = 200, documents, keys
        clock.elapsed = 1.5
        await verifying.caller(own_issuer.token(NOW))

    asyncio.run(scenario())


def test_issuer_outage_and_its_end_are_news_once(
    own_issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    clock = SteppedClock()
    verifying = verifier(own_issuer, clock)
    caplog.set_level(logging.INFO)

    async def scenario() -> None:
        await verifying.caller(own_issuer.token(NOW))
        own_issuer.status = 500
        for _ in range(5):
            clock.elapsed += 11
            with pytest.raises(InvalidToken):
                await verifying.caller(own_issuer.token(clock.now(), key=UNKNOWN))
        own_issuer.status = 200
        for _ in range(2):
            clock.elapsed += 11
            with pytest.raises(InvalidToken):
                await verifying.caller(own_issuer.token(clock.now(), key=UNKNOWN))

    asyncio.run(scenario())
    url = own_issuer.discovery_url
    # The store's watch of another test's service may have news too.
    messages = [text for name, _, text in caplog.record_tuples if name.startswith("webrtc_events.api")]
    assert messages == [
        f"the token issuer is out of reach, the keys known so far are used: {url} answered 500",
        "the token issuer answers again",
    ]


def test_condition_tells_of_the_issuer_and_asks_it_once_a_minute(own_issuer: Issuer) -> None:
    clock = SteppedClock()
    verifying = verifier(own_issuer, clock)

    async def scenario() -> None:
        own_issuer.status = 500
        assert (await verifying.condition()).health is Health.UNAVAILABLE
        clock.elapsed = 2
        own_issuer.status = 200
        assert await verifying.condition() == Condition.ok()
        clock.elapsed = 60
        for _ in range(100):
            assert await verifying.condition() == Condition.ok()
        assert own_issuer.fetches() == 1
        own_issuer.status = 500
        clock.elapsed = 63
        # The look goes on beside: who asks is answered by what is known.
        assert await verifying.condition() == Condition.ok()
        degraded = await settled(verifying, Health.DEGRADED)
        assert "its keys of 61 s ago are used" in degraded.detail
        # They are: nobody is turned away.
        await verifying.caller(own_issuer.token(clock.now()))
        own_issuer.status = 200
        clock.elapsed = 80
        assert await settled(verifying, Health.OK) == Condition.ok()

    asyncio.run(asyncio.wait_for(scenario(), 10))


async def settled(verifying: TokenVerifier, health: Health) -> Condition:
    """The condition, once it is that."""
    while (found := await verifying.condition()).health is not health:
        await asyncio.sleep(0.01)
    return found


def test_issuer_that_hangs_while_its_keys_are_known_holds_nobody_up(own_issuer: Issuer) -> None:
    """A load balancer waits for a second at most, and must not take the service for one that is down."""
    clock = SteppedClock()
    verifying = verifier(own_issuer, clock)
    answering = threading.Event()

    def slow() -> Any:
        assert answering.wait(10)
        return {}

    async def scenario() -> None:
        assert await verifying.condition() == Condition.ok()
        own_issuer.documents["/.well-known/openid-configuration"] = slow
        clock.elapsed = 61
        for _ in range(3):
            assert await asyncio.wait_for(verifying.condition(), 0.5) == Condition.ok()
        answering.set()
        await settled(verifying, Health.DEGRADED)

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_issuer_that_hangs_does_not_hold_up_who_asks_how_it_is(own_issuer: Issuer) -> None:
    verifying = verifier(own_issuer)
    answering = held_back(own_issuer)

    async def scenario() -> None:
        found = await asyncio.wait_for(verifying.condition(), 5)
        assert found.health is Health.UNAVAILABLE
        answering.set()
        assert (await verifying.condition()).health is Health.OK

    asyncio.run(scenario())


def test_reason_of_an_issuer_outage_is_short_and_plain(caplog: pytest.LogCaptureFixture) -> None:
    verifying = TokenVerifier(
        openid_configuration_url="http://127.0.0.1:1/x", audience=AUDIENCE, clock=SteppedClock()
    )

    async def scenario() -> None:
        await verifying.condition()

    asyncio.run(scenario())
    (message,) = caplog.messages
    fault = "the token issuer is out of reach, tokens cannot be verified"
    assert message == f"{fault}: http://127.0.0.1:1/x: Connection refused"
