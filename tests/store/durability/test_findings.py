"""What is wrong with a store is said, by what real servers tell of themselves."""

import logging
import re
from pathlib import Path

import pytest

from tests.harness.builders import append, created, invitation
from tests.store.durability.conftest import Later, Start, Watch, logged
from webrtc_events.core.conditions import Condition, Health
from webrtc_events.store.durability.watch import UnfitStore

DURABLE = [
    ({"appendonly": "yes", "appendfsync": "everysec"}, "AOF everysec"),
    ({"appendonly": "yes", "appendfsync": "always", "save": "3600 1"}, "AOF always"),
    ({"appendonly": "yes", "appendfsync": "everysec", "maxmemory": "100mb"}, "AOF everysec"),
    ({"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "allkeys-lru"}, "AOF everysec"),
]
NOT_DURABLE = [
    ({"save": "", "appendonly": "no"}, "nothing on disk", "writes nothing to disk", "appendonly yes"),
    (
        {"save": "3600 1 300 100 60 10000", "appendonly": "no"},
        "snapshots only",
        "up to 60 minutes",
        "appendonly yes",
    ),
    (
        {"appendonly": "yes", "appendfsync": "no"},
        "AOF no",
        "does not sync its append-only file",
        "appendfsync everysec",
    ),
    (
        {"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "yes"},
        "AOF always",
        "while it is rewritten",
        "no-appendfsync-on-rewrite no",
    ),
    (
        {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory": "100mb",
            "maxmemory-policy": "allkeys-lru",
        },
        "AOF everysec",
        "when its memory is full",
        "maxmemory-policy noeviction",
    ),
    (
        {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory": "100mb",
            "maxmemory-policy": "volatile-lru",
        },
        "AOF everysec",
        "when its memory is full",
        "maxmemory-policy noeviction",
    ),
]


@pytest.mark.parametrize(("options", "described"), DURABLE)
def test_a_durable_store_is_named_and_nothing_more_is_said(
    start: Start, watch: Watch, caplog: pytest.LogCaptureFixture, options: dict[str, str], described: str
) -> None:
    server = start(options)
    begun = watch(server.url, REQUIRE_DURABLE_STORE="true")
    lines = logged(caplog, logging.INFO)
    assert lines[0].startswith("the store is empty")
    assert re.fullmatch(
        rf"the store is (Valkey|Redis) [0-9.]+, {described}, at {re.escape(server.address)}", lines[1]
    )
    assert len(lines) == 2
    assert begun.durability() == begun.clocks() == Condition.ok()
    created(begun.store)


@pytest.mark.parametrize(("options", "described", "wrong", "mend"), NOT_DURABLE)
def test_a_store_that_is_not_durable_is_said_to_be_so(
    start: Start,
    watch: Watch,
    caplog: pytest.LogCaptureFixture,
    options: dict[str, str],
    described: str,
    wrong: str,
    mend: str,
) -> None:
    server = start(options)
    begun = watch(server.url)
    assert f", {described}, at {server.address}" in caplog.text
    (line,) = logged(caplog)
    assert line.startswith(f"the store at {server.address} ")
    assert wrong in line
    assert f"Set `{mend}" in line
    condition = begun.durability()
    assert condition.health is Health.DEGRADED
    assert condition.detail.startswith("The store ")
    assert str(server.port) not in condition.detail
    # It works all the same.
    created(begun.store)
    assert append(begun.store, invitation(1)) == [(True, 1)]


@pytest.mark.parametrize(("options", "described", "wrong", "mend"), NOT_DURABLE)
def test_where_it_must_be_durable_the_service_does_not_start(
    start: Start, watch: Watch, options: dict[str, str], described: str, wrong: str, mend: str
) -> None:
    server = start(options)
    with pytest.raises(UnfitStore) as refused:
        watch(server.url, REQUIRE_DURABLE_STORE="true")
    first, *lines = str(refused.value).splitlines()
    assert first.startswith("WEBRTC_EVENTS_REQUIRE_DURABLE_STORE=true")
    assert len(lines) == 1
    assert wrong in lines[0]
    assert mend in lines[0]


# Permissions


@pytest.mark.parametrize(
    ("denied", "says"),
    [
        ("-config", ["does not say how often it syncs that file (appendfsync)"]),
        ("-info", ["does not permit INFO"]),
        ("-info -config", ["does not permit INFO", "does not say whether it keeps an append-only file"]),
    ],
)
def test_what_the_user_may_not_ask_is_said_and_not_guessed(
    start: Start, watch: Watch, caplog: pytest.LogCaptureFixture, denied: str, says: list[str]
) -> None:
    server = start({"appendonly": "yes"})
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", "on", ">x", "~*", "&*", "+@all", *denied.split())
    url = server.url.replace("redis://", "redis://app:x@")
    begun = watch(url)
    lines = logged(caplog, logging.INFO)
    for text in says:
        assert sum(text in line for line in lines) == 1
    assert not [line for line in lines if "nothing to disk" in line or "app:x" in line]
    # Nothing is known to be wrong, but for what the scripts cannot do without.
    wanted = Health.DEGRADED if "-info" in denied else Health.OK
    assert begun.durability().health is wanted
    with pytest.raises(
        UnfitStore, match=r"it cannot be shown that it is durable. Allow its user \+(info|config)"
    ):
        watch(url, REQUIRE_DURABLE_STORE="true")
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", "+@all")
    watch(url, REQUIRE_DURABLE_STORE="true")


def test_a_user_who_may_not_mark_the_store_is_reported_with_the_consequence(
    start: Start, watch: Watch, later: Later, caplog: pytest.LogCaptureFixture
) -> None:
    """One who was given what the release before needed."""
    server = start({"appendonly": "yes"})
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", "on", ">x", "~*", "&*", "+@all", "-xrange")
        begun = watch(server.url.replace("redis://", "redis://app:x@"), REQUIRE_DURABLE_STORE="true")
        (line,) = logged(caplog)
        assert "does not permit XADD, XRANGE and XREVRANGE on keys *:marks" in line
        assert begun.durability().health is Health.DEGRADED
        made = created(begun.store)
        assert begun.store.subscriptions.get(made.id) is not None
        assert not client.keys("*marks")
        later(begun)
        assert logged(caplog) == []
        client.execute_command("ACL", "SETUSER", "app", "+xrange")
        begun.step()
        later(begun)
        assert begun.durability() == Condition.ok()
        client.flushall()
        begun.step()
        assert "was emptied" in logged(caplog)[0]


def test_a_command_that_is_not_there_is_as_one_that_is_not_permitted(
    start: Start, watch: Watch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """As managed stores have it."""
    managed = tmp_path / "managed.conf"
    managed.write_text("rename-command CONFIG hidden\n")
    server = start({"appendonly": "yes", "include": str(managed)})
    begun = watch(server.url)
    assert logged(caplog, logging.WARNING) == []
    assert begun.durability() == Condition.ok()
    with pytest.raises(UnfitStore, match="appendfsync"):
        watch(server.url, REQUIRE_DURABLE_STORE="true")
