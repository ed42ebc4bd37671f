"""Long lists: written as they are read, paid for before the first byte, and never whole when they are not."""

import json
import socket
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPResponse, IncompleteRead
from typing import Any

import pytest
import redis
import requests

from tests.api.conftest import PUBLIC, Api, assert_error, subscription_request
from tests.harness.valkeys import eventually
from webrtc_events.api import http_protocol as protocol
from webrtc_events.contract.documents import load_public
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.keys import client_key, new_subscription_id, partition_of
from webrtc_events.store.subscription_lists import PAGE, SubscriptionLists

SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"
P = partition_of("r1", 64)
# A list of this length does not fit into the buffers between the server and a client that does not read.
MANY = 20_000
ApiWith = Callable[..., Api]

COPIES = """
for _, id in ipairs(ARGV) do
  redis.call('COPY', KEYS[1], (string.gsub(KEYS[1], '[^:]+$', id)))
end
"""


def made(api: Api, raw: "redis.Redis", count: int, **changes: Any) -> list[str]:
    """Subscriptions of the client, one by the API and the others as like it, in their order."""
    answer = api("POST", SUBSCRIPTIONS, json=subscription_request(**changes))
    assert answer.status_code == 201
    ids = [answer.json()["id"], *(new_subscription_id(P) for _ in range(count - 1))]
    now = time.time()
    for first in range(1, count, 1000):
        more = ids[first : first + 1000]
        raw.eval(COPIES, 1, P.subscription(ids[0]), *more)
        raw.zadd(
            client_key("app"), {subscription_id: now + first + n for n, subscription_id in enumerate(more)}
        )
    return ids


def pages_read(raw: "redis.Redis") -> int:
    """What the store was asked for the fields of: each subscription once for a list."""
    return int(raw.info("commandstats").get("cmdstat_hmget", {"calls": 0})["calls"])


@pytest.mark.parametrize("count", [1, PAGE, PAGE + 1, 3 * PAGE, 3 * PAGE + 7])
def test_a_list_is_whole_and_in_order(api: Api, raw_store: "redis.Redis", count: int) -> None:
    ids = made(api, raw_store, count)
    answer = api("GET", SUBSCRIPTIONS)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert [resource["id"] for resource in answer.json()] == ids
    # One page is an answer like any other.
    assert ("Content-Length" in answer.headers) == (count <= PAGE)
    contract = load_public().operations["retrieveNotificationChannelSubscriptionList"]
    assert contract.responses["200"]["application/json"].is_valid(answer.json())


def test_a_page_says_nothing_of_the_array_that_the_array_does_not_say_of_itself() -> None:
    """So pages that conform make an array that does."""
    path = load_public().document["paths"]["/subscriptions"]["get"]
    schema = path["responses"]["200"]["content"]["application/json"]["schema"]
    assert {**schema, "items": {}} == {"type": "array", "minItems": 0, "items": {}}


def test_the_list_of_a_user_is_found_among_all_of_the_client(api: Api, raw_store: "redis.Redis") -> None:
    made(api, raw_store, 3 * PAGE)
    alice = api.token(sub="alice")
    mine = api("POST", SUBSCRIPTIONS, token=alice, json=subscription_request()).json()["id"]
    made(api, raw_store, PAGE)
    assert [resource["id"] for resource in api("GET", SUBSCRIPTIONS, token=alice).json()] == [mine]


