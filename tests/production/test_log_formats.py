"""What gunicorn, workers, console and `serve` write to standard error, in each format."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.harness.builders import append, created, invitation
from tests.harness.commands import Running, clean_environ, eventually, start
from tests.harness.issuer import Issuer
from tests.harness.sinks import RecordingSink
from tests.production.test_processes import CLOCK, eventually_ready, gunicorn, process, settings_of
from webrtc_events.store.store import Store

__all__ = ["start"]

SUBSCRIPTIONS = "/webrtc-events/v0.2/subscriptions"
ALWAYS = {"timestamp", "level", "logger", "process", "pid", "message"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
JSON = {"WEBRTC_EVENTS_LOG_FORMAT": "json"}

Start = Callable[..., Running]


def records(text: str, process_name: str) -> list[dict[str, Any]]:
    """Every line of it is a record."""
    found = [json.loads(line) for line in text.splitlines()]
    for record in found:
        assert record.keys() >= ALWAYS
        assert TIME.fullmatch(record["timestamp"])
        assert record["process"] == process_name
    return found


def written(file: Path, environ: Mapping[str, str]) -> str:
    """The same settings as a file of them."""
    given = {name.removeprefix("WEBRTC_EVENTS_").lower(): value for name, value in environ.items()}
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in given.items()))
    return str(file)


def get(url: str, issuer: Issuer, correlator: str, **headers: str) -> requests.Response:
    token = issuer.token(CLOCK.now(), client_id="softphone", scope="webrtc-events:read")
    headers = {"Authorization": f"Bearer {token}", "x-correlator": correlator} | headers
    return requests.get(url, headers=headers, timeout=10)


def test_every_line_of_a_gunicorn_is_json(environ: dict[str, str], issuer: Issuer, tmp_path: Path) -> None:
    """Its own, uvicorn's, its access log's, those of the service and of each request."""
    log = tmp_path / "api.log"
    command = gunicorn("-w", "1", "--access-logfile", "-", "--log-level", "debug")
    settings = environ | settings_of(issuer) | JSON | {"WEBRTC_EVENTS_LOG_REQUESTS": "1"}
    with process(log, settings, *command) as api:
        ready = re.compile(r"Listening at: (http://[^ \"]+)")
        url = eventually(lambda: ready.search(log.read_text()))[1]
        eventually(lambda: "Application startup complete" in log.read_text())
        assert get(f"{url}{SUBSCRIPTIONS}?access_token=hidden", issuer, "c-1").status_code == 200
        assert get(f"{url}{SUBSCRIPTIONS}", issuer, "c-2").status_code == 200
        assert get(f"{url}/tel:+12025550100", issuer, "c-3").status_code == 404
        assert get(f"{url}/healthz", issuer, "c-4").status_code == 200
        api.send_signal(signal.SIGHUP)
        eventually(lambda: "Booting worker" in log.read_text().partition("Hang up: ")[2])
        eventually(lambda: log.read_text().count("Application startup complete") == 2)
    text = log.read_text()
    found = records(text, "api")
    asked = {record["correlator"]: record for record in found if record["message"] == "request"}
    expected = {
        "method": "GET",
        "operation": "retrieveNotificationChannelSubscriptionList",
        "status": 200,
        "client": "softphone",
        "level": "INFO",
    }
    for correlator in ("c-1", "c-2"):
        assert {name: asked[correlator].get(name) for name in expected} == expected
        assert isinstance(asked[correlator]["ms"], int)
    assert (asked["c-3"]["status"], asked["c-3"]["path"]) == (404, "other")
    assert asked.keys() == {"c-1", "c-2", "c-3"}
    loggers = {record["logger"] for record in found}
    assert loggers >= {"gunicorn.error", "uvicorn.access", "webrtc_events.api.request_log"}
    assert "12025550100" not in text
    assert "hidden" not in text
    assert issuer.token(CLOCK.now()).split(".")[1] not in text


def test_a_gunicorn_has_one_line_a_request_for_people(
    environ: dict[str, str], issuer: Issuer, tmp_path: Path
) -> None:
    """One of three that succeed, and each that fails. Settings stand in a file, the key in a credential."""
    log = tmp_path / "api.log"
    given = environ | settings_of(issuer) | {"WEBRTC_EVENTS_LOG_REQUESTS": "3"}
    (tmp_path / "WEBRTC_EVENTS_SECRET_KEY").write_text(given.pop("WEBRTC_EVENTS_SECRET_KEY") + "\n")
    settings = {
        "WEBRTC_EVENTS_CONFIG": written(tmp_path / "settings.toml", given),
        "CREDENTIALS_DIRECTORY": str(tmp_path),
    }
    with process(log, settings, *gunicorn("-w", "1")) as api:
        url = eventually_ready(api, log)
        for number in range(1, 8):
            assert get(f"{url}{SUBSCRIPTIONS}", issuer, f"c-{number}").status_code == 200
        assert get(f"{url}{SUBSCRIPTIONS}/x", issuer, "c-8", Authorization="Bearer x").status_code == 401
    lines = [line for line in log.read_text().splitlines() if " webrtc_events.api.request_log: " in line]
    fields = (
        r"method=GET operation=\w+ api=[\w./-]+ status=(\d+) ms=\d+ correlator=c-(\d)( client=softphone)?"
    )
    form = rf"\S+Z INFO \S+ request {fields}"
    matches = [re.fullmatch(form, line) for line in lines]
    assert [(match[1], match[2], bool(match[3])) for match in matches if match] == [
        ("200", "3", True),
        ("200", "6", True),
        ("401", "8", False),
    ]
    assert len(lines) == 3


@pytest.mark.parametrize("processes", ["1", "2"])
def test_every_line_of_a_worker_is_json(
    start: Start, environ: dict[str, str], store: Store, tmp_path: Path, processes: str
) -> None:
    """Its settings, the format among them, stand in a file that its processes read too."""
    shares = tmp_path / "in-flight"
    shares.write_text("8\n")
    with RecordingSink() as sink:
        config = written(
            tmp_path / "settings.toml",
            environ | JSON | {"WEBRTC_EVENTS_SINK_CA_FILE": str(sink.ca_file)},
        )
        created(store, sink=sink.url)
        options = ("--config", config, "--processes", processes)
        worker = start("worker", *options, env={"WEBRTC_EVENTS_SINK_IN_FLIGHT_FILE": str(shares)})
        worker.await_output("Delivering")
        append(store, invitation(1))
        sink.wait_for(1, 30)
        eventually(lambda: '"outcome":"delivered"' in worker.output)
        append(store, invitation(2))
        sink.wait_for(2, 30)
        eventually(lambda: worker.output.count('"outcome":"delivered"') == 2)
        assert worker.stop() == 0
    found = records(worker.output, "worker")
    attempts = [record for record in found if record["message"] == "attempt"]
    assert [record["event"].rpartition(".")[2] for record in attempts] == ["1", "2"]
    assert attempts[0].keys() == ALWAYS | {
        *("event", "type", "attempt", "outcome", "reason", "status", "ms", "at", "host", "correlator")
    }
    assert (attempts[0]["attempt"], attempts[0]["status"]) == (1, 204)


def test_a_start_that_fails_is_one_line_of_json(environ: dict[str, str], tmp_path: Path) -> None:
    scripts = Path(sys.executable).parent
    wrong = clean_environ() | environ | JSON | {"WEBRTC_EVENTS_PARTITIONS": "0"}
    gone = clean_environ() | environ | JSON | {"WEBRTC_EVENTS_REDIS_URL": "redis://127.0.0.1:1/0"}
    for command, name in ((("webrtc-events", "worker"), "worker"), (gunicorn("-w", "1"), "api")):
        words = [str(scripts / command[0]), *command[1:]]
        for given, status, message in ((wrong, 2, "PARTITIONS must be"), (gone, 1, "REDIS_URL: ")):
            done = subprocess.run(words, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=60)
            assert done.returncode == status
            [fault] = [record for record in records(done.stderr, name) if record["level"] == "CRITICAL"]
            assert message in fault["message"]


@pytest.mark.slow
def test_every_line_of_a_console_is_json(environ: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    config = tmp_path / "settings.toml"
    config.write_text('log_format = "json"\n')
    command = [str(Path(sys.executable).parent / "webrtc-events"), "console", "--port", "0"]
    with process(log, environ, *command, "--config", str(config)):
        eventually(lambda: "Booting worker" in log.read_text())
    said = [record["message"] for record in records(log.read_text(), "console")]
    assert any(message.startswith("Starting gunicorn") for message in said), said


@pytest.mark.slow
def test_a_serve_logs_json_to_standard_error_and_speaks_to_people_on_standard_output(tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text('log_format = "json"\nlog_requests = 1\naudience = "of-the-file"\n')
    words = [sys.executable, "-m", "webrtc_events.cli", "serve", "--port", "0", "--sink-port", "0"]
    out, err = tmp_path / "out", tmp_path / "err"
    environ = clean_environ() | {"WEBRTC_EVENTS_CONFIG": str(config)}
    with out.open("wb") as stdout, err.open("wb") as stderr:
        serving = subprocess.Popen(
            [*words, "--data-dir", str(tmp_path / "data")], env=environ, stdout=stdout, stderr=stderr
        )
    try:
        described = tmp_path / "data" / "serve.json"
        eventually(lambda: described.exists() and "Ctrl-C" in out.read_text(), 60)
        endpoints = json.loads(described.read_text())
        assert endpoints["audience"] == "of-the-file"
        assert requests.get(f"{endpoints['api']}/healthz", timeout=10).status_code == 200
        assert requests.get(f"{endpoints['api']}{SUBSCRIPTIONS}", timeout=10).status_code == 401
        demo = subprocess.run(
            [sys.executable, "-m", "webrtc_events.cli", "demo", "--data-dir", str(tmp_path / "data")],
            env=clean_environ(),
            capture_output=True,
            timeout=120,
        )
        assert demo.returncode == 0, demo.stdout
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(60) == 0
    finally:
        if serving.poll() is None:
            os.kill(serving.pid, signal.SIGKILL)
            serving.wait()
    found = records(err.read_text(), "serve")
    assert {record["message"] for record in found} >= {"request"}
