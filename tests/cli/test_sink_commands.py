"""`webrtc-events sinks`, as an operator runs it."""

import json
from typing import Any

import pytest
import redis

from tests.cli.operators import lines_of
from tests.harness.builders import append, created, invitation
from tests.harness.commands import clean_environ, run
from webrtc_events.core.process_report import HostReport, HostState, ProcessReport, WorkerReport
from webrtc_events.store.keys import PROCESSES_KEY, process_key
from webrtc_events.store.store import Store


@pytest.fixture
def sinks(environ: dict[str, str]) -> Any:
    def command(*arguments: str) -> Any:
        return run("sinks", *arguments, env=clean_environ() | environ)

    return command


def speak(store: Store, name: str, *hosts: HostReport, more: int = 0) -> None:
    # Ahead, so that a slow test does not take it for missing.
    now_ms = store.processes.now_ms() + 600_000
    worker = WorkerReport(claimed=1, in_flight=1, hosts=hosts, more_hosts=more)
    report = ProcessReport(
        role="worker", machine="m1", pid=7, version="0", at_ms=now_ms, started_ms=now_ms, worker=worker
    )
    store.processes.say(name, report, {})


def test_list_says_what_is_known_and_by_whom(store: Store, sinks: Any) -> None:
    created(store, sink="https://waits.example/x")
    append(store, invitation(1), invitation(2))
    speak(store, "one", HostReport("https://away.example:443", HostState.OPEN, 75.0, 1, 1), more=3)
    done = sinks("list")
    heading, first, second = done.stdout.decode().splitlines()
    assert heading.split()[:3] == ["HOST", "CIRCUIT", "EVENTS"]
    assert first.split()[:2] == ["https://away.example:443", "open"]
    assert "1 worker" in first
    assert second.split()[:3] == ["https://waits.example:443", "-", "2"]
    assert "the store" in second
    assert b"about 3 more hosts are not well" in done.stderr
    away, waits = lines_of(sinks("list", "--json").stdout)
    assert (away["state"], away["limit"], away["workers"], away["waitingEvents"]) == ("open", 1, 1, 0)
    assert (waits["state"], waits["limit"], waits["waitingEvents"]) == (None, None, 2)
    assert 0 <= waits["oldestWaitingMs"] < 60_000
    assert len(lines_of(sinks("list", "--json", "--limit", "1").stdout)) == 1


def test_without_a_worker_a_short_list_is_no_good_news(store: Store, sinks: Any) -> None:
    done = sinks("list")
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"No worker runs" in done.stderr


def test_show_has_limits_and_what_each_worker_says(store: Store, sinks: Any) -> None:
    created(store, sink="https://waits.example:8443/x")
    append(store, invitation(1))
    speak(store, "one", HostReport("https://waits.example:8443", HostState.THROTTLED, 5.0, 2, 4))
    speak(store, "two")
    for name in ("waits.example:8443", "https://waits.example:8443/x"):
        found = json.loads(sinks("show", name, "--json").stdout)
        assert (found["host"], found["waitingEvents"]) == ("https://waits.example:8443", 1)
        assert found["settings"] == {"inFlight": 64, "connections": 64, "failureSeconds": 86400}
        assert sorted(
            (worker["state"], worker["limit"]) for worker in found["workers"] if worker["state"]
        ) == [("throttled", 4)]
        assert len(found["workers"]) == 2
    text = sinks("show", "waits.example:8443").stdout.decode()
    for expected in (
        "1 event of 1 subscription",
        "throttled 5 s",
        "nothing wrong",
        "--host waits.example",
    ):
        assert expected in text
    assert sinks("show", "https://[::1").returncode == 2


def test_damaged_reports_hide_no_others(store: Store, raw_store: "redis.Redis", sinks: Any) -> None:
    speak(store, "one", HostReport("https://away.example:443", HostState.OPEN, 75.0, 1))
    raw_store.set(process_key("bad"), "nonsense")
    raw_store.zadd(PROCESSES_KEY, {"bad": store.processes.now_ms()})
    (found,) = lines_of(sinks("list", "--json").stdout)
    assert (found["host"], found["limit"]) == ("https://away.example:443", None)
