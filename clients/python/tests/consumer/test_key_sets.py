"""The service's keys: fetched when they are needed, seldom, and trusted no longer than they are published."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from webrtc_events_client.consumer import AsyncKeySet, KeyRules, KeySet
from webrtc_events_client.consumer.key_set_document import read_key_set

Make = Callable[..., Any]


def test_keys_are_fetched_once_and_kept(
    service: Any, key_server: Any, make_consumer: Make, make_body: Make, clock: Any
) -> None:
    consumer = make_consumer()
    assert key_server.asked == 0
    for number in range(20):
        clock.sleep(10)
        assert consumer(service.notify(make_body(f"e-{number}"))).status == 204
    assert key_server.asked == 1
    clock.sleep(150)
    assert consumer(service.notify(make_body("e-x"))).status == 204
    assert key_server.asked == 2


def test_the_service_says_how_long_keys_are_good(
    service: Any, key_server: Any, make_consumer: Make, make_body: Make, clock: Any
) -> None:
    keys = json.dumps(service.key_set).encode()
    for cache_control, good_s in (
        ("max-age=1200", 1200),
        ("max-age=1", 60),
        ("max-age=999999", 3600),
        ("", 300),
    ):
        key_server.answer = lambda given=cache_control: (200, {"Cache-Control": given}, keys)
        consumer = make_consumer()
        consumer(service.notify(make_body()))
        asked = key_server.asked
        clock.sleep(good_s - 1)
        consumer(service.notify(make_body()))
        assert key_server.asked == asked
        clock.sleep(1)
        consumer(service.notify(make_body()))
        assert key_server.asked == asked + 1


def test_ten_thousand_keys_that_nobody_has_cost_few_fetches(
    service: Any, key_server: Any, make_consumer: Make, make_body: Make, clock: Any
) -> None:
    consumer = make_consumer()
    signed = service.notify(make_body())
    parameters = signed.headers["signature-input"]
    for number in range(10_000):
        if number % 100 == 0:
            clock.sleep(1)
        changed = parameters.replace(service.key.kid, f"made-up-{number}")
        answer = consumer(signed.with_headers(signature_input=changed))
        assert answer.status == 503
        assert dict(answer.headers)["Retry-After"] == "5"
    # One at first, then one each 30 s.
    assert key_server.asked == 4
    assert consumer(service.notify(make_body())).status == 204


def test_a_new_key_signs_before_the_old_keys_are_due(
    service: Any, key_server: Any, make_consumer: Make, make_body: Make, clock: Any
) -> None:
    consumer = make_consumer()
    assert consumer(service.notify(make_body("e-1"))).status == 204
    clock.sleep(31)
    new = type(service.key).fresh()
    service.published = [new, service.key]
    assert consumer(service.notify(make_body("e-2"), key=new)).status == 204
    assert consumer(service.notify(make_body("e-3"))).status == 204
    assert key_server.asked == 2


def test_a_key_that_is_no_longer_published_is_no_longer_trusted(
    service: Any, make_consumer: Make, make_body: Make, clock: Any
) -> None:
    consumer = make_consumer()
    stolen = service.key
    assert consumer(service.notify(make_body("e-1"), key=stolen)).status == 204
    service.published = [type(stolen).fresh()]
    clock.sleep(300)
    assert consumer(service.notify(make_body("e-2"), key=stolen)).status == 503


def test_without_keys_the_service_is_asked_to_come_again(
    service: Any, key_server: Any, make_consumer: Make, make_body: Make, clock: Any
) -> None:
    good = key_server.answer
    key_server.answer = lambda: (500, {}, b"")
    consumer = make_consumer()
    for _ in range(50):
        assert consumer(service.notify(make_body())).status == 503
    assert key_server.asked == 1
    key_server.answer = good
    clock.sleep(5)
    assert consumer(service.notify(make_body())).status == 204


def test_keys_of_before_are_used_while_the_service_is_away_and_not_for_ever(
    service: Any, key_server: Any, make_consumer: Make, make_body: Make, clock: Any
) -> None:
    consumer = make_consumer()
    assert consumer(service.notify(make_body("e-1"))).status == 204
    key_server.answer = lambda: (500, {}, b"")
    clock.sleep(300 + 3599)
    assert consumer(service.notify(make_body("e-2"))).status == 204
    clock.sleep(6)
    assert consumer(service.notify(make_body("e-3"))).status == 503


def test_keys_that_were_kept_serve_from_the_start(
    service: Any, key_server: Any, make_consumer: Make, make_body: Make, clock: Any
) -> None:
    key_server.answer = lambda: (500, {}, b"")
    kind = (
        KeySet
        if make_consumer(keys=None, allow_unverified=True).receive.__name__ == "receive"
        else AsyncKeySet
    )
    keys = kind(key_server.url, initial=service.key_set, clock=clock)
    consumer = make_consumer(keys=keys)
    assert consumer(service.notify(make_body("e-1"))).status == 204
    assert key_server.asked == 1
    clock.sleep(3601)
    assert consumer(service.notify(make_body("e-2"))).status == 503


@pytest.mark.parametrize(
    "answer",
    [
        (200, {}, b"<html>"),
        (200, {}, b"{}"),
        (200, {}, b'{"keys": 7}'),
        (200, {}, b'{"keys": [' + b"1," * 200_000 + b"1]}"),
        (200, {}, json.dumps({"keys": [{"kid": str(number)} for number in range(101)]}).encode()),
        (200, {"Content-Encoding": "gzip"}, b"no gzip"),
        (302, {"Location": "/elsewhere"}, b""),
        (404, {}, b'{"keys": []}'),
    ],
    ids=range(8),
)
def test_what_is_no_key_set_leaves_the_keys_as_they_are(
    answer: Any, service: Any, key_server: Any, make_consumer: Make, make_body: Make, clock: Any
) -> None:
    consumer = make_consumer()
    assert consumer(service.notify(make_body("e-1"))).status == 204
    key_server.answer = lambda: answer
    clock.sleep(301)
    assert consumer(service.notify(make_body("e-2"))).status == 204
    assert key_server.asked == 2


def test_nobody_listens(service: Any, make_consumer: Make, make_body: Make, clock: Any) -> None:
    keys = KeySet("http://127.0.0.1:9/", clock=clock)
    with pytest.raises(Exception, match="cannot be fetched") as caught:
        keys.get("k")
    assert caught.value.status == 503


def test_a_key_that_cannot_be_used_is_left_out_and_the_others_are_used(
    service: Any, caplog: pytest.LogCaptureFixture
) -> None:
    good = service.key.jwk
    bad = [
        7,
        {"kty": "OKP"},
        {**good, "kid": 7},
        {**good, "kid": "a", "alg": "HS256"},
        {**good, "kid": "b", "alg": "ES256"},
        {**good, "kid": "c", "use": "enc"},
        {**good, "kid": "d", "d": "AAAA"},
        {**good, "kid": "e", "x": "AAAA"},
        {"kid": "f", "alg": "HS256", "kty": "oct", "k": "AAAA"},
        {"kid": "g", "alg": "PS512", "kty": "RSA", "e": "AQAB", "n": "w" * 171},
        {"kid": "h", "alg": "none"},
    ]
    assert list(read_key_set({"keys": [*bad, good]})) == [service.key.kid]
    assert len(caplog.records) == len(bad)
    assert "bits" in caplog.text


@pytest.mark.parametrize(
    "url", ["http://events.example/jwks.json", "file:///etc/passwd", "events.example", ""]
)
def test_keys_come_over_https(url: str) -> None:
    for kind in (KeySet, AsyncKeySet):
        with pytest.raises(ValueError, match="URL"):
            kind(url)


def test_many_threads_wait_for_one_fetch(service: Any, key_server: Any) -> None:
    inside, go_on = threading.Event(), threading.Event()
    good = key_server.answer

    def slow() -> Any:
        inside.set()
        assert go_on.wait(30)
        return good()

    key_server.answer = slow
    keys = KeySet(key_server.url, rules=KeyRules(timeout_s=30))
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(keys.get(service.key.kid))) for _ in range(20)]
    for thread in threads:
        thread.start()
    assert inside.wait(30)
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert len(found) == 20
    assert key_server.asked == 1


def test_who_has_a_key_does_not_wait_for_a_fetch(service: Any, key_server: Any, clock: Any) -> None:
    keys = KeySet(key_server.url, clock=clock, rules=KeyRules(timeout_s=30))
    keys.get(service.key.kid)
    inside, go_on = threading.Event(), threading.Event()
    good = key_server.answer

    def slow() -> Any:
        inside.set()
        assert go_on.wait(30)
        return good()

    key_server.answer = slow
    clock.sleep(301)
    fetching = threading.Thread(target=keys.get, args=(service.key.kid,))
    fetching.start()
    assert inside.wait(30)
    assert keys.get(service.key.kid)
    go_on.set()
    fetching.join(30)
    assert key_server.asked == 2


def test_an_answer_that_drips_is_given_up(
    key_server: Any, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def dripping() -> Any:
        clock.sleep(6)
        return 200, {}, b'{"keys": []}'

    key_server.answer = dripping
    keys = KeySet(key_server.url, clock=clock)
    with pytest.raises(Exception, match="cannot be fetched"):
        keys.get("k")
