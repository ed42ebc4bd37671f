"""Findings while the service runs: logged when they change, and what the service refuses meanwhile."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.harness.builders import append, created, invitation
from tests.harness.valkeys import eventually
from tests.store.durability.conftest import Later, Start, TurnableClock, Watch, logged
from webrtc_events.core.conditions import Condition, Health
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Status, TerminationReason
from webrtc_events.store.durability.watch import StoreWatch
from webrtc_events.store.keys import partition_of
from webrtc_events.store.settlements import Settlement

P = partition_of("r1", 64)


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
