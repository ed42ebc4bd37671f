"""Tokens that are fetched for sinks: what a notification carries, and what becomes of it without one."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.conftest import everything
from tests.delivery.conftest import LIMITS
from tests.delivery.deliveries import Make, dead_letters, sequence
from tests.harness.builders import append, invitation, new_subscription
from tests.harness.sinks import Answer, Received, RecordingSink
from tests.harness.token_server import TokenServer, json_answer
from webrtc_events.core.activity import Activity
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.credentials import CredentialBox
from webrtc_events.core.model import PrivateKeyJwt, Subscription
from webrtc_events.core.setting_values import PrivateKey
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.sinks.assertion_keys import assertion_key_set
from webrtc_events.sinks.client_assertions import ClientAssertions
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.sinks.token_source import TokenSource
from webrtc_events.store.store import Store

KEY = ec.generate_private_key(ec.SECP256R1())
PATIENT = SinkLimits(connect_ms=3_000, total_ms=10_000)


@pytest.fixture
def token_server(sink: RecordingSink) -> Iterator[TokenServer]:
    with TokenServer(lambda: assertion_key_set([KEY]), authority=sink.authority) as server:
        yield server


@dataclass
class Fetching:
    """Subscriptions whose sinks' tokens are fetched, and dispatchers that have the key."""

    store: Store
    settings: Settings
    make: Make
    server: TokenServer

    def subscribe(
        self, sink: str, *, client_id: str = "us", token_uri: str | None = None, **values: Any
    ) -> Subscription:
        credential = PrivateKeyJwt(client_id, token_uri or self.server.token_uri)
        made = new_subscription(credential=credential, fetches_token=True, **values)
        sealed = CredentialBox(self.settings.secret_key).seal(credential, made.id)
        assert (
            self.store.subscriptions.create(made, sink=sink, headers={}, sealed=sealed).outcome == "created"
        )
        return made

    def source(self, key: PrivateKey = KEY, audiences: dict[str, str] | None = None) -> TokenSource:
        assertions = ClientAssertions(key, audiences or {})
        return TokenSource(assertions, CredentialBox(self.settings.secret_key), SystemClock())

    def driver(self, key: PrivateKey = KEY, audiences: dict[str, str] | None = None, **options: Any) -> Any:
        # In time on a machine that does much else.
        return self.make(tokens=self.source(key, audiences), **{"limits": PATIENT} | options)


@pytest.fixture
def fetching(store: Store, settings: Settings, make_driver: Make, token_server: TokenServer) -> Fetching:
    return Fetching(store, settings, make_driver, token_server)


def bearers(sink: RecordingSink) -> list[str | None]:
    return [request.header("authorization") for request in sink.requests]


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["ES256", "ES384", "EdDSA", "PS256"],
)
def test_a_notification_carries_a_token_of_the_subscribers_server(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer, key: PrivateKey
) -> None:
    token_server.key_set = lambda: assertion_key_set([key])
    fetching.subscribe(sink.url)
    append(fetching.store, invitation(1), invitation(2))
    fetching.driver(key).run()
    assert bearers(sink) == ["Bearer token-1"] * 2
    [claims] = token_server.seen
    assert claims["iss"] == claims["sub"] == "us"
    assert claims["aud"] == token_server.token_uri


def test_one_request_is_for_all_subscriptions_of_a_client_that_share_it(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer
) -> None:
    made = [fetching.subscribe(sink.url).id for _ in range(30)]
    append(fetching.store, invitation(1))
    fetching.driver().run()
    assert sorted(request.json["id"].partition(".")[0] for request in sink.requests) == sorted(made)
    assert set(bearers(sink)) == {"Bearer token-1"}
    assert len(token_server.requests) == 1


def test_what_is_another_owners_or_another_client_id_is_another_token(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer
) -> None:
    """Whoever subscribes names the server: what is given for one owner goes to no sink of another."""
    for client, client_id in (("app", "us"), ("app", "them"), ("rival", "us")):
        fetching.subscribe(sink.url, client=client, client_id=client_id)
    append(fetching.store, invitation(1))
    fetching.driver().run()
    assert sorted(map(str, bearers(sink))) == ["Bearer token-1", "Bearer token-2", "Bearer token-3"]


def test_an_audience_that_a_server_wants_is_set(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer
) -> None:
    token_server.audience = "https://as.example/realms/a"
    fetching.subscribe(sink.url)
    append(fetching.store, invitation(1))
    fetching.driver(audiences={token_server.token_uri: "https://as.example/realms/a"}).run()
    assert bearers(sink) == ["Bearer token-1"]


