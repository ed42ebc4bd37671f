"""The API under gunicorn, and a worker, as an operator runs them."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote

import pytest
import requests

from tests.harness.issuer import Issuer
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import running_store
from tests.production.service import TYPE, event
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.log_masking import Masking

CONFIG = "python:webrtc_events.gunicorn_conf"
CLOCK = SystemClock()


@contextmanager
def process(log: Path, environ: dict[str, str], *command: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Ends it by SIGTERM and expects a clean exit."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEBRTC_EVENTS_")}
    with log.open("wb") as file:
        running = subprocess.Popen(command, cwd=log.parent, env=kept | environ, stdout=file, stderr=file)
    try:
        yield running
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0, log.read_text()
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()


def eventually_ready(running: "subprocess.Popen[bytes]", log: Path) -> str:
    """The URL at which it listens."""
    deadline = CLOCK.monotonic() + 60
    while CLOCK.monotonic() < deadline:
        assert running.poll() is None, log.read_text()
        listening = re.search(r"Listening at: (http://\S+)", log.read_text())
        # The master listens before a process of it answers.
        with suppress(requests.Timeout):
            if listening and requests.get(f"{listening[1]}/readyz", timeout=10).status_code == 200:
                return listening[1]
        CLOCK.sleep(0.05)
    raise TimeoutError(log.read_text())


def test_events_pass_from_a_gunicorn_to_a_worker(
    environ: dict[str, str], issuer: Issuer, tmp_path: Path
) -> None:
    api_log, worker_log = tmp_path / "api.log", tmp_path / "worker.log"
    scripts = Path(sys.executable).parent
    # Not from the working tree: gunicorn would import the package from there.
    gunicorn = (str(scripts / "gunicorn"), "-c", CONFIG, "-w", "2", "-b", "127.0.0.1:0")
    with RecordingSink() as sink:
        environ |= {
            "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url,
            "WEBRTC_EVENTS_SINK_CA_FILE": str(sink.ca_file),
        }
        with (
            process(api_log, environ, *gunicorn, "webrtc_events.app:create_app()") as api,
            process(worker_log, environ, str(scripts / "webrtc-events"), "worker"),
        ):
            url = eventually_ready(api, api_log)
            scope = f"webrtc-events:{TYPE}:create webrtc-events:network webrtc-events:delete"
            headers = {"Authorization": f"Bearer {issuer.token(CLOCK.now(), scope=scope)}"}
            request = {
                "protocol": "HTTP",
                "sink": sink.url,
                "types": [TYPE],
                "config": {"subscriptionDetail": {"registrationId": "r1"}},
            }
            public = f"{url}/webrtc-events/v0.2/subscriptions"
            made = requests.post(public, json=request, headers=headers, timeout=10)
            assert made.status_code == 201, made.text
            published = requests.post(
                f"{url}/network/v0/events",
                json=event(),
                headers=headers | {"Content-Type": "application/cloudevents+json"},
                timeout=10,
            )
            assert published.json()["results"] == [{"id": "e1", "status": "accepted", "subscriptions": 1}]
            sink.wait_for(1)
            gone = requests.delete(f"{public}/{made.json()['id']}", headers=headers, timeout=10)
            assert gone.status_code == 204
            sink.wait_for(2)
    assert [request.json["data"].get("terminationReason") for request in sink.requests] == [
        None,
        "SUBSCRIPTION_DELETED",
    ]
    assert "Traceback" not in api_log.read_text() + worker_log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("shown", [False, True], ids=["masked", "in clear"])
def test_gunicorn_logs_personal_data_only_where_the_setting_allows_it(
    environ: dict[str, str], issuer: Issuer, tmp_path: Path, *, shown: bool
) -> None:
    """With its access log on, and with what is logged of an error."""
    log = tmp_path / "api.log"
    gunicorn = (str(Path(sys.executable).parent / "gunicorn"), "-c", CONFIG, "-w", "1", "-b", "127.0.0.1:0")
    logging = ("--access-logfile", "-", "--log-level", "debug", "webrtc_events.app:create_app()")
    environ |= {
        "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url,
        "WEBRTC_EVENTS_LOG_PERSONAL_DATA": str(shown).lower(),
    }
    paths = ["alice-at-home", "tel:%2B12025550100", "sip:bob@ims.example"]
    with process(log, environ, *gunicorn, *logging) as api:
        url = eventually_ready(api, log)
        headers = {"Authorization": f"Bearer {issuer.token(CLOCK.now(), scope='webrtc-events:network')}"}
        for path in paths:
            body = {"deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "owner": "app"}
            made = requests.put(
                f"{url}/network/v0/registrations/{path}", json=body, headers=headers, timeout=10
            )
            assert made.status_code == 201, made.text
        # Of no operation: an address is known by its looks.
        requests.get(f"{url}/{paths[1]}?{paths[2]}", headers=headers, timeout=10)
    text = unquote(log.read_text())
    people = ["alice-at-home", "12025550100", "bob@ims.example"]
    assert [person in text for person in people] == [shown] * 3, text
    masking = Masking(b"\0" * 32, show=False)
    assert [f"registrations/{masking.pseudonym(path)}" in text for path in paths] == [not shown] * 3
    assert headers["Authorization"].split(".")[1] not in text


def settings_of(issuer: Issuer) -> dict[str, str]:
    return {"WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url}


def gunicorn(*options: str) -> tuple[str, ...]:
    command = str(Path(sys.executable).parent / "gunicorn")
    return (command, "-c", CONFIG, "-b", "127.0.0.1:0", *options, "webrtc_events.app:create_app()")


def test_a_gunicorn_logs_one_form_of_line_with_correlator_and_client(
    environ: dict[str, str], issuer: Issuer, tmp_path: Path
) -> None:
    log = tmp_path / "api.log"
    with process(log, environ | settings_of(issuer), *gunicorn("-w", "1")) as api:
        url = eventually_ready(api, log)
        token = issuer.token(CLOCK.now(), client_id="softphone", scope="webrtc-events:read")
        headers = {"Authorization": f"Bearer {token}", "x-correlator": "at-night"}
        path = "/webrtc-events/v0.2/subscriptions/x"
        assert requests.delete(f"{url}{path}", headers=headers, timeout=10).status_code == 403
        # As after `systemctl reload`: the form stays.
        api.send_signal(signal.SIGHUP)
        deadline = CLOCK.monotonic() + 30
        while "Booting worker" not in log.read_text().partition("Hang up: ")[2]:
            assert CLOCK.monotonic() < deadline, log.read_text()
            CLOCK.sleep(0.05)
    lines = log.read_text().splitlines()
    form = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ [\w.]+: ")
    # The first is from before any configuration is read.
    assert [line for line in lines[1:] if not form.match(line)] == []
    (refusal,) = [line for line in lines if "correlator=at-night" in line]
    assert "INFO webrtc_events.api.failures: " in refusal
    assert refusal.endswith("lacks the scope webrtc-events:delete. correlator=at-night client=softphone")
    assert "Warning" not in log.read_text()


@pytest.mark.slow
def test_a_gunicorn_logs_as_the_operator_says(
    environ: dict[str, str], issuer: Issuer, tmp_path: Path
) -> None:
    """The correlator is a field that another form can have too."""
    config, log = tmp_path / "log.json", tmp_path / "api.log"
    handler = {"class": "logging.StreamHandler", "formatter": "own", "filters": ["request"]}
    config.write_text(
        json.dumps(
            {
                "filters": {"request": {"()": "webrtc_events.core.log_config.RequestFields"}},
                "formatters": {"own": {"format": "OWN %(message)s [%(correlator)s]"}},
                "handlers": {"own": handler},
                "loggers": {"webrtc_events": {"level": "INFO", "handlers": ["own"]}},
                "root": {"level": "WARNING", "handlers": ["own"]},
            }
        )
    )
    command = gunicorn("-w", "1", "--log-config-json", str(config))
    with process(log, environ | settings_of(issuer), *command) as api:
        url = eventually_ready(api, log)
        headers = {"Authorization": "Bearer x", "x-correlator": "c-1"}
        requests.get(f"{url}/webrtc-events/v0.2/subscriptions", headers=headers, timeout=10)
    assert "OWN access token refused (form): it is no signed JWT [c-1]\n" in log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_gunicorn_without_settings_says_once_what_is_missing(tmp_path: Path, workers: str) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEBRTC_EVENTS_")}
    done = subprocess.run(gunicorn("-w", workers), cwd=tmp_path, env=kept, capture_output=True, timeout=60)
    assert done.returncode == 2
    output = done.stderr.decode()
    for name in ("OPENID_CONFIGURATION_URL", "SECRET_KEY"):
        assert output.count(f"WEBRTC_EVENTS_{name} must be set") == 1
    assert "Traceback" not in output
    assert "Warning" not in output


@pytest.mark.slow
def test_gunicorn_without_a_store_reports_it_once(
    environ: dict[str, str], issuer: Issuer, tmp_path: Path
) -> None:
    gone = os.environ | environ | settings_of(issuer) | {"WEBRTC_EVENTS_REDIS_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run(gunicorn("-w", "2"), cwd=tmp_path, env=gone, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.decode().count("webrtc-events: WEBRTC_EVENTS_REDIS_URL: ") == 1
    assert "Traceback" not in done.stderr.decode()


@pytest.mark.slow
def test_another_server_without_settings_gives_up_with_a_plain_text(tmp_path: Path) -> None:
    """gunicorn without our configuration must not start one worker after the other."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEBRTC_EVENTS_")}
    scripts = Path(sys.executable).parent
    options = ("-k", "uvicorn_worker.UvicornWorker", "-b", "127.0.0.1:0", "--no-control-socket")
    for command in (
        (str(scripts / "gunicorn"), *options, "webrtc_events.app:create_app()"),
        (str(scripts / "uvicorn"), "--factory", "webrtc_events.app:create_app", "--port", "0"),
    ):
        done = subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, timeout=60)
        assert done.returncode == 3
        assert "WEBRTC_EVENTS_SECRET_KEY must be set" in done.stderr.decode()
        assert "Traceback" not in done.stderr.decode()


