"""What a client is answered when what is stored of its subscription cannot be read."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.api.conftest import NETWORK, PUBLIC, Api, assert_error, invitation, subscription_request
from webrtc_events.store.keys import partition_of

SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"
P = partition_of("r1", 64)


def made(api: Api) -> str:
    answer = api("POST", SUBSCRIPTIONS, json=subscription_request())
    assert answer.status_code == 201
    return str(answer.json()["id"])


def by_another_type(raw: "redis.Redis", key: str) -> None:
    raw.delete(key)
    raw.set(key, b"\xff")


DAMAGES: dict[str, Callable[["redis.Redis", str], Any]] = {
    "broken JSON": lambda raw, key: raw.hset(key, "request", "{"),
    "breaks the contract": lambda raw, key: raw.hset(
        key, "request", '{"config": {"subscriptionDetail": {}}}'
    ),
    "bytes": lambda raw, key: raw.hset(key, "request", b"\xff\xfe"),
    "no moment": lambda raw, key: raw.hset(key, "starts_at", "9" * 30),
    "no fields": lambda raw, key: raw.hdel(key, "client", "subject", "status"),
    "other type": by_another_type,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_answers_for_a_damaged_subscription(
    api: Api, raw_store: "redis.Redis", damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    victim, mate = made(api), made(api)
    DAMAGES[damage](raw_store, P.subscription(victim))

    assert [resource["id"] for resource in api("GET", SUBSCRIPTIONS).json()] == [mate]
    assert f"damaged subscription={victim}" in caplog.text

    caplog.clear()
    one = api("GET", f"{SUBSCRIPTIONS}/{victim}", headers={"x-correlator": "c-1"})
    assert_error(one, 500, "INTERNAL")
    assert one.headers["x-correlator"] == "c-1"
    assert f"subscription={victim} is damaged: " in caplog.text
    assert "Traceback" not in caplog.text
    # Another's looks as if it were not there.
    stranger = api.token(client_id="stranger")
    assert api("GET", f"{SUBSCRIPTIONS}/{victim}", token=stranger).status_code == 404
    assert api("DELETE", f"{SUBSCRIPTIONS}/{victim}", token=stranger).status_code == 404

    published = api("POST", f"{NETWORK}/events", json=invitation(1))
    assert published.status_code == 202
    assert published.json()["results"][0]["status"] == "accepted"

    assert api("DELETE", f"{SUBSCRIPTIONS}/{victim}").status_code == 204
    assert api("GET", f"{SUBSCRIPTIONS}/{victim}").status_code == 404
    assert made(api)


def test_a_damaged_subscription_counts_towards_the_quota(
    api_with: Callable[..., Api], raw_store: "redis.Redis"
) -> None:
    """It does not break the count, and is no way around it."""
    api = api_with(max_subscriptions=2)
    victim, _ = made(api), made(api)
    by_another_type(raw_store, P.subscription(victim))
    assert_error(api("POST", SUBSCRIPTIONS, json=subscription_request()), 429, "QUOTA_EXCEEDED")
    assert api("DELETE", f"{SUBSCRIPTIONS}/{victim}").status_code == 204
    assert made(api)