HOSTILE = {
    "refused": (json_answer({"error": "invalid_client"}, 400), "token_refused"),
    "unauthorized": (json_answer({"error": "invalid_client"}, 401), "token_refused"),
    "redirect": (Answer(302, (("location", "https://elsewhere.example/"),)), "token_refused"),
    "error": (Answer(503), "token_unavailable"),
    "html": (Answer(200, (("content-type", "text/html"),), b"<html>Sign in</html>"), "token_refused"),
    "no JSON object": (json_answer(["token"]), "token_refused"),
    "deep": (Answer(200, body=b"[" * 60_000), "token_refused"),
    "huge": (Answer(200, body=b" " * 200_000), "token_unavailable"),
    "no bearer": (
        json_answer({"access_token": "t", "token_type": "mac", "expires_in": 60}),
        "token_refused",
    ),
    "no type": (json_answer({"access_token": "t", "expires_in": 60}), "token_refused"),
    "no token": (json_answer({"token_type": "bearer", "expires_in": 60}), "token_refused"),
    "line breaks": (
        json_answer({"access_token": "t\r\nx-evil: 1", "token_type": "bearer", "expires_in": 60}),
        "token_refused",
    ),
    "long": (json_answer({"access_token": "t" * 9000, "token_type": "bearer"}), "token_refused"),
    "past": (json_answer({"access_token": "t", "token_type": "bearer", "expires_in": -1}), "token_refused"),
    "past by a number that no float holds": (
        json_answer({"access_token": "t", "token_type": "bearer", "expires_in": -(10**400)}),
        "token_refused",
    ),
    "over before it is here": (
        json_answer({"access_token": "t", "token_type": "bearer", "expires_in": 1e-9}),
        "token_refused",
    ),
    "at once": (
        json_answer({"access_token": "t", "token_type": "bearer", "expires_in": 0}),
        "token_refused",
    ),
    "words": (
        json_answer({"access_token": "t", "token_type": "bearer", "expires_in": "soon"}),
        "token_refused",
    ),
    "cut off": (
        Answer(200, (("content-length", "500"),), b'{"access_token": "t"', close=True),
        "token_unavailable",
    ),
}