def test_a_worker_without_settings_says_what_is_missing(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEBRTC_EVENTS_")}
    command = [str(Path(sys.executable).parent / "webrtc-events"), "worker"]
    done = subprocess.run(command, env=kept, capture_output=True, timeout=30)
    assert done.returncode == 2
    for name in ("OPENID_CONFIGURATION_URL", "SECRET_KEY"):
        assert f"WEBRTC_EVENTS_{name} must be set" in done.stderr.decode()


def test_a_worker_without_a_store_reports_it(environ: dict[str, str]) -> None:
    gone = os.environ | environ | {"WEBRTC_EVENTS_REDIS_URL": "redis://127.0.0.1:1/0"}
    command = [str(Path(sys.executable).parent / "webrtc-events"), "worker"]
    done = subprocess.run(command, env=gone, capture_output=True, timeout=30)
    assert done.returncode == 1
    assert "WEBRTC_EVENTS_REDIS_URL" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_the_command_line_tells_how_the_logs_call_an_address(environ: dict[str, str]) -> None:
    environ |= {"WEBRTC_EVENTS_SECRET_KEY": f"{'A' * 43},{'B' * 42}A"}
    command = [str(Path(sys.executable).parent / "webrtc-events"), "pseudonym", "sip:Alice@ims.example;a=b"]
    done = subprocess.run(command, env=os.environ | environ, capture_output=True, timeout=30)
    now, before = done.stdout.decode().splitlines()
    assert now == Masking(b"\0" * 32, show=False).pseudonym("alice@ims.example")
    assert now != before


@pytest.mark.slow
def test_an_api_process_that_ends_while_the_store_is_unavailable_ends_no_other(
    environ: dict[str, str], issuer: Issuer, tmp_path: Path
) -> None:
    """gunicorn starts another in its place, over and over, until the store is back."""
    log = tmp_path / "api.log"
    with ExitStack() as stack:
        with running_store(tmp_path) as store:
            environ |= settings_of(issuer) | {"WEBRTC_EVENTS_REDIS_URL": store}
            api = stack.enter_context(process(log, environ, *gunicorn("-w", "2")))
            url = eventually_ready(api, log)
            await_log(log, _STARTED, times=2)
        children = Path(f"/proc/{api.pid}/task/{api.pid}/children")
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
        await_log(log, "webrtc-events: WEBRTC_EVENTS_REDIS_URL: ")
        assert requests.get(f"{url}/healthz", timeout=10).status_code == 200
        stack.enter_context(running_store(tmp_path))
        await_log(log, _STARTED, times=3)
        assert api.poll() is None
    assert "Traceback" not in log.read_text()


_STARTED = "Application startup complete"


def await_log(log: Path, text: str, *, times: int = 1) -> None:
    deadline = CLOCK.monotonic() + 30
    while log.read_text().count(text) < times:
        assert CLOCK.monotonic() < deadline, log.read_text()
        CLOCK.sleep(0.05)
