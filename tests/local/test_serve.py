"""`serve` as a process: its start, its end, and what a second start finds."""

import os
import re
import signal
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import requests

from tests.harness.commands import Running, clean_environ, eventually, run
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.recordings import Event, load_recording, played_anew

_INVITATION = "org.camaraproject.webrtc-events.v0.session-invitation"
_STATUS = "org.camaraproject.webrtc-events.v0.session-status"


def _subscribe(
    api: HttpClient, endpoints: Endpoints, sink: str, event_type: str, detail: dict[str, str]
) -> str:
    request = {
        "protocol": "HTTP",
        "sink": sink,
        "types": [event_type],
        "config": {"subscriptionDetail": detail},
    }
    response = api.expect({201}, "POST", f"{endpoints.public}/subscriptions", json=request)
    return str(response.json()["id"])


def _publish(api: HttpClient, endpoints: Endpoints, event: Event) -> None:
    headers = {"Content-Type": "application/cloudevents+json"}
    api.expect({202}, "POST", f"{endpoints.network}/events", json=event, headers=headers)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_everything_in_order(
    start_serve: Callable[[], Running], data: Path, number: signal.Signals
) -> None:
    serve = start_serve()
    assert serve.stop(number) == 0
    assert "Traceback" not in serve.output
    assert "Stopping: requests, deliveries, sink, store" in serve.output
    assert "bye bye" in (data / "valkey" / "valkey.log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("made", ["serve.lock", "valkey/valkey.sock", "serve.json"])
def test_signal_while_it_starts_stops_what_has_started(
    start: Callable[..., Running], data: Path, made: str
) -> None:
    serve = start("serve", "--port", "0", "--sink-port", "0", "--data-dir", str(data))
    eventually((data / made).exists)
    assert serve.stop(signal.SIGINT) == 0
    assert "Traceback" not in serve.output
    log = data / "valkey" / "valkey.log"
    assert not log.exists() or "bye bye" in log.read_text()


@pytest.mark.slow
def test_second_signal_does_not_wait_for_deliveries(
    start_serve: Callable[[], Running], data: Path, api: HttpClient
) -> None:
    serve = start_serve()
    endpoints = Endpoints.read(data)
    (event, *_) = played_anew(load_recording("answered"), 1_800_000_000_000)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(10)
        sink = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        _subscribe(api, endpoints, sink, _INVITATION, {"registrationId": event["subject"]})
        _publish(api, endpoints, event)
        with closing(listener.accept()[0]):
            serve.process.send_signal(signal.SIGINT)
            serve.await_output("Stopping")
            clock = SystemClock()
            started = clock.monotonic()
            assert serve.stop(signal.SIGINT) == 130
            assert clock.monotonic() - started < 5
    assert "bye bye" in (data / "valkey" / "valkey.log").read_text()


@pytest.mark.slow
def test_port_in_use_is_reported_and_nothing_is_started(data: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        for option in ("--port", "--sink-port"):
            ports = {"--port": "0", "--sink-port": "0"} | {option: str(port)}
            options = [part for pair in ports.items() for part in pair]
            done = run("serve", *options, "--data-dir", str(data))
            assert done.returncode == 1
            assert f"port {port}" in done.stderr.decode()
            assert option in done.stderr.decode()
            assert "Traceback" not in done.stderr.decode()
    assert not (data / "valkey").exists()


@pytest.mark.slow
def test_second_serve_on_the_same_data_is_refused(start_serve: Callable[[], Running], data: Path) -> None:
    start_serve()
    done = run("serve", "--port", "0", "--sink-port", "0", "--data-dir", str(data))
    assert done.returncode == 1
    assert "another `webrtc-events serve` uses" in done.stderr.decode()


def test_wrong_settings_are_all_reported(data: Path) -> None:
    wrong = {"WEBRTC_EVENTS_STRICT_CLOUDEVENTS": "softphone,true", "WEBRTC_EVENTS_APIS": "private"}
    done = run(
        "serve", "--port", "0", "--sink-port", "0", "--data-dir", str(data), env=clean_environ() | wrong
    )
    assert done.returncode == 2
    assert all(name in done.stderr.decode() for name in wrong)


@pytest.mark.slow
def test_death_of_the_store_ends_serve_with_its_log(start_serve: Callable[[], Running], data: Path) -> None:
    serve = start_serve()
    os.kill(int((data / "valkey" / "valkey.lock").read_text()), signal.SIGKILL)
    eventually(lambda: serve.process.poll() is not None)
    assert serve.process.returncode == 1
    assert "embedded Valkey ended unexpectedly" in serve.output


def test_pages_and_issuer_are_served(
    start_serve: Callable[[], Running], data: Path, sink_client: HttpClient
) -> None:
    start_serve()
    endpoints = Endpoints.read(data)
    assert requests.get(f"{endpoints.public}/ui/", timeout=5).status_code == 200
    discovery = requests.get(f"{endpoints.issuer}/.well-known/openid-configuration", timeout=5).json()
    assert requests.get(discovery["jwks_uri"], timeout=5).json()["keys"]
    page = sink_client.expect({200}, "GET", f"{endpoints.sink}/")
    assert "<title>Inbox</title>" in page.text


def test_the_console_is_the_first_place_of_the_banner_and_is_served(
    start_serve: Callable[[], Running], data: Path, api: HttpClient
) -> None:
    serve = start_serve()
    endpoints = Endpoints.read(data)
    (first, *_) = re.findall(r"^  (\w.*?) {2,}(http\S+)", serve.output, re.MULTILINE)
    assert first == ("console", endpoints.console)
    detail = {"registrationId": "r1"}
    made = _subscribe(api, endpoints, f"{endpoints.sink}/x", _INVITATION, detail)
    page = requests.get(endpoints.console, timeout=5)
    assert page.status_code == 200
    assert (
        f"/console/subscriptions/{made}" in requests.get(f"{endpoints.console}subscriptions/", timeout=5).text
    )
    other = requests.get(endpoints.console, headers={"Host": "attacker.example"}, timeout=5)
    assert other.status_code == 400


def test_a_console_that_cannot_be_loaded_ends_serve_with_the_fault(
    start: Callable[..., Running], data: Path, tmp_path: Path
) -> None:
    """It is loaded once all else is ready."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys; sys.modules['webrtc_events.console.sections'] = None"
    )
    serve = start(
        *("serve", "--port", "0", "--sink-port", "0", "--data-dir", str(data)),
        env={"PYTHONPATH": str(tmp_path)},
    )
    eventually(lambda: serve.process.poll() is not None)
    assert serve.process.returncode == 1
    assert "is ready" in serve.output
    assert "import of webrtc_events.console.sections halted" in serve.output
    assert "bye bye" in (data / "valkey" / "valkey.log").read_text()


@pytest.mark.slow
def test_a_browser_is_opened_when_asked_for(
    start: Callable[..., Running], data: Path, tmp_path: Path
) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    ports = ("--port", "0", "--sink-port", "0", "--data-dir", str(data))
    start("serve", "--open", *ports, env={"BROWSER": str(browser)}).await_output("Ctrl-C stops everything")
    assert eventually(lambda: opened.exists() and opened.read_text()) == f"{Endpoints.read(data).console}\n"


@pytest.mark.slow
def test_accepted_event_outlives_a_killed_serve(
    start_serve: Callable[[], Running],
    start: Callable[..., Running],
    data: Path,
    api: HttpClient,
    sink_client: HttpClient,
) -> None:
    serve = start_serve()
    endpoints = Endpoints.read(data)
    with closing(socket.create_server(("127.0.0.1", 0))) as reserved:
        port = reserved.getsockname()[1]
    (event, *_) = played_anew(load_recording("answered"), 1_800_000_000_000)
    detail = {"registrationId": event["subject"]}
    subscription = _subscribe(api, endpoints, f"https://localhost:{port}/killed", _INVITATION, detail)
    _publish(api, endpoints, event)
    assert serve.stop(signal.SIGKILL) == -signal.SIGKILL

    start("sink", "--port", str(port), "--data-dir", str(data)).await_output("The sink listens")
    start_serve()
    feed = f"https://localhost:{port}/_inbox"
    (received,) = eventually(lambda: sink_client.expect({200}, "GET", feed, params={"wait": "1"}).json())
    assert received["fault"] is None
    assert received["event"]["id"] == f"{subscription}.1"
    assert received["event"]["data"] == event["data"] | {"subscriptionId": subscription}


@pytest.mark.slow
def test_strict_format_passes_the_strict_second_validator(
    start_serve: Callable[..., Running], data: Path, api: HttpClient, sink_client: HttpClient
) -> None:
    start_serve(WEBRTC_EVENTS_STRICT_CLOUDEVENTS="true")
    endpoints = Endpoints.read(data)
    events = played_anew(load_recording("answered"), 1_800_000_000_000)
    event = next(event for event in events if event["type"] == _STATUS)
    detail = {"registrationId": event["subject"], "mediaSessionId": event["data"]["mediaSessionId"]}
    _subscribe(api, endpoints, f"{endpoints.sink}/strict", _STATUS, detail)
    _publish(api, endpoints, event)
    feed = f"{endpoints.sink}/_inbox"
    (received,) = eventually(lambda: sink_client.expect({200}, "GET", feed, params={"wait": "1"}).json())
    assert received["fault"] is None
    assert not {"mediaSessionId", "status"} & set(received["event"])


@pytest.mark.slow
def test_one_client_has_the_strict_form_and_others_the_contracts(
    start_serve: Callable[..., Running], data: Path, api: HttpClient, sink_client: HttpClient
) -> None:
    """The sink takes both: by a notification nobody can tell whose it is."""
    start_serve(WEBRTC_EVENTS_STRICT_CLOUDEVENTS="softphone,another")
    endpoints = Endpoints.read(data)
    events = played_anew(load_recording("answered"), 1_800_000_000_000)
    event = next(event for event in events if event["type"] == _STATUS)
    detail = {"registrationId": event["subject"], "mediaSessionId": event["data"]["mediaSessionId"]}
    token = run("token", "--client", "softphone", "--data-dir", str(data)).stdout.decode().strip()
    softphone = HttpClient(lambda: token)
    with closing(softphone):
        _subscribe(softphone, endpoints, f"{endpoints.sink}/softphone", _STATUS, detail)
    _subscribe(api, endpoints, f"{endpoints.sink}/local", _STATUS, detail)
    _publish(api, endpoints, event)
    feed = f"{endpoints.sink}/_inbox"

    def both() -> dict[str, dict[str, object]] | None:
        received = sink_client.expect({200}, "GET", feed, params={"wait": "1"}).json()
        return (
            {received_item["path"]: received_item for received_item in received}
            if len(received) == 2
            else None
        )

    received = eventually(both)
    assert [item["fault"] for item in received.values()] == [None, None]
    moved = {"mediaSessionId", "status"}
    assert not moved & set(received["/softphone"]["event"])
    assert moved <= set(received["/local"]["event"])
    document = requests.get(f"{endpoints.public}/openapi.json", timeout=5).json()
    description = document["components"]["schemas"]["EventSessionStatus"]["description"]
    assert "Clients for which the operator has chosen so" in description


@pytest.mark.slow
def test_terminal_has_one_line_for_a_delivery_to_the_local_sink_and_the_log_for_all_else(
    start_serve: Callable[[], Running], start: Callable[..., Running], data: Path, api: HttpClient
) -> None:
    serve = start_serve()
    endpoints = Endpoints.read(data)
    other = start("sink", "--port", "0", "--data-dir", str(data))
    other.await_output("The sink listens")
    elsewhere = other.output.split("listens on ")[1].split("/ ")[0]
    (event, *_) = played_anew(load_recording("answered"), 1_800_000_000_000)
    detail = {"registrationId": event["subject"]}
    own, _ = [
        _subscribe(api, endpoints, f"{sink}/x", _INVITATION, detail) for sink in (endpoints.sink, elsewhere)
    ]
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        refusing = f"https://localhost:{closed.getsockname()[1]}"
    _subscribe(api, endpoints, f"{refusing}/x", _INVITATION, detail)
    _publish(api, endpoints, event)
    serve.await_output(f"host={elsewhere}")
    serve.await_output(f"host={refusing}")
    # An attempt is logged before the next event goes out.
    _publish(api, endpoints, event | {"id": f"{event['id']}-2"})
    arrived = rf"session-invitation +{own} +Initial +1  ok\n"
    eventually(lambda: len(re.findall(arrived, serve.output)) == 2)
    assert f"host={endpoints.sink}" not in serve.output