def test_what_is_damaged_is_left_out_wherever_it_is(
    api: Api, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    ids = made(api, raw_store, 200)
    gone, garbled, foreign, lacking, wrong = (ids[at] for at in (3, 60, 110, 160, 190))
    raw_store.delete(*map(P.subscription, (gone, garbled, foreign)))
    raw_store.set(P.subscription(garbled), "x")
    raw_store.hset(P.subscription(foreign), "colour", "green")
    raw_store.hdel(P.subscription(lacking), "request")
    # What is shown of it would break the contract.
    raw_store.hset(P.subscription(wrong), "request", '{"config": {"subscriptionDetail": {}}}')
    answer = api("GET", SUBSCRIPTIONS)
    left_out = {gone, garbled, foreign, lacking, wrong}
    assert [resource["id"] for resource in answer.json()] == [
        subscription_id for subscription_id in ids if subscription_id not in left_out
    ]
    for subscription_id in left_out - {gone}:
        assert f"damaged subscription={subscription_id}" in caplog.text


# Its price


def test_a_list_counts_by_its_length_and_is_refused_before_it_begins(
    api_with: ApiWith, raw_store: "redis.Redis"
) -> None:
    """A request for each hundred, on top of the one that every request is."""
    api = api_with(requests_per_s=1, requests_at_once=9)
    made(api, raw_store, 650)
    assert len(api("GET", SUBSCRIPTIONS).json()) == 650
    before = pages_read(raw_store)
    refused = api("GET", SUBSCRIPTIONS)
    assert "counts as 7 requests" in assert_error(refused, 429, "TOO_MANY_REQUESTS")
    assert 1 <= int(refused.headers["Retry-After"]) <= 6
    # What is read of a bucket is no page.
    assert pages_read(raw_store) - before <= 2


@pytest.mark.slow
def test_a_list_that_is_longer_than_the_rate_is_paid_with_all_of_it(
    api_with: ApiWith, raw_store: "redis.Redis"
) -> None:
    api = api_with(requests_per_s=1, requests_at_once=3)
    made(api, raw_store, 1_000)
    wait = int(api("GET", SUBSCRIPTIONS).headers["Retry-After"])
    assert wait in (1, 2)
    # Each of these counts too: it is full again once none came for three seconds.
    eventually(lambda: api("GET", SUBSCRIPTIONS).status_code == 200, "its rate is full", every_s=3.1)


def test_without_a_rate_a_list_costs_nothing(api_with: ApiWith, raw_store: "redis.Redis") -> None:
    api = api_with(requests_per_s=0, requests_at_once=1)
    made(api, raw_store, 300)
    assert {len(api("GET", SUBSCRIPTIONS).json()) for _ in range(5)} == {300}


def test_a_short_list_is_one_request(api_with: ApiWith, raw_store: "redis.Redis") -> None:
    api = api_with(requests_per_s=1, requests_at_once=6)
    made(api, raw_store, 99)
    assert [api("GET", SUBSCRIPTIONS).status_code for _ in range(5)] == [200] * 5


# What goes wrong in the middle


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Exception], None]:
    """A list fails at its n-th page."""
    pages_of = SubscriptionLists.pages_of

    def arm(number: int, error: Exception) -> None:
        def failing(lists: SubscriptionLists, client: str) -> Any:
            for at, page in enumerate(pages_of(lists, client)):
                if at == number:
                    raise error
                yield page

        monkeypatch.setattr(SubscriptionLists, "pages_of", failing)

    return arm


@pytest.mark.parametrize(
    ("error", "logged", "traceback"),
    [
        (Unavailable("the store is gone"), "cut off: the store is gone", False),
        (ZeroDivisionError("a bug"), "ZeroDivisionError: a bug", True),
    ],
    ids=["store", "bug"],
)
def test_a_failure_in_the_middle_cuts_the_list_off_and_is_logged(
    api: Api,
    raw_store: "redis.Redis",
    breaking: Callable[[int, Exception], None],
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    logged: str,
    traceback: bool,
) -> None:
    made(api, raw_store, 4 * PAGE)
    breaking(3, error)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        api("GET", SUBSCRIPTIONS)
    assert logged in caplog.text
    assert ("Traceback" in caplog.text) == traceback
    assert api("GET", "/healthz").status_code == 200


