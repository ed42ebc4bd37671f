"""What processes say of themselves is found as long as they do, and a while longer."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from webrtc_events.core.process_report import HostReport, HostState, ProcessReport, WorkerReport
from webrtc_events.store.keys import PROCESSES_KEY, activity_key, process_key
from webrtc_events.store.process_reports import KNOWN_MS, MAX_PROCESSES
from webrtc_events.store.store import Store

StoreAt = Callable[..., Store]


def report(at_ms: int, **changes: Any) -> ProcessReport:
    values: dict[str, Any] = {"role": "api", "machine": "a", "pid": 7, "version": "1", "started_ms": 1}
    return ProcessReport(at_ms=at_ms, **(values | changes))


def say(store: Store, name: str, **changes: Any) -> ProcessReport:
    said = report(store.processes.now_ms(), **changes)
    store.processes.say(name, said, {})
    return said


def test_a_report_is_read_as_it_was_given(store: Store) -> None:
    hosts = (HostReport("https://a:443", HostState.OPEN, 12.5, 3),)
    said = say(store, "one", role="worker", counts={"delivered": 2}, worker=WorkerReport(4, 3, hosts, 1))
    found = store.processes.read()
    assert dict(found.reports) == {"one": said}
    assert found.damaged == 0
    assert said.at_ms <= found.now_ms


def test_the_latest_report_stands(store: Store) -> None:
    say(store, "one", pid=1)
    latest = say(store, "one", pid=2)
    assert dict(store.processes.read().reports) == {"one": latest}


def test_one_that_leaves_is_gone_at_once(store: Store, raw_store: "redis.Redis") -> None:
    say(store, "one")
    other = say(store, "two")
    store.processes.leave("one")
    store.processes.leave("one")
    assert dict(store.processes.read().reports) == {"two": other}
    assert not raw_store.exists(process_key("one"))


def test_one_that_falls_silent_is_known_for_a_while(store: Store, raw_store: "redis.Redis") -> None:
    said = say(store, "killed")
    store.processes.say("other", report(said.at_ms + KNOWN_MS - 1), {})
    assert set(store.processes.read().reports) == {"killed", "other"}
    store.processes.say("other", report(said.at_ms + KNOWN_MS), {})
    assert set(store.processes.read().reports) == {"other"}
    # Nothing of it stays, whoever is left.
    assert 0 < raw_store.pttl(process_key("killed")) <= KNOWN_MS
    assert 0 < raw_store.pttl(PROCESSES_KEY) <= KNOWN_MS


def test_of_very_many_those_that_spoke_last_are_read(store: Store) -> None:
    now_ms = store.processes.now_ms()
    for number in range(MAX_PROCESSES + 5):
        store.processes.say(f"p{number}", report(now_ms + number), {})
    assert set(store.processes.read().reports) == {f"p{number}" for number in range(5, MAX_PROCESSES + 5)}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"role":"api"}', '{"role":1}'])
def test_a_report_that_cannot_be_read_is_counted_and_the_others_are_read(
    store: Store, raw_store: "redis.Redis", text: str
) -> None:
    said = say(store, "one")
    say(store, "damaged")
    raw_store.set(process_key("damaged"), text)
    found = store.processes.read()
    assert dict(found.reports) == {"one": said}
    assert found.damaged == 1


def test_a_key_of_another_type_is_counted_and_made_anew(store: Store, raw_store: "redis.Redis") -> None:
    say(store, "one")
    for key in (process_key("one"), PROCESSES_KEY, activity_key(5)):
        raw_store.delete(key)
    raw_store.sadd(PROCESSES_KEY, "x")
    raw_store.set(activity_key(5), "x")
    assert store.processes.read().damaged == 1
    assert [minute.damaged for minute in store.processes.minutes(5, 2)] == [0, 1]
    said = report(store.processes.now_ms())
    for _ in range(2):
        store.processes.say("one", said, {5: {"one": b'{"accepted":1}'}})
    assert dict(store.processes.read().reports) == {"one": said}
    assert store.processes.minutes(5, 1)[0].counts == {"accepted": 1}


def test_a_report_of_a_newer_release_is_read_as_far_as_it_is_known(
    store: Store, raw_store: "redis.Redis"
) -> None:
    said = say(store, "one")
    text = raw_store.get(process_key("one"))
    raw_store.set(process_key("one"), text[:-1] + ',"more":{"a":[1]}}')
    assert dict(store.processes.read().reports) == {"one": said}
