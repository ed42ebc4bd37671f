"""The overview as an operator's browser gets it, on a real store."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from tests.cluster.conftest import settings_at
from tests.harness.builders import append, created, invitation
from tests.harness.clocks import SteppedClock
from tests.harness.crowds import worker_process
from tests.harness.valkeys import ValkeyServer, eventually
from webrtc_events.console.access import MachineAccess
from webrtc_events.console.console_app import ConsoleOptions, console_app
from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.console.sections import sections
from webrtc_events.core.activity import Activity
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.process_report import HostReport, HostState, WorkerReport
from webrtc_events.core.settings import Settings
from webrtc_events.store.durability.watch import StoreWatch
from webrtc_events.store.keys import Partition, process_key
from webrtc_events.store.reporter import Reporter
from webrtc_events.store.store import Store

MAX_BYTES = 60_000
MAX_S = 0.2
SUBSCRIPTIONS = 100_000
HOSTS = (
    HostReport("https://away.example:443", HostState.OPEN, 75, 1),
    HostReport("https://busy.example:443", HostState.THROTTLED, 8, 0),
    HostReport("https://far.example:443", HostState.SLOW, 2.5, 4),
)


def console(store: Store, settings: Settings, clock: Any) -> FlaskClient:
    options = ConsoleOptions(session_key=b"k" * 32, access=MachineAccess())
    return console_app(options, sections(ConsoleParts(store, settings, clock))).test_client()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def client(store: Store, settings: Settings, clock: SteppedClock) -> FlaskClient:
    return console(store, settings, clock)


@pytest.fixture
def watch(settings: Settings) -> Iterator[StoreWatch]:
    running = StoreWatch.connect(settings, SystemClock())
    yield running
    running.store.close()


@pytest.fixture
def page(client: FlaskClient, clock: SteppedClock) -> Callable[[], str]:
    """The live part, of now."""

    def read() -> str:
        clock.sleep(2)
        answer = client.get("/overview/live")
        assert answer.status_code == 200
        return " ".join(answer.text.split())

    return read


def reporting(watch: StoreWatch, role: str, **counts: int) -> Reporter:
    """A process that has counted this, and said so."""
    activity = Activity()
    worker = (lambda: WorkerReport(3, 2, HOSTS)) if role == "worker" else None
    reporter = Reporter(watch, activity, SteppedClock(), role=role, worker=worker)
    by_word = {"delivered": activity.deliveries, "retried": activity.retries, "given_up": activity.drops}
    for name, count in counts.items():
        if name in by_word:
            by_word[name]["any"] = count
        else:
            setattr(activity, name, count)
    reporter.step()
    return reporter


def test_the_page_is_whole_without_a_script_and_small(client: FlaskClient) -> None:
    answer = client.get("/overview/")
    assert answer.status_code == 200
    assert len(answer.data) < MAX_BYTES
    assert "Overview</h1>" in answer.text
    assert '<section id="verdict"' in answer.text
    assert " style=" not in answer.text
    assert "<script>" not in answer.text


def test_it_is_the_first_page_of_the_console(client: FlaskClient) -> None:
    assert client.get("/").location == "/overview/"


def test_who_comes_first_is_told_what_to_do(page: Callable[[], str]) -> None:
    text = page()
    assert "Nothing has happened in the last hour" in text
    assert "webrtc-events demo" in text
    assert "No worker runs: nothing is delivered." in text


def test_counts_of_all_processes_are_shown(page: Callable[[], str], watch: StoreWatch) -> None:
    reporting(watch, "api", accepted=1200, rejected=2)
    reporting(watch, "api", accepted=34, duplicates=5)
    reporting(watch, "worker", delivered=1199, retried=7, given_up=3, ended=6)
    text = page()
    assert "Nothing has happened" not in text
    for figure in ("1,234", "1,199", "7", "3"):
        assert f'{figure} <span class="quiet">in this minute,</span></span> <span>{figure} <span' in text
    assert "5 duplicates, 2 rejected events and 6 subscriptions that ended" in text
    assert "2 API processes" not in text  # Something is wrong, which is said in its place.
    assert "3 notifications were given up in the last 10 minutes." in text


def test_hosts_that_are_not_well_are_shown_with_what_waits(
    page: Callable[[], str], watch: StoreWatch, store: Store
) -> None:
    reporting(watch, "worker")
    created(store, sink="https://away.example/x")
    append(store, invitation(1), invitation(2))
    text = page()
    assert "https://away.example:443 does not answer; 2 events wait for it." in text
    assert "open circuit</span> for 1 min 15 s" in text
    assert "throttled</span> 8 s more" in text
    assert "slow</span> 2.5 s an answer" in text


def test_a_process_that_was_killed_is_missing(
    page: Callable[[], str], watch: StoreWatch, raw_store: "redis.Redis"
) -> None:
    reporter = reporting(watch, "worker")
    assert ">runs</span>" in page()
    key = process_key(reporter.name)
    said = json.loads(raw_store.get(key))
    raw_store.set(key, json.dumps(said | {"at_ms": said["at_ms"] - 300_000}))
    text = page()
    assert ">missing</span>" in text
    assert "is missing: it said nothing for 5 min" in text
    assert "No worker runs" in text


@pytest.mark.slow
def test_a_worker_that_is_really_killed_is_missing_before_long(
    page: Callable[[], str], environ: dict[str, str], tmp_path: Path
) -> None:
    with worker_process(environ, tmp_path / "worker.log"):
        eventually(lambda: ">runs</span>" in page(), "the worker reports")
    eventually(lambda: ">missing</span>" in page(), "the worker is missing", every_s=0.5)


def test_a_damaged_report_is_passed_over_and_counted(
    page: Callable[[], str], watch: StoreWatch, raw_store: "redis.Redis"
) -> None:
    reporting(watch, "api")
    raw_store.set(process_key(reporting(watch, "worker").name), "{")
    text = page()
    assert "1 record of these figures cannot be read" in text
    assert '<th scope="row">API' in text


def test_what_a_report_says_is_text(
    page: Callable[[], str], watch: StoreWatch, raw_store: "redis.Redis"
) -> None:
    key = process_key(reporting(watch, "worker").name)
    said = json.loads(raw_store.get(key))
    said["worker"]["hosts"][0]["host"] = said["machine"] = "<script>alert(1)</script>"
    raw_store.set(key, json.dumps(said))
    text = page()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_many_browsers_cost_the_store_no_more_than_one(
    client: FlaskClient, clock: SteppedClock, raw_store: "redis.Redis"
) -> None:
    def commands() -> int:
        return int(raw_store.info("stats")["total_commands_processed"])

    client.get("/overview/live")
    before = commands()
    for _ in range(10):
        client.get("/overview/live")
    assert commands() - before <= 1
    clock.sleep(2)
    client.get("/overview/live")
    assert commands() - before > 10


def test_a_store_that_is_away_is_said_and_the_page_comes_back_with_it(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path) as server:
        settings, clock = settings_at(server.url), SteppedClock()
        store = Store.connect(settings)
        client = console(store, settings, clock)
        server.kill()
        answer = client.get("/overview/")
        assert answer.status_code == 200
        assert "The store does not answer: nothing is accepted or delivered." in answer.text
        server.start()
        server.wait_ready()
        clock.sleep(2)
        assert "The store does not answer" not in client.get("/overview/live").text
        store.close()


@pytest.mark.slow
def test_a_hundred_thousand_due_subscriptions_keep_the_page_quick(
    store: Store, settings: Settings, client: FlaskClient, clock: SteppedClock, raw_store: "redis.Redis"
) -> None:
    """Of 0.2 s. The best of some: the machine has other work too."""
    made = created(store)
    append(store, invitation(1))
    record = raw_store.hgetall(Partition(int(made.id[-2:], 16)).subscription(made.id))
    pipe = raw_store.pipeline(transaction=False)
    for number in range(SUBSCRIPTIONS):
        partition = Partition(number % settings.partitions)
        name = f"{number:032x}-{partition.number:02x}"
        pipe.zadd(partition.due, {name: number})
        pipe.rpush(partition.outbox(name), "1 0 1 2 0\n{}")
        if number % 100 == 0:
            pipe.hset(partition.subscription(name), mapping=record)
        if number % 5000 == 0:
            pipe.execute()
    pipe.execute()
    took_s = []
    for _ in range(10):
        clock.sleep(2)
        begun = SystemClock().monotonic()
        answer = client.get("/overview/")
        took_s.append(SystemClock().monotonic() - begun)
    assert "at least" in answer.text
    assert "100,001" in answer.text
    assert len(answer.data) < MAX_BYTES
    assert min(took_s) < MAX_S
