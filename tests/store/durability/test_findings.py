"""What is wrong with a store is said, by what real servers tell of themselves."""

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from tests.harness.builders import append, created, invitation
from tests.harness.valkeys import eventually
from tests.store.durability.conftest import Later, Start, TurnableClock, Watch, logged
from webrtc_events.core.conditions import Condition, Health
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Status, TerminationReason
from webrtc_events.store.durability.watch import StoreWatch, UnfitStore
from webrtc_events.store.keys import partition_of
from webrtc_events.store.settlements import Settlement

P = partition_of("r1", 64)

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


# While it runs


def test_changes_are_logged_once_and_what_stays_wrong_every_hour(
    start: Start, watch: Watch, later: Later, caplog: pytest.LogCaptureFixture
) -> None:
    server = start({"appendonly": "yes"})
    begun = watch(server.url)
    assert logged(caplog) == []
    with server.client() as client:
        client.config_set("appendonly", "no")
        begun.step()
        assert logged(caplog, logging.INFO) == []
        later(begun)
        (line,) = logged(caplog)
        assert "writes nothing to disk" in line
        for _ in range(3):
            later(begun)
        assert logged(caplog, logging.INFO) == []
        later(begun, 3600)
        (reminder,) = logged(caplog)
        assert reminder == f"still so: {line}"
        later(begun)
        assert logged(caplog, logging.INFO) == []
        client.config_set("appendonly", "yes")
        eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"], "it is written")
        later(begun)
        assert logged(caplog, logging.INFO) == [f"no longer so: {line}"]
        later(begun, 3600)
        assert logged(caplog, logging.INFO) == []
    assert begun.durability() == Condition.ok()


def test_where_it_must_be_durable_nothing_new_is_taken_while_it_is_not(
    start: Start, watch: Watch, later: Later, caplog: pytest.LogCaptureFixture
) -> None:
    server = start({"appendonly": "yes"})
    begun = watch(server.url, REQUIRE_DURABLE_STORE="true")
    store = begun.store
    made = created(store)
    append(store, invitation(1))
    with server.client() as client:
        client.config_set("appendfsync", "no")
        later(begun)
        _, refusing = logged(caplog)
        assert refusing.startswith("new events and subscriptions are refused")
        assert begun.durability().health is Health.UNAVAILABLE
        for refused in (
            lambda: created(store),
            lambda: append(store, invitation(2)),
            lambda: store.subscriptions.update(made, expires_at_ms=None, sealed=None),
            lambda: store.session_states.record([invitation(3)]),
        ):
            with pytest.raises(Unavailable, match="does not keep what it is given"):
                refused()
        # What was taken before is shown, delivered and ended.
        assert store.subscriptions.get(made.id) is not None
        (claim,) = store.claims.claim([P], subscriptions=1, events=1)
        assert store.claims.settle([Settlement(claim, 1)]) == ["idle"]
        ended = store.subscriptions.end(
            made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
        )
        assert ended == "ended"
        later(begun)
        assert logged(caplog, logging.INFO) == []
        client.config_set("appendfsync", "always")
        later(begun)
        assert logged(caplog, logging.INFO)[-1] == "new events and subscriptions are taken again"
    assert begun.durability() == Condition.ok()
    created(store)


def test_a_full_disk_under_the_append_only_file(
    start: Start, watch: Watch, later: Later, caplog: pytest.LogCaptureFixture
) -> None:
    server = start({"appendonly": "yes", "appendfsync": "everysec"})
    begun = watch(server.url, REQUIRE_DURABLE_STORE="true")
    created(begun.store)
    server.limit_files(20_000)

    def refused() -> bool:
        try:
            created(begun.store)
        except Unavailable:
            return True
        return False

    eventually(refused, "the store takes no writes")
    logged(caplog)
    # It is logged, though the store takes no marks either.
    with pytest.raises(Unavailable):
        begun.step()
    line, _ = logged(caplog)
    assert "cannot write to its append-only file" in line
    assert "aof_last_write_status:err" in line
    assert begun.durability().health is Health.UNAVAILABLE
    server.limit_files()
    with server.client() as client:
        eventually(lambda: client.info("persistence")["aof_last_write_status"] == "ok", "it can write again")
    begun.step()
    assert begun.durability() == Condition.ok()
    assert logged(caplog) == []
    created(begun.store)


