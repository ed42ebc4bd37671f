"""`webrtc-events operator-events` and what else operators see of their own sink."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.operators import HOSTILE
from tests.harness.commands import Running, clean_environ, eventually, run
from tests.harness.sinks import RecordingSink
from tests.operator_events.conftest import Watcher
from tests.operator_events.received import event_of
from webrtc_events.core.settings import Settings
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.store.keys import OPERATOR
from webrtc_events.store.store import Store

HOST = "https://a.example:443"


@pytest.fixture
def operator() -> Iterator[RecordingSink]:
    with RecordingSink() as recording:
        yield recording


@pytest.fixture
def environ(environ: dict[str, str], operator: RecordingSink) -> dict[str, str]:
    return environ | {
        "WEBRTC_EVENTS_OPERATOR_SINK": operator.url_of("/operators"),
        "WEBRTC_EVENTS_SINK_CA_FILE": str(operator.ca_file),
    }


@pytest.fixture
def command(environ: dict[str, str]) -> Callable[..., Any]:
    def begin(*arguments: str, **more: str) -> Any:
        return run("operator-events", *arguments, env=clean_environ() | environ | more)

    return begin


@pytest.fixture
def worker(start: Callable[..., Running], environ: dict[str, str]) -> Running:
    running = start("worker", env=environ)
    running.await_output("Delivering.")
    return running


def test_a_test_event_takes_the_way_of_all_and_the_answer_is_shown(
    command: Callable[..., Any],
    worker: Running,
    operator: RecordingSink,
) -> None:
    done = command("test", "--message", "hello")
    assert (done.returncode, done.stdout.decode().split(",")[0]) == (0, "Delivered: HTTP 204")
    assert event_of(operator.requests[0])["data"]["message"] == "hello"


def test_a_sink_that_refuses_is_said_with_its_reason(
    command: Callable[..., Any],
    worker: Running,
    operator: RecordingSink,
) -> None:
    operator.answer = (401, 422)
    done = command("test", "--wait", "20")
    assert done.returncode == 1
    assert b"will not take it" in done.stderr
    assert b"HTTP 422" in done.stderr
    operator.answer = (401,)
    done = command("test", "--wait", "3")
    assert (done.returncode, b"is tried again: HTTP 401" in done.stderr) == (1, True)


def test_without_a_worker_it_says_that_none_runs(command: Callable[..., Any], store: Store) -> None:
    done = command("test", "--wait", "1")
    assert done.returncode == 1
    assert b"Does one run with WEBRTC_EVENTS_OPERATOR_SINK set" in done.stderr
    assert store.operator_outbox.status().waiting == 1
    assert command("test", "--wait", "0").returncode == 0


def test_without_the_setting_it_says_which(command: Callable[..., Any], environ: dict[str, str]) -> None:
    without = {name: value for name, value in environ.items() if "OPERATOR" not in name}
    done = run("operator-events", "test", env=clean_environ() | without)
    assert done.returncode == 1
    assert b"WEBRTC_EVENTS_OPERATOR_SINK is not set" in done.stderr
    shown = run("operator-events", "show", env=clean_environ() | without)
    assert shown.returncode == 0
    assert b"is not set" in shown.stderr


def test_show_has_what_is_not_over_and_what_waits(
    command: Callable[..., Any], store: Store, settings: Settings
) -> None:
    assert b"Nothing that was reported is still wrong" in command("show").stdout
    watcher = Watcher(store, settings)
    watcher.hosts.open = {HOST: "connect"}
    watcher.step()
    found = json.loads(command("show", "--json").stdout)
    assert (found["waiting"], found["givenUp"], found["attempts"]) == (1, 0, [])
    assert found["oldestSeconds"] < 60
    [condition] = found["conditions"]
    assert (condition["type"], condition["subject"]) == ("sink-circuit-opened", HOST)
    text = command("show").stdout.decode()
    assert HOST in text
    assert "waiting:" in text


def test_a_hostile_message_is_printed_safely(command: Callable[..., Any], store: Store) -> None:
    command("test", "--message", HOSTILE, "--wait", "0")
    store.client.xadd(OPERATOR.attempts, {
        "subscription": "operator",
        "attempt": json.dumps({
            "event": HOSTILE, "at": 1, "attempt": 1, "outcome": HOSTILE, "reason": HOSTILE, "status": None,
            "ms": 1, "correlator": "", "type": HOSTILE,
        }),
    })  # fmt: skip
    shown = command("show").stdout.decode()
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_the_doctor_looks_at_the_sink_as_a_worker_would(environ: dict[str, str], tmp_path: Path) -> None:
    def findings(**more: str) -> list[dict[str, str]]:
        done = run("doctor", "--json", "--data-dir", str(tmp_path), env=clean_environ() | environ | more)
        found = json.loads(done.stdout)["findings"]
        return [finding for finding in found if finding["area"] == "operator sink"]

    assert [finding["level"] for finding in findings() if finding["level"] != "ok"] == []
    assert any("its certificate is trusted" in finding["text"] for finding in findings())
    [refused] = findings(WEBRTC_EVENTS_OPERATOR_SINK="https://10.0.0.1/")
    assert refused["level"] == "error"


@pytest.mark.slow
def test_serve_shows_them_in_its_inbox(
    start: Callable[..., Running], data: Path, sink_client: HttpClient
) -> None:
    serve = start("serve", "--operator-events", "--port", "0", "--sink-port", "0", "--data-dir", str(data))
    serve.await_output("Ctrl-C stops everything")
    url = f"{Endpoints.read(data).sink}/_inbox"

    def received() -> Any:
        return sink_client.expect({200}, "GET", url, params={"path": "/operator-events"}).json()

    [taken] = eventually(received)
    assert taken["answered"] == 204
    assert taken["fault"] is None
    assert "org.webrtc-events.operator.v0.test" in json.dumps(taken)
