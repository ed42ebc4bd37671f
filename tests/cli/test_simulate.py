"""The `simulate` command against a real `serve`."""

import json
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tests.harness.commands import Running, eventually, run
from webrtc_events.cli.simulate import simulate
from webrtc_events.core.model import EventType
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.recordings import recording_names
from webrtc_events.local.simulation.call_plan import Outcome
from webrtc_events.local.simulation.request import SimulationRequest


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("simulate") / "data"


@pytest.fixture(scope="module")
def _serve(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Iterator[None]:
    log = tmp_path_factory.mktemp("log") / "serve.log"
    serve = Running(log, "serve", "--port", "0", "--sink-port", "0", "--data-dir", str(data))
    serve.await_output("Ctrl-C stops everything")
    yield
    serve.stop()


with_serve = pytest.mark.usefixtures("_serve")


def _subscribe(api: HttpClient, data: Path, event_type: EventType, **detail: str) -> str:
    """Returns the sink's path, where nothing else arrives."""
    endpoints = Endpoints.read(data)
    path = f"/{uuid.uuid4()}"
    request = {
        "protocol": "HTTP",
        "sink": f"{endpoints.sink}{path}",
        "types": [event_type],
        "config": {"subscriptionDetail": detail},
    }
    api.expect({201}, "POST", f"{endpoints.public}/subscriptions", json=request)
    return path


def _await_statuses(sink: HttpClient, data: Path, path: str, count: int) -> list[str]:
    feed = f"{Endpoints.read(data).sink}/_inbox"

    def arrived() -> list[str] | None:
        items = sink.expect({200}, "GET", feed, params={"path": path}).json()
        assert not [item["fault"] for item in items if item["fault"]]
        return [item["event"]["data"]["status"] for item in items] if len(items) >= count else None

    statuses: list[str] = eventually(arrived)
    return statuses


def _printed(*options: str) -> list[dict[str, Any]]:
    done = run("simulate", "--print", *options)
    assert (done.returncode, done.stderr) == (0, b"")
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


@with_serve
def test_a_composed_call_arrives(data: Path, api: HttpClient, sink_client: HttpClient) -> None:
    registration = _printed()[0]["subject"]
    invited = _subscribe(api, data, EventType.SESSION_INVITATION, registrationId=registration)
    followed = _subscribe(
        api, data, EventType.SESSION_STATUS, registrationId=registration, mediaSessionId="m-1"
    )
    options = ["--outcome", "declined", "--speed", "max", "--session", "m-1"]
    done = run("simulate", *options, "--data-dir", str(data))
    assert (done.returncode, done.stderr.decode()) == (0, f"The registration called is {registration}\n")
    assert done.stdout.decode().startswith(
        "finished: calls 1 of 1, accepted 4 of 4, failed 0, notifications 4, in "
    )
    assert _await_statuses(sink_client, data, invited, 1) == ["Initial"]
    assert _await_statuses(sink_client, data, followed, 3) == ["InProgress", "Ringing", "Declined"]


@with_serve
def test_many_recorded_calls_arrive_each_time(data: Path, api: HttpClient, sink_client: HttpClient) -> None:
    path = _subscribe(api, data, EventType.SESSION_INVITATION, registrationId="r-many")
    options = ["--call", "answered", "--registration", "r-many", "--calls", "20", "--rate", "500"]
    for number in (1, 2):
        done = run("simulate", *options, "--speed", "max", "--data-dir", str(data))
        assert done.returncode == 0, done.stderr
        assert "calls 20 of 20, accepted 240 of 240, failed 0, notifications 20," in done.stdout.decode()
        assert _await_statuses(sink_client, data, path, 20 * number) == ["Initial"] * 20 * number


@with_serve
def test_calls_that_nobody_subscribed_to_are_reported(data: Path) -> None:
    done = run("simulate", "--speed", "max", "--registration", "r-nobody", "--data-dir", str(data))
    assert done.returncode == 0
    assert b"No active subscription is for these calls" in done.stderr


@with_serve
def test_ctrl_c_stops_it_with_a_summary(data: Path, tmp_path: Path) -> None:
    running = Running(tmp_path / "log", "simulate", "--ringing", "300", "--data-dir", str(data))
    running.await_output("The registration called is")
    assert running.stop(signal.SIGINT) == 130
    assert "stopped: calls 1 of 1, accepted " in running.output
    assert "Traceback" not in running.output


@with_serve
def test_printed_call_can_be_published(data: Path) -> None:
    lines = run("simulate", "--print", "--call", "hold-resume", "--registration", "r-printed").stdout
    done = run("publish", "-", "--data-dir", str(data), stdin=lines)
    assert done.stdout.decode().startswith("accepted 9, duplicate 0, rejected 0")


def test_the_same_seed_prints_the_same_call() -> None:
    assert _printed("--seed", "7") == _printed("--seed", "7")
    assert _printed("--seed", "7")[0]["data"]["offer"] != _printed("--seed", "8")[0]["data"]["offer"]
    (session,) = {event["data"]["mediaSessionId"] for event in _printed("--session", "m 1", "--no-sdp")}
    assert session == "m 1"


@with_serve
def test_a_wrong_token_is_reported(data: Path) -> None:
    done = run("simulate", "--token", "nonsense", "--speed", "max", "--data-dir", str(data))
    assert done.returncode == 1
    assert done.stdout.decode().startswith("finished: calls 1 of 1, accepted 0 of 5, failed 5")
    assert b"401" in done.stderr


def test_an_absent_server_is_reported_at_once(data: Path) -> None:
    done = run("simulate", "--url", "http://127.0.0.1:9/network/v0", "--data-dir", str(data))
    assert done.returncode == 1
    assert done.stdout.decode().startswith("failed: calls 1 of 1, accepted 0 of 5, failed 1")
    assert b"gave up: no answer from http://127.0.0.1:9/network/v0/events" in done.stderr


def test_each_wrong_value_is_reported_with_its_option(data: Path) -> None:
    wrong = {"--from": "alice", "--outcome": "bored", "--calls": "10001", "--rate": "0", "--ringing": "301"}
    done = run("simulate", *[part for pair in wrong.items() for part in pair])
    assert done.returncode == 2
    assert all(f"\n  {option} must be" in done.stderr.decode() for option in wrong)
    assert b"Traceback" not in done.stderr


def test_what_is_no_url_is_reported(data: Path) -> None:
    done = run("simulate", "--url", "nonsense", "--data-dir", str(data))
    assert done.returncode == 2
    assert b"must start with http" in done.stderr


def test_help_names_what_can_be_chosen() -> None:
    # A line may end after a hyphen.
    text = " ".join(run("simulate", "--help").stdout.decode().split()).replace("- ", "-")
    assert f"a recorded call: {', '.join(recording_names())}." in text
    *outcomes, last = Outcome
    assert f"{', '.join(outcomes)} or {last}." in text


def test_defaults_are_those_of_a_form() -> None:
    shown = {
        option.name: option.default
        for option in simulate.params
        if isinstance(option, click.Option) and isinstance(option.default, str)
    }
    form = SimulationRequest.from_form({}).as_form()
    assert shown.items() <= form.items()
    assert len(shown) >= 10
