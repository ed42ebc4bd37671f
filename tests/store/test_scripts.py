"""What goes wrong with the store, and as which error it is raised. What scripts share."""

import re
from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable

import pytest
import redis

from tests.harness.builders import all_of, append, created, invitation
from tests.store.claiming import claim_one, settle
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import partition_of
from webrtc_events.store.redis.script_texts import (
    _LAST_SHARED,
    _LEFT_OUT,
    _NAMES,
    _SELDOM,
    _SHARED,
    _topics_of,
)
from webrtc_events.store.redis.scripts import store_errors
from webrtc_events.store.store import Store


@pytest.mark.parametrize(
    "text",
    [
        "BUSY Valkey is busy running a script",
        "NOREPLICAS Not enough good replicas to write.",
        "MISCONF Errors writing to the AOF file",
    ],
)
def test_what_passes_is_unavailable(text: str) -> None:
    with pytest.raises(Unavailable), store_errors():
        raise redis.ResponseError(text)


def test_a_bug_is_no_outage() -> None:
    with pytest.raises(redis.ResponseError), store_errors():
        raise redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")


def test_a_full_store_takes_nothing_new_but_lets_everything_out(
    store: Store, settings: Settings, raw_store: "redis.Redis"
) -> None:
    made, other = created(store), created(store)
    append(store, invitation(1))
    raw_store.config_set("maxmemory", "1")
    try:
        with pytest.raises(Unavailable):
            append(store, invitation(2))
        assert store.rate_limits.take_token("app") == 0
        again = Store.connect(settings)
        assert [subscription.id for subscription in all_of(again)]
        claims = again.claims.claim([partition_of("r1", 64)], subscriptions=5, events=5)
        assert {claim.subscription_id for claim in claims} == {made.id, other.id}
        again.close()
        store.expiry.sweep()
    finally:
        raw_store.config_set("maxmemory", "0")


def test_scripts_that_the_store_forgot_are_sent_again(store: Store, raw_store: "redis.Redis") -> None:
    created(store)
    raw_store.script_flush()
    assert append(store, invitation(1)) == [(True, 1)]
    raw_store.script_flush()
    assert settle(store, claim_one(store)) == "idle"


LUA = files("webrtc_events.store") / "lua"


def top_names(topics: Iterable[str]) -> set[str]:
    """What these shared files define for the scripts."""
    named = re.compile(r"^local (?:function )?([\w, ]+)", re.MULTILINE)
    return {
        word.strip()
        for topic in topics
        for found in named.findall((LUA / "shared" / f"{topic}.lua").read_text())
        for word in found.split(",")
    }


def words(path: Traversable) -> set[str]:
    """What it uses and does not define itself."""
    code = re.sub(r"--.*", "", path.read_text())
    return set(re.findall(r"\w+", code)) - set(re.findall(r"\blocal (?:function )?(\w+)", code))


@pytest.mark.parametrize("name", [name for name in _NAMES if len(_topics_of(name)) < len(_SHARED)])
def test_script_uses_nothing_that_is_left_out_of_it(name: str) -> None:
    names = top_names(set(_SHARED) - set(_topics_of(name)))
    assert names
    assert names & words(LUA / f"{name}.lua") == set()


@pytest.mark.parametrize("name", _LEFT_OUT)
def test_what_a_script_shares_uses_nothing_that_is_left_out_of_it(name: str) -> None:
    names = top_names(_LEFT_OUT[name])
    assert names
    used = (words(LUA / "shared" / f"{topic}.lua") for topic in _topics_of(name))
    assert names & set().union(*used) == set()


@pytest.mark.parametrize(
    ("name", "topic"), [(name, topic) for name, seldom in _SELDOM.items() for topic in seldom]
)
def test_what_a_script_seldom_needs_has_all_that_it_uses(name: str, topic: str) -> None:
    behind = _SHARED[_SHARED.index(topic) + 1 : _SHARED.index(_LAST_SHARED[name]) + 1]
    used = words(LUA / f"{name}.lua").union(*(words(LUA / "shared" / f"{other}.lua") for other in behind))
    assert top_names([topic]) & used == set(_SELDOM[name][topic])