@pytest.mark.parametrize(("answer", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_without_a_token_nothing_is_sent_and_it_is_a_retry(
    fetching: Fetching,
    sink: RecordingSink,
    token_server: TokenServer,
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
    answer: Answer,
    reason: str,
) -> None:
    token_server.faults = [answer]
    activity = Activity()
    fetching.subscribe(sink.url)
    append(fetching.store, invitation(1), invitation(2))
    driver = fetching.driver(activity=activity)
    driver.dispatcher.step()
    run_until(driver, lambda: len(sink.requests) == 2)
    assert sequence(sink.requests) == [1, 2]
    assert bearers(sink) == ["Bearer token-1"] * 2
    assert dict(activity.retries) == {reason: 1}
    assert dead_letters(raw_store) == []
    assert f"outcome=retry reason={reason}" in caplog.text
    assert "x-evil" not in caplog.text


def run_until(driver: Any, done: Callable[[], bool], timeout_s: float = 15.0) -> None:
    """The dispatcher goes round until then: the pauses after a failure take their time."""
    clock = SystemClock()
    until_s = clock.monotonic() + timeout_s
    while not done():
        assert clock.monotonic() < until_s, "it takes too long"
        driver.dispatcher.step()


def test_a_server_that_says_nothing_holds_up_nobody_else(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer
) -> None:
    token_server.faults = [Answer(never=True)]
    fetching.subscribe(sink.url)
    append(fetching.store, invitation(1))
    driver = fetching.driver()
    run_until(driver, lambda: len(token_server.requests) == 1)
    other = new_subscription(client="other", registration="r2")
    fetching.store.subscriptions.create(other, sink=sink.url, headers={}, sealed=None)
    append(fetching.store, invitation(1, registration="r2"))
    run_until(driver, lambda: len(sink.requests) == 1)
    assert bearers(sink) == [None]
    run_until(driver, lambda: len(sink.requests) == 2)
    assert bearers(sink) == [None, "Bearer token-1"]


def test_the_reason_is_told_in_words_and_without_a_secret(
    fetching: Fetching,
    sink: RecordingSink,
    token_server: TokenServer,
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    echoed = {"error": "invalid_client", "error_description": "client us-4711 is not known"}
    token_server.faults = [json_answer(echoed, 400)]
    fetching.subscribe(sink.url, client_id="us-4711")
    append(fetching.store, invitation(1))
    run_until(fetching.driver(), lambda: len(sink.requests) == 1)
    assert "the token server answered 400 invalid_client" in caplog.text
    kept = caplog.text + everything(raw_store)
    for secret in (
        "us-4711",
        "token-1",
        token_server.requests[0].body.decode().partition("client_assertion=")[2],
    ):
        assert secret not in kept


def test_a_401_has_the_token_fetched_anew_once(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer, raw_store: "redis.Redis"
) -> None:
    fetching.subscribe(sink.url)
    append(fetching.store, invitation(1), invitation(2))
    sink.answer = [204, 401, 204]
    fetching.driver().run()
    assert bearers(sink) == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
    assert sequence(sink.requests) == [1, 2, 2]
    assert dead_letters(raw_store) == []


def test_a_lasting_401_is_a_retry_and_no_end_and_asks_for_no_token_after_token(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer, raw_store: "redis.Redis"
) -> None:
    made = fetching.subscribe(sink.url)
    append(fetching.store, invitation(1))
    sink.answer = [401] * 8 + [204]
    fetching.driver().run()
    assert bearers(sink) == ["Bearer token-1"] + ["Bearer token-2"] * 8
    assert len(token_server.requests) == 2
    assert dead_letters(raw_store) == []
    found = fetching.store.subscriptions.get(made.id)
    assert found is not None
    assert found.status == "ACTIVE"


def test_a_token_is_renewed_before_it_expires(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer
) -> None:
    """One of a second is used for three quarters of it, and asked for anew after half."""
    token_server.life_s = 1
    fetching.subscribe(sink.url)
    driver = fetching.driver()
    append(fetching.store, invitation(1))
    driver.run()
    clock = SystemClock()
    until_s = clock.monotonic() + 1
    while clock.monotonic() < until_s:
        driver.dispatcher.step()
    append(fetching.store, invitation(2))
    driver.run()
    assert bearers(sink) == ["Bearer token-1", "Bearer token-2"]


def test_a_restart_asks_anew_and_nothing_of_a_token_is_kept(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer, raw_store: "redis.Redis"
) -> None:
    fetching.subscribe(sink.url)
    append(fetching.store, invitation(1))
    fetching.driver().run()
    append(fetching.store, invitation(2))
    fetching.driver().run()
    assert bearers(sink) == ["Bearer token-1", "Bearer token-2"]
    assert "token-1" not in everything(raw_store)


def test_keys_are_rotated_under_way(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer
) -> None:
    """First both are published, then the new one signs, then the old one goes."""
    new_key = ec.generate_private_key(ec.SECP256R1())
    fetching.subscribe(sink.url)
    for number, key, published in (
        (1, KEY, [KEY]),
        (2, KEY, [KEY, new_key]),
        (3, new_key, [new_key, KEY]),
        (4, new_key, [new_key]),
    ):
        token_server.key_set = lambda published=published: assertion_key_set(published)
        append(fetching.store, invitation(number))
        fetching.driver(key).run()
    assert bearers(sink) == [f"Bearer token-{number}" for number in (1, 2, 3, 4)]
    assert len(set(token_server.key_ids)) == 2


def test_without_keys_a_worker_leaves_it_to_another(
    fetching: Fetching, sink: RecordingSink, make_driver: Make, caplog: pytest.LogCaptureFixture
) -> None:
    fetching.subscribe(sink.url)
    append(fetching.store, invitation(1))
    without = make_driver()
    run_until(without, lambda: 'reason=token_unavailable detail="no TOKEN_KEYS are set up"' in caplog.text)
    assert sink.requests == []


def test_the_question_to_a_sink_carries_it_too(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer, raw_store: "redis.Redis"
) -> None:
    """And a 401 to the question is no refusal: the token may have been revoked."""
    sink.answer = lambda received: (
        Answer(401)
        if received.header("authorization") == "Bearer token-1"
        else Answer(200, (("webhook-allowed-origin", "events.example"),))
    )
    made = fetching.subscribe(sink.url, origin="events.example")
    run_until(fetching.driver(), lambda: len(sink.requests) == 2)
    assert [request.method for request in sink.requests] == ["OPTIONS"] * 2
    assert bearers(sink) == ["Bearer token-1", "Bearer token-2"]
    assert made.id


def test_an_address_that_no_sink_may_have_is_not_connected_to(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer
) -> None:
    """The policy of this test allows 127.0.0.1 alone; the request was refused, were it made now."""
    connections = token_server.connections
    fetching.subscribe(sink.url, token_uri=f"https://127.0.0.2:{token_server.port}/token")
    append(fetching.store, invitation(1))
    activity = Activity()
    driver = fetching.driver(activity=activity)
    run_until(driver, lambda: activity.retries["token_unavailable"] > 0)
    assert token_server.connections == connections
    assert sink.requests == []


def test_a_token_server_that_is_late_is_no_reason_to_break_the_order(
    fetching: Fetching, sink: RecordingSink, token_server: TokenServer
) -> None:

    def late(_: Received) -> Answer:
        return Answer(
            200,
            body=json.dumps({"access_token": "t", "token_type": "bearer", "expires_in": 60}).encode(),
            delay_s=0.3,
        )

    token_server.answer = late
    fetching.subscribe(sink.url)
    append(fetching.store, *(invitation(number) for number in range(1, 40)))
    fetching.driver(options=DispatcherOptions(poll_s=0.02, limits=LIMITS)).run()
    assert sequence(sink.requests) == list(range(1, 40))