@pytest.mark.slow
def test_a_store_that_hangs_in_the_middle_cuts_the_list_off(api: Api, raw_store: "redis.Redis") -> None:
    """The store itself: it stops answering while the server waits for its reader."""
    first, *_ = made(api, raw_store, MANY)
    before = pages_read(raw_store)
    with closing(asked(api, buffer=4096)) as connection:
        settled(raw_store, before)
        raw_store.client_pause(5_000)
        answer = HTTPResponse(connection)
        answer.begin()
        with pytest.raises(IncompleteRead) as caught:
            answer.read()
    raw_store.client_unpause()
    with pytest.raises(json.JSONDecodeError):
        json.loads(caught.value.partial)
    eventually(lambda: api("GET", f"{SUBSCRIPTIONS}/{first}").status_code == 200, "it answers again")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_what_came_of_it_is_no_json(
    api: Api, raw_store: "redis.Redis", breaking: Callable[[int, Exception], None], version: str
) -> None:
    """Also for a client to which the end of the connection is the end of the answer."""
    made(api, raw_store, 4 * PAGE)
    breaking(2, Unavailable())
    with closing(asked(api, version)) as connection:
        answer = HTTPResponse(connection)
        answer.begin()
        assert answer.status == 200
        try:
            body = answer.read()
        except IncompleteRead as error:
            body = error.partial
            assert version == "1.1"
    assert body.count(b'"id"') == 2 * PAGE
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


@pytest.mark.parametrize("number", [0, 1])
def test_a_store_that_is_gone_at_first_is_answered_as_ever(
    api: Api, raw_store: "redis.Redis", breaking: Callable[[int, Exception], None], number: int
) -> None:
    made(api, raw_store, 4 * PAGE)
    breaking(number, Unavailable())
    assert_error(api("GET", SUBSCRIPTIONS), 503, "UNAVAILABLE")


# Slow readers


def asked(api: Api, version: str = "1.1", *, buffer: int | None = None) -> socket.socket:
    connection = socket.socket()
    if buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", api.port))
    lines = [f"GET {SUBSCRIPTIONS} HTTP/{version}", "Host: x", f"Authorization: Bearer {api.token()}"]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def settled(raw: "redis.Redis", before: int) -> int:
    """How much was read since `before`, once it has begun and nothing more is read for a second."""
    eventually(lambda: pages_read(raw) - before >= PAGE, "the list has begun")
    seen = [pages_read(raw)]
    while len(seen) < 5 or len(set(seen[-5:])) > 1:
        time.sleep(0.25)
        seen.append(pages_read(raw))
    return seen[-1] - before


@pytest.mark.slow
def test_no_more_is_read_than_a_client_takes(api: Api, raw_store: "redis.Redis") -> None:
    """Once what lies in between is full the server waits, and holds a page."""
    ids = made(api, raw_store, MANY)
    before = pages_read(raw_store)
    with closing(asked(api, buffer=4096)) as connection:
        assert settled(raw_store, before) < MANY * 0.9
        answer = HTTPResponse(connection)
        answer.begin()
        assert [found["id"] for found in json.loads(answer.read())] == ids
    assert pages_read(raw_store) - before >= MANY


def test_a_client_that_disconnects_ends_its_list(api: Api, raw_store: "redis.Redis") -> None:
    made(api, raw_store, MANY)
    before = pages_read(raw_store)
    with closing(asked(api, buffer=4096)) as connection:
        connection.recv(1024)
    assert settled(raw_store, before) < MANY * 0.9


@pytest.mark.slow
def test_a_client_that_does_not_read_is_given_up(
    api: Api, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_READER_DEADLINE_S", 0.5)
    made(api, raw_store, MANY)
    before = pages_read(raw_store)
    with closing(asked(api, buffer=4096)) as connection:
        settled(raw_store, before)
        answer = HTTPResponse(connection)
        answer.begin()
        with pytest.raises((ConnectionResetError, IncompleteRead)):
            answer.read()


@pytest.mark.slow
def test_a_slow_reader_gets_all_of_it(
    api: Api, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it reads at all."""
    monkeypatch.setattr(protocol, "_READER_DEADLINE_S", 1.0)
    ids = made(api, raw_store, MANY)
    with closing(asked(api, buffer=65_536)) as connection:
        answer = HTTPResponse(connection)
        answer.begin()
        received = bytearray()
        started = time.monotonic()
        while piece := answer.read(262_144):
            received += piece
            time.sleep(0.05)
    assert time.monotonic() - started > 1
    assert [found["id"] for found in json.loads(received)] == ids