def test_a_full_disk_under_snapshots(
    start: Start, watch: Watch, later: Later, caplog: pytest.LogCaptureFixture
) -> None:
    server = start({"appendonly": "no", "save": "3600 1"})
    begun = watch(server.url)
    logged(caplog)
    server.limit_files(10)
    created(begun.store)
    with server.client() as client:
        client.bgsave()
        eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "it fails")
        with pytest.raises(Unavailable):
            begun.step()
        (line,) = logged(caplog)
        assert "could not write its last snapshot and takes no writes until it can" in line
        assert "could not write its last snapshot" in begun.durability().detail
        server.limit_files()
        client.bgsave()
        eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok", "it works")
    begun.step()
    assert [text for text in logged(caplog, logging.INFO) if "no longer so" in text]


# Clocks


@pytest.mark.parametrize(
    ("off_s", "says"), [(-30.0, "30.0 s ahead of this host's"), (3600.0, "3600.0 s behind this host's")]
)
def test_a_clock_that_is_not_that_of_the_store_is_logged_with_the_difference(
    start: Start,
    watch: Watch,
    later: Later,
    clock: TurnableClock,
    caplog: pytest.LogCaptureFixture,
    off_s: float,
    says: str,
) -> None:
    server = start({"appendonly": "yes"})
    begun = watch(server.url, REQUIRE_DURABLE_STORE="true")
    assert logged(caplog) == []
    clock.wall_s += off_s
    later(begun)
    (line,) = logged(caplog)
    assert f"has a clock that is {says}" in line
    assert begun.clocks() == Condition(Health.DEGRADED, f"A clock of the store is {says}.")
    assert begun.durability() == Condition.ok()
    clock.wall_s -= off_s
    later(begun)
    assert begun.clocks() == Condition.ok()


def test_a_look_asks_nothing_of_a_store_that_is_gone_for_whoever_is_ready(
    start: Start, watch: Watch, later: Later
) -> None:
    """Readiness is that of the latest look, whatever the store does."""
    server = start({"appendonly": "no"})
    begun = watch(server.url)
    former = begun.durability()
    server.kill()
    with pytest.raises(Unavailable):
        later(begun)
    assert begun.durability() == former


def test_a_store_that_is_busy_is_no_store_that_refuses(
    start: Start, watch: Watch, later: Later, caplog: pytest.LogCaptureFixture
) -> None:
    """It answers each command with an error, which says nothing of what is permitted."""
    server = start({"appendonly": "yes", "busy-reply-threshold": "20"})
    begun = watch(server.url, REQUIRE_DURABLE_STORE="true")
    logged(caplog)
    with server.client() as client, server.client() as other, ThreadPoolExecutor(1) as pool:
        endless = pool.submit(client.eval, "while true do end", 0)

        def is_busy() -> bool:
            try:
                return not other.info()
            except redis.ResponseError as error:
                return str(error).startswith("BUSY")

        eventually(is_busy, "it is busy")
        with pytest.raises(Unavailable):
            later(begun)
        assert logged(caplog, logging.INFO) == []
        assert begun.durability() == Condition.ok()
        other.script_kill()
        assert isinstance(endless.exception(10), redis.ResponseError)
    later(begun)
    created(begun.store)


def test_one_watch_is_one_thread_that_stops(start: Start, watch: Watch) -> None:
    server = start({"appendonly": "yes"})
    begun: StoreWatch = watch(server.url)
    begun.loop.start()
    assert begun.loop.alive()
    begun.loop.ask_to_stop()
    assert begun.loop.join(5)
