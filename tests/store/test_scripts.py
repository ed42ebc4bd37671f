"""What goes wrong with the store, and as which error it is raised. What scripts share."""

import re
from importlib.resources import files

import pytest
import redis

from tests.harness.builders import all_of, append, created, invitation
from tests.store.claiming import claim_one, settle
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import partition_of
from webrtc_events.store.redis.scripts import _LAST_SHARED, _SHARED, store_errors
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


@pytest.mark.parametrize("name", sorted(_LAST_SHARED))
def test_short_script_uses_nothing_that_is_left_out_of_it(name: str) -> None:
    folder = files("webrtc_events.store") / "lua"
    left_out = _SHARED[_SHARED.index(_LAST_SHARED[name]) + 1 :]
    named = re.compile(r"^local (?:function )?([\w, ]+)", re.MULTILINE)
    names = {
        word.strip()
        for topic in left_out
        for found in named.findall((folder / "shared" / f"{topic}.lua").read_text())
        for word in found.split(",")
    }
    assert left_out
    assert names
    code = re.sub(r"--.*", "", (folder / f"{name}.lua").read_text())
    own = set(re.findall(r"\blocal (?:function )?(\w+)", code))
    assert not (names - own) & set(re.findall(r"\w+", code))
