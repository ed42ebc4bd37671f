"""What workers see becomes events once, whoever of them is first."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.conftest import contents, servers_of
from tests.harness.builders import created
from tests.harness.commands import eventually
from tests.harness.sinks import RecordingSink
from tests.operator_events.conftest import Watcher
from tests.operator_events.received import event_of, kinds
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.settings import Settings
from webrtc_events.operator_events.sending import Sending
from webrtc_events.store.activity_log import counts_text
from webrtc_events.store.connection import Connection
from webrtc_events.store.damaged_records import DamagedRecords
from webrtc_events.store.keys import OPERATOR, OPERATOR_CONDITIONS
from webrtc_events.store.long_failures import SinkNews
from webrtc_events.store.store import Store

HOST = "https://a.example:443"

Watchers = Callable[..., Watcher]
Senders = Callable[..., Sending]


def sent(sender: Senders, operator: RecordingSink, **more: Any) -> list[str]:
    """All that waits, by what it says."""
    sending = sender(**more)
    eventually(lambda: not sending.step() and not sending._outbox.may_be_due())
    return kinds(operator.requests)


def test_many_workers_that_see_the_same_at_once_report_it_once(
    store_at: Callable[..., Store], watcher: Watchers, sender: Senders, operator: RecordingSink
) -> None:
    watchers = [watcher(store_at(0)) for _ in range(8)]
    ready = threading.Barrier(len(watchers))

    def see(one: Watcher) -> None:
        one.hosts.open = {HOST: "connect", "https://b.example:443": "tls"}
        ready.wait()
        one.step()
        one.step()

    threads = [threading.Thread(target=see, args=(one,)) for one in watchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sent(sender, operator) == ["sink-circuit-opened"] * 2
    assert {event_of(received)["subject"] for received in operator.requests} == {
        HOST,
        "https://b.example:443",
    }


def test_a_worker_that_begins_later_notices_that_the_host_answers(
    store_at: Callable[..., Store], watcher: Watchers, sender: Senders, operator: RecordingSink
) -> None:
    """The one that saw it break was killed."""
    killed = watcher()
    killed.hosts.open = {HOST: "connect"}
    killed.step()
    new = watcher(store_at(40))
    new.step()
    new.hosts.answered[HOST] = 3
    new.step()
    assert sent(sender, operator) == ["sink-circuit-opened", "sink-recovered"]


def test_what_the_store_did_not_take_is_reported_later(
    store: Store,
    watcher: Watchers,
    sender: Senders,
    operator: RecordingSink,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = watcher()
    store.connection.long_failures.report([["s1", SinkNews.ENDED, "1", "https://a.example/"]])
    with monkeypatch.context() as patched:

        def fails(_: Connection, call: Any) -> Any:
            raise Unavailable(call.script)

        patched.setattr(Connection, "run", fails)
        with pytest.raises(Exception, match="operator_state"):
            one.step()
    one.step()
    one.step()
    assert sent(sender, operator) == ["subscription-ended-for-failure"]


def test_given_up_events_of_all_processes_count_and_those_of_operators_do_not(
    store: Store, watcher: Watchers, sender: Senders, operator: RecordingSink
) -> None:
    now = store.processes.now_ms() // 60_000
    report = watcher()
    report.step()
    assert sent(sender, operator) == []
    for minute in (now, now + 1):
        store.client.hset(f"activity:{minute}", mapping={
            "api": counts_text({"given_up": 30}), "worker": counts_text({"given_up": 31}),
        })  # fmt: skip
    watcher().step()
    assert sent(sender, operator) == ["dead-letters-high"]
    assert event_of(operator.requests[0])["data"]["count"] == 61
    assert event_of(operator.requests[0])["data"]["threshold"] == 60


def test_many_that_were_given_up_late_in_a_minute_are_reported_in_the_next(
    store: Store, watcher: Watchers, sender: Senders, operator: RecordingSink
) -> None:
    now = store.processes.now_ms() // 60_000
    store.client.hset(f"activity:{now - 1}", "worker", counts_text({"given_up": 61}))
    # That minute may end while this runs.
    store.client.hset(f"activity:{now}", "worker", counts_text({"given_up": 60}))
    watcher().step()
    assert sent(sender, operator) == ["dead-letters-high"]
    assert event_of(operator.requests[0])["data"]["count"] == 61


def test_a_store_above_its_watermark_still_takes_what_says_so(
    store: Store,
    watcher: Watchers,
    sender: Senders,
    operator: RecordingSink,
    raw_store: "redis.Redis",
    settings: Settings,
) -> None:
    nodes = {node: node.info("memory")["used_memory"] for node in servers_of(raw_store)}
    for node, used in nodes.items():
        node.config_set("maxmemory", int(used * 1.05))
    try:
        with pytest.raises(Unavailable):
            # Nothing else is taken.
            created(store)
        one = watcher()
        one.step()
        assert sent(sender, operator) == ["store-above-watermark"]
        for node in nodes:
            node.config_set("maxmemory", 0)
        watcher().step()
        # Without a limit there is no watermark, and nothing to report of it.
        assert kinds(operator.requests) == ["store-above-watermark"]
        for node, used in nodes.items():
            node.config_set("maxmemory", 4 * used)
        watcher().step()
        assert sent(sender, operator) == ["store-above-watermark", "store-below-watermark"]
    finally:
        for node in nodes:
            node.config_set("maxmemory", 0)
    data = event_of(operator.requests[0])["data"]
    assert data["usedBytes"] > data["watermarkBytes"]


@pytest.mark.parametrize("damage", ["no JSON", '{"sinks": 3}', "\udcff"])
def test_conditions_that_cannot_be_read_are_made_anew(
    store: Store, watcher: Watchers, sender: Senders, operator: RecordingSink, damage: str
) -> None:
    one = watcher()
    one.hosts.open = {HOST: "dns"}
    one.step()
    store.client.hset(OPERATOR_CONDITIONS, "state", damage.encode("utf-8", "surrogateescape"))
    one.step()
    assert sent(sender, operator) == ["sink-circuit-opened"] * 2


def test_a_version_that_is_no_number_is_as_none(
    store: Store, watcher: Watchers, sender: Senders, operator: RecordingSink
) -> None:
    store.client.hset(OPERATOR_CONDITIONS, mapping={"version": "x", "state": "{}"})
    one = watcher()
    one.hosts.open = {HOST: "dns"}
    one.step()
    one.step()
    assert sent(sender, operator) == ["sink-circuit-opened"]


def test_conditions_of_another_type_are_set_aside(
    store: Store, watcher: Watchers, sender: Senders, operator: RecordingSink
) -> None:
    store.client.set(OPERATOR_CONDITIONS, "text")
    one = watcher()
    one.hosts.open = {HOST: "dns"}
    one.step()
    assert sent(sender, operator) == ["sink-circuit-opened"]


def test_what_is_said_to_be_reported_is_in_the_outbox(
    store: Store, watcher: Watchers, sender: Senders, operator: RecordingSink
) -> None:
    """Also where the record of that was damaged."""
    store.operator_outbox.append("{}")
    store.client.hset(OPERATOR.subscription("operator"), "number", "x")
    one = watcher()
    one.hosts.open = {HOST: "dns"}
    one.step()
    assert sent(sender, operator) == ["sink-circuit-opened"]


def test_nobody_else_meets_what_is_kept_for_operators(
    store: Store, watcher: Watchers, raw_store: "redis.Redis"
) -> None:
    one = watcher()
    one.hosts.open = {HOST: "dns"}
    one.step()
    kept = set(contents(raw_store)) - {"partitions"}
    assert {key for key in kept if key.startswith(OPERATOR.tag)} >= {
        OPERATOR.due,
        OPERATOR.outbox("operator"),
        OPERATOR.subscription("operator"),
        OPERATOR_CONDITIONS,
    }
    assert list(DamagedRecords(store).find()) == []
    assert all(0 < raw_store.ttl(key) <= 90_000 for key in kept if key.startswith(OPERATOR.tag))
    # No pattern by which subscriptions are found, in this release or in those before.
    assert raw_store.keys("{*}:subscription:*") == []
    assert store.backlog.read().events == 0
    assert store.claims.look([*store.connection.partitions]) == []


def test_when_nothing_is_wrong_nothing_is_written(watcher: Watchers, raw_store: "redis.Redis") -> None:
    for _ in range(3):
        watcher().step()
    assert [key for key in raw_store.keys("*") if "operator" in key] in ([], [OPERATOR.clock])
