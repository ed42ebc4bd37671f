"""`listen` and `forward` against a real `serve`: what is published is printed, or POSTed on."""

import json
import queue
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from tests.harness.commands import Running, eventually, run
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.recordings import load_recording, played_anew

REGISTRATION = "96eozbrct6g2kw7ybh538sbv"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a `serve` that runs."""
    folder = tmp_path_factory.mktemp("listen")
    directory = folder / "data"
    command = ("serve", "--port", "0", "--sink-port", "0", "--data-dir", str(directory))
    serve = Running(folder / "serve.log", *command, env={"WEBRTC_EVENTS_NEXT": "true"})
    serve.await_output("Ctrl-C stops everything")
    yield directory
    serve.stop()


def call(name: str = "answered") -> tuple[str, list[dict[str, Any]]]:
    """A recorded call as new events, and the registration that is called."""
    events = played_anew(load_recording(name), round(SystemClock().now() * 1000))
    invited = next(event["subject"] for event in events if event["type"].endswith("session-invitation"))
    return invited, events


def publish(data: Path, events: list[dict[str, Any]]) -> None:
    lines = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    run("publish", "-", "--keep-ids", "--data-dir", str(data), stdin=lines)


class Application:
    """An HTTP server that answers what it is told to, and else 204."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.answers: queue.SimpleQueue[int] = queue.SimpleQueue()
        application = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = 204 if application.answers.empty() else application.answers.get()
                if status < 300:
                    application.got.append(json.loads(body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        self._thread = Thread(target=self._server.serve_forever)

    def __enter__(self) -> "Application":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def running(log: Path, *arguments: str) -> Iterator[Running]:
    command = Running(log, *arguments)
    try:
        yield command
    finally:
        command.stop()


def channels(data: Path) -> int:
    """How many there are in the store."""
    import redis

    path = data / "valkey" / "valkey.sock"
    with redis.Redis(unix_socket_path=str(path)) as store:
        return len(list(store.scan_iter("channel:*")))


def test_listen_prints_a_call_from_the_invitation_to_its_end(data: Path, tmp_path: Path) -> None:
    registration, events = call()
    arguments = ("listen", "--registration", registration, "--data-dir", str(data))
    with running(tmp_path / "listen.log", *arguments) as listen:
        listen.await_output("Listening.")
        assert channels(data) == 1
        # The invitation first: to follow the call takes a moment.
        first = next(
            index for index, event in enumerate(events) if event["type"].endswith("session-invitation")
        )
        publish(data, events[: first + 1])
        listen.await_output("session-invitation")
        listen.await_output("session=")
        publish(data, events[first + 1 :])
        listen.await_output("Terminated")
    eventually(lambda: channels(data) == 0)


def test_listen_prints_json_for_programs(data: Path, tmp_path: Path) -> None:
    registration, events = call("hold-resume")
    arguments = ("listen", "--registration", registration, "--json", "--data-dir", str(data))
    with running(tmp_path / "listen.log", *arguments) as listen:
        listen.await_output("Listening.")
        publish(data, events)
        listen.await_output('"type": "org.camaraproject.webrtc-events.v0.session-invitation"')
    lines = [line for line in (tmp_path / "listen.log").read_text().splitlines() if line.startswith("{")]
    assert all(json.loads(line)["specversion"] == "1.0" for line in lines)


def test_forward_posts_to_an_application_again_until_it_answers_and_goes_on_where_it_was(
    data: Path, tmp_path: Path
) -> None:
    with Application() as application:
        registration, events = call()
        application.answers.put(503)
        arguments = ("forward", "--registration", registration, "--to", application.url)
        arguments += ("--data-dir", str(data))
        with running(tmp_path / "first.log", *arguments) as forward:
            forward.await_output("Forwarding")
            publish(data, events[:1])
            eventually(lambda: len(application.got) == 1)
            # Until it has noted how far it is, a stop would have it forward the event again.
            forward.await_output("  204")
        # It is not there when this happens.
        _, more = call("declined")
        publish(data, [event | {"subject": registration} for event in more[:1]])
        with running(tmp_path / "second.log", *arguments):
            eventually(lambda: len(application.got) == 2)
        sessions = [event["data"]["mediaSessionId"] for event in application.got]
        assert sessions == [events[0]["data"]["mediaSessionId"], more[0]["data"]["mediaSessionId"]]
        with running(tmp_path / "third.log", *arguments, "--since", "1h", "--forget"):
            eventually(lambda: len(application.got) == 4)
        ids = [event["id"] for event in application.got]
        assert ids[:2] == ids[2:]
        eventually(lambda: channels(data) == 0)


def test_what_cannot_work_is_said(data: Path) -> None:
    for arguments, text in (
        (("listen",), "name a --registration, a --session, or both"),
        (("forward", "--registration", "r", "--to", "localhost:3000"), "must start with http://"),
        (("forward", "--registration", "r", "--to", "http://localhost:1", "--since", "soon"), "90s"),
        (("listen", "--registration", "r", "--url", "http://127.0.0.1:1"), "no answer from"),
    ):
        found = run(*arguments, "--data-dir", str(data))
        assert found.returncode != 0
        assert text in found.stderr.decode()


def test_a_page_on_this_machine_may_use_the_channels_of_serve(data: Path) -> None:
    api = Endpoints.read(data).api
    answer = requests.options(
        f"{api}/channels/v0/channels",
        headers={"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"},
        timeout=10,
    )
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


def put_registration(data: Path, registration: str, device: str) -> None:
    token = run("token", "--scope", "webrtc-events:network", "--data-dir", str(data)).stdout.decode().strip()
    answer = requests.put(
        f"{Endpoints.read(data).network}/registrations/{registration}",
        json={"deviceId": device, "owner": "local"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )
    assert answer.status_code in (200, 201)


def test_listen_prints_all_calls_of_a_device_in_the_names_of_0_3(data: Path, tmp_path: Path) -> None:
    registration, events = call()
    device = str(uuid.uuid4())
    put_registration(data, registration, device)
    arguments = ("listen", "--device", device.upper(), "--json", "--data-dir", str(data))
    with running(tmp_path / "listen.log", *arguments) as listen:
        listen.await_output("Listening.")
        publish(data, events)
        listen.await_output('"status": "Terminated"')
    heard = [json.loads(line) for line in listen.output.splitlines() if line.startswith("{")]
    prefix = "org.camaraproject.webrtc-events-subscriptions.v0."
    assert [event["type"] for event in heard[:2]] == [
        prefix + "session-invitation",
        prefix + "session-status",
    ]
    sessions = {event["data"]["mediaSessionId"] for event in heard if "session-" in event["type"]}
    assert sessions == {events[0]["data"]["mediaSessionId"]}
    assert channels(data) == 0


def test_forward_goes_on_with_a_device_in_the_next_run(data: Path, tmp_path: Path) -> None:
    device = str(uuid.uuid4())
    with Application() as application:
        options = ("forward", "--device", device, "--to", application.url, "--data-dir", str(data))
        with running(tmp_path / "first.log", *options) as first:
            first.await_output("Forwarding")
        registration, events = call()
        put_registration(data, registration, device)
        publish(data, events)
        calls = [event for event in events if not event["type"].endswith("registration-ends")]
        with running(tmp_path / "second.log", *options, "--forget"):
            eventually(lambda: len(application.got) >= len(calls))
        # One subscription, however often it was run.
        assert len({event["data"]["subscriptionId"] for event in application.got}) == 1
    assert channels(data) == 0


def test_a_device_is_named_alone_and_by_its_uuid(data: Path) -> None:
    where = ("--data-dir", str(data))
    both = run("listen", "--device", "d", "--session", "s", *where)
    assert (both.returncode, b"leave them out" in both.stderr) == (2, True)
    assert b"or a --device" in run("listen", *where).stderr
    refused = run("listen", "--device", "no uuid", *where)
    assert refused.returncode == 1
    assert b"400" in refused.stderr
    assert b"Traceback" not in refused.stderr
