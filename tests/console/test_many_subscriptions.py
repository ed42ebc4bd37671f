"""With very many subscriptions a page stays small, and takes as few steps as with few."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from tests.harness import many_subscriptions
from webrtc_events.core.model import EventType
from webrtc_events.store.keys import client_key
from webrtc_events.store.redis.client import Client

MANY = 100_000
CLIENTS = 20
_MAX_PAGE_BYTES = 60_000
# A step of the search for 50 is one of 1,000 keys; half of them may be of subscriptions.
_MAX_COMMANDS = 700


def fill(raw_store: "redis.Redis", count: int) -> None:
    clients = [f"client-{number}" for number in range(CLIENTS)]
    many_subscriptions.fill(raw_store, count, clients=clients, types=list(EventType)[:3])


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many were sent in each round trip."""
    sent: list[int] = []
    run = Client.run

    def counted(client: Client, asked: Sequence[Any], **options: Any) -> list[Any]:
        sent.append(len(asked))
        return run(client, asked, **options)

    monkeypatch.setattr(Client, "run", counted)
    return sent


@pytest.mark.parametrize("count", [2_000, pytest.param(MANY, marks=pytest.mark.slow)])
def test_the_first_page_is_small_and_takes_few_steps(
    console: FlaskClient, raw_store: "redis.Redis", commands: list[int], count: int
) -> None:
    """How long it takes is measured by bench/console_pages.py."""
    fill(raw_store, count)
    raw_store.config_resetstat()
    for query in ("", "?client=client-7", "?registration=registration-7", "?status=live&type=session-status"):
        commands.clear()
        page = console.get(f"/subscriptions/{query}")
        assert (page.status_code, len(page.data) <= _MAX_PAGE_BYTES) == (200, True)
        assert re.search("rel=.next", page.text) or "registration" in query
        assert sum(commands) <= _MAX_COMMANDS, query
    # No command looks at all of it.
    assert not {"cmdstat_keys", "cmdstat_hgetall", "cmdstat_smembers"} & raw_store.info("commandstats").keys()


def test_a_subscription_among_many_takes_few_steps(
    console: FlaskClient, raw_store: "redis.Redis", commands: list[int]
) -> None:
    fill(raw_store, 2_000)
    (subscription_id,) = raw_store.zrange(client_key("client-3"), 9, 9)
    page = console.get(f"/subscriptions/{subscription_id}")
    assert (page.status_code, len(page.data) <= _MAX_PAGE_BYTES) == (200, True)
    assert sum(commands) <= 20
