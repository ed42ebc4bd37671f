"""`webrtc-events damaged`, as an operator runs it."""

import json
from typing import Any

import pytest
import redis

from tests.harness.builders import append, created, invitation
from tests.harness.commands import clean_environ, run
from webrtc_events.core.model import EventType, Subscription
from webrtc_events.store.keys import client_key, partition_of
from webrtc_events.store.store import Store

P = partition_of("r1", 64)


@pytest.fixture
def command(environ: dict[str, str]) -> Any:
    def given(*arguments: str, stdin: bytes = b"") -> Any:
        return run("damaged", *arguments, stdin=stdin, env=clean_environ() | environ)

    return given


@pytest.fixture
def victim(store: Store, raw_store: "redis.Redis") -> Subscription:
    """Damaged by a terminal's sequence, and with an event that waits."""
    made = created(store, sealed="1.key.s3aled")
    append(store, invitation(1))
    raw_store.hset(P.subscription(made.id), "fence", b"\x1b[2J\xff\\")
    return made


def test_a_healthy_store_lists_nothing(store: Store, command: Any) -> None:
    created(store)
    append(store, invitation(1))
    store.claims.claim([P], subscriptions=1, events=8)
    done = command("list")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_list_names_it_and_why(victim: Subscription, command: Any) -> None:
    assert command("list").stdout.decode() == f"{victim.id}  its field fence is no number\n"
    (line,) = command("list", "--json").stdout.splitlines()
    assert json.loads(line) == {
        "name": victim.id,
        "key": P.subscription(victim.id),
        "why": "its field fence is no number",
    }


def test_show_has_every_byte_escaped_and_no_secret(victim: Subscription, command: Any) -> None:
    text = command("show", victim.id).stdout.decode()
    assert r"fence = \x1b[2J\xff\\" in text
    assert "\x1b" not in text
    assert "s3aled" not in text
    assert "+12025550100" in text
    records = [json.loads(line) for line in command("show", victim.id, "--json").stdout.splitlines()]
    assert [record["type"] for record in records] == ["hash", "list"]


def test_repair_after_a_mend_by_hand(
    victim: Subscription, command: Any, store: Store, raw_store: "redis.Redis"
) -> None:
    """Not before; then it is claimed at once, also when an index had lost it."""
    assert store.claims.claim([P], subscriptions=5, events=8) == []
    early = command("repair", victim.id)
    assert (early.returncode, early.stdout) == (1, b"")
    assert "its field fence is no number" in early.stderr.decode()
    raw_store.hset(P.subscription(victim.id), "fence", 1)
    raw_store.srem(P.registration(EventType.SESSION_INVITATION, "r1"), victim.id)
    assert store.claims.claim([P], subscriptions=5, events=8) == []
    assert command("repair", victim.id).stdout.decode() == f"{victim.id}: in service\n"
    (claim,) = store.claims.claim([P], subscriptions=5, events=8)
    assert [item.number for item in claim.items] == [1]
    assert append(store, invitation(2)) == [(True, 1)]


def test_drop_asks_and_leaves_nothing(
    victim: Subscription, command: Any, store: Store, raw_store: "redis.Redis"
) -> None:
    assert command("drop", victim.id, stdin=b"n\n").returncode == 1
    assert raw_store.exists(P.subscription(victim.id))
    assert command("drop", victim.id, "--yes").stdout.decode() == f"{victim.id}: removed\n"
    assert raw_store.zscore(client_key("app"), victim.id) is None
    assert not [key for key in raw_store.scan_iter() if victim.id in key]
    again = command("drop", victim.id, "--yes")
    assert again.returncode == 1
    assert "nothing damaged" in again.stderr.decode()


def test_what_can_be_read_is_not_dropped(store: Store, command: Any, raw_store: "redis.Redis") -> None:
    made = created(store)
    assert command("drop", made.id, "--yes").returncode == 1
    assert store.subscriptions.get(made.id) is not None


def test_what_was_set_aside_is_listed_shown_and_dropped(
    store: Store, command: Any, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    raw_store.set(P.due, "\x00text")
    store.claims.claim([P], subscriptions=1, events=1)
    store.expiry.sweep()
    append(store, invitation(1))
    (claim,) = store.claims.claim([P], subscriptions=1, events=1)
    assert claim.subscription_id == made.id
    name = f"set-aside:{P.due}"
    assert command("list").stdout.decode().startswith(f"{name}  a string that was found")
    assert r"\x00text" in command("show", name).stdout.decode()
    assert command("drop", name, "--yes").returncode == 0
    assert command("list").stdout == b""


def test_help_teaches(command: Any) -> None:
    for name in ("list", "show", "drop", "repair"):
        assert b"Example" in command(name, "--help").stdout
