"""The `publish` command against a real `serve`."""

import codecs
import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from tests.harness.commands import COMMAND, Running, clean_environ, eventually, run
from webrtc_events.core.clock import SystemClock, parse_time
from webrtc_events.core.model import EventType
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.recordings import load_recording, played_anew

_ENDING = (EventType.SESSION_INVITATION, EventType.REGISTRATION_ENDS)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("publish") / "data"


@pytest.fixture(scope="module")
def _serve(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Any:
    serve = Running(
        tmp_path_factory.mktemp("log") / "serve.log",
        *("serve", "--port", "0", "--sink-port", "0", "--data-dir", str(data)),
    )
    serve.await_output("Ctrl-C stops everything")
    yield serve
    serve.stop()


pytestmark = pytest.mark.usefixtures("_serve")


def _events() -> list[dict[str, Any]]:
    return played_anew(load_recording("answered"), 1_800_000_000_000)


def _call() -> list[dict[str, Any]]:
    """A new call that leaves the registration as it is: an invitation, then statuses."""
    return played_anew(load_recording("hold-resume"), round(SystemClock().now() * 1000))


def _lines(events: list[Any]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def _publish(data: Path, events: list[Any], *options: str) -> "subprocess.CompletedProcess[bytes]":
    return run("publish", "-", "--data-dir", str(data), *options, stdin=_lines(events))


def _summary(**counts: int) -> str:
    names = ("accepted", "duplicate", "rejected", "notifications", "unmatched")
    return ", ".join(f"{name} {counts.get(name, 0)}" for name in names) + "\n"


def _subscribe(
    api: HttpClient, data: Path, event_type: str, call: list[Any], *, initial: bool = False
) -> str:
    """Returns the sink's path, where nothing else arrives."""
    endpoints = Endpoints.read(data)
    path = f"/{uuid.uuid4()}"
    detail = {"registrationId": call[0]["subject"]}
    if event_type == EventType.SESSION_STATUS:
        detail["mediaSessionId"] = call[0]["data"]["mediaSessionId"]
    request = {
        "protocol": "HTTP",
        "sink": f"{endpoints.sink}{path}",
        "types": [event_type],
        "config": {"subscriptionDetail": detail, "initialEvent": initial},
    }
    api.expect({201}, "POST", f"{endpoints.public}/subscriptions", json=request)
    return path


def _await_events(sink: HttpClient, data: Path, path: str, count: int) -> list[dict[str, Any]]:
    """The events that came to `path`, as soon as there are `count`."""
    feed = f"{Endpoints.read(data).sink}/_inbox"

    def arrived() -> list[dict[str, Any]] | None:
        items = sink.expect({200}, "GET", feed, params={"path": path}).json()
        assert not [item["fault"] for item in items if item["fault"]]
        return [item["event"] for item in items] if len(items) >= count else None

    events: list[dict[str, Any]] = eventually(arrived)
    return events


def _states(events: list[dict[str, Any]]) -> list[str]:
    return [event["data"].get("status") or event["data"]["terminationReason"] for event in events]


def test_same_file_arrives_anew_each_time(
    data: Path, tmp_path: Path, api: HttpClient, sink_client: HttpClient
) -> None:
    """For subscriptions made before and between, also for those that wish an initial event."""
    call = _call()
    file = tmp_path / "call.ndjson"
    file.write_bytes(codecs.BOM_UTF8 + _lines(call).replace(b"\n", b"\r\n") + b"\n")
    statuses = _states([event for event in call if event["type"] == EventType.SESSION_STATUS])
    expected: dict[str, list[str]] = {}
    for already_played in ([], statuses[-1:], statuses[-1:]):
        for initial in (False, True):
            expected[_subscribe(api, data, EventType.SESSION_INVITATION, call, initial=initial)] = []
            path = _subscribe(api, data, EventType.SESSION_STATUS, call, initial=initial)
            expected[path] = already_played if initial else []
        done = run("publish", str(file), "--data-dir", str(data))
        counts = {"accepted": len(call), "notifications": len(expected) // 2 * len(call)}
        assert (done.returncode, done.stderr, done.stdout.decode()) == (0, b"", _summary(**counts))
        for position, path in enumerate(expected):
            expected[path] = expected[path] + (["Initial"], statuses)[position % 2]
    for path, states in expected.items():
        assert _states(_await_events(sink_client, data, path, len(states))) == states


@pytest.mark.slow
def test_end_of_a_registration_arrives_anew_for_new_subscriptions(
    data: Path, api: HttpClient, sink_client: HttpClient
) -> None:
    call = _events()
    for _ in range(3):
        paths = [_subscribe(api, data, event_type, call) for event_type in _ENDING]
        assert _publish(data, call).stderr == b""
        for path, states in zip(paths, (["Initial"], ["NETWORK_TERMINATED"]), strict=True):
            # The end of the subscription follows.
            found = _states(_await_events(sink_client, data, path, 2))
            assert found == [*states, "NETWORK_TERMINATED"]


@pytest.mark.slow
def test_times_are_those_of_publishing_in_the_order_of_the_lines(
    data: Path, api: HttpClient, sink_client: HttpClient
) -> None:
    call = _call()
    path = _subscribe(api, data, EventType.SESSION_STATUS, call)
    before_ms = SystemClock().now() * 1000 - 1
    _publish(data, call)
    _publish(data, call)
    after_ms = SystemClock().now() * 1000 + 1
    times = [event["time"] for event in _await_events(sink_client, data, path, 2 * (len(call) - 1))]
    assert times == sorted(set(times))
    assert all(before_ms <= parse_time(time) <= after_ms for time in times)


@pytest.mark.slow
def test_kept_ids_are_published_once(data: Path, api: HttpClient, sink_client: HttpClient) -> None:
    call = _call()
    path = _subscribe(api, data, EventType.SESSION_STATUS, call)
    first, second = (_publish(data, call, "--keep-ids") for _ in range(2))
    statuses = len(call) - 1
    counts = {"accepted": len(call), "notifications": statuses, "unmatched": 1}
    assert (first.returncode, first.stderr, first.stdout.decode()) == (0, b"", _summary(**counts))
    assert (second.returncode, second.stdout.decode()) == (0, _summary(duplicate=len(call)))
    assert b"Leave out --keep-ids" in second.stderr
    assert _publish(data, call).stdout.decode() == _summary(**counts)
    times = [event["time"] for event in _await_events(sink_client, data, path, 2 * statuses)]
    assert times[:statuses] == [event["time"] for event in call[1:]]
    assert len(times) == 2 * statuses


def test_events_that_nobody_subscribed_to_are_reported(data: Path) -> None:
    call = _call()
    for options, again in (((), "then publish again"), (("--keep-ids",), "then publish without --keep-ids")):
        done = _publish(data, call, *options)
        assert (done.returncode, done.stdout.decode()) == (
            0,
            _summary(accepted=len(call), unmatched=len(call)),
        )
        assert b"No active subscription is for these events" in done.stderr
        assert again in done.stderr.decode()


def test_events_that_no_device_can_get_are_reported_with_the_reason(data: Path) -> None:
    named, *_ = _call()
    nobodys = {name: value for name, value in _call()[1].items() if name != "subject"}
    nobodys["data"] = nobodys["data"] | {"mediaSessionId": "nobodys"}
    reason = b"The service says of some events: $.subject: is missing"
    assert reason in _publish(data, [named, nobodys]).stderr
    assert reason not in _publish(data, [named]).stderr


def test_what_is_repeated_in_the_file_is_still_a_repeat(data: Path) -> None:
    call = _events()
    done = _publish(data, [*call, call[0], *call])
    assert done.stdout.decode() == _summary(accepted=len(call), duplicate=len(call) + 1, unmatched=len(call))


@pytest.mark.slow
def test_batch_whose_answer_is_lost_is_sent_again_with_the_same_new_ids(
    data: Path, api: HttpClient, sink_client: HttpClient
) -> None:
    call = _call()
    path = _subscribe(api, data, EventType.SESSION_STATUS, call)
    token = run("token", "--data-dir", str(data)).stdout.decode().strip()
    with _losing_answers(Endpoints.read(data).network, token, lose=2) as (url, asked):
        done = _publish(data, call, "--url", url, "--token", token)
    assert done.returncode == 0
    # How many lines the first batch has depends on how fast they are read.
    repeated = len(json.loads(asked[0]))
    assert f"accepted {len(call) - repeated}, duplicate {repeated}, rejected 0" in done.stdout.decode()
    assert asked[0] == asked[1] == asked[2]
    assert b"were accepted at an attempt whose answer was lost" in done.stderr
    _publish(data, call[:2])
    statuses = [*_states(call[1:]), *_states(call[1:2])]
    assert _states(_await_events(sink_client, data, path, len(statuses))) == statuses


@contextmanager
def _losing_answers(network: str, token: str, *, lose: int) -> Iterator[tuple[str, list[bytes]]]:
    """A way to the gateway side on which the first answers become a 503, and the bodies that were sent."""
    bodies: list[bytes] = []

    class Relay(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
            answer = requests.post(f"{network}{self.path}", data=body, headers=headers, timeout=20)
            assert answer.status_code == 202
            bodies.append(body)
            self.send_response(503 if len(bodies) <= lose else 202)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Nothing is written to the tests' output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Relay) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()
        thread.join()


def test_damaged_ids_and_times_are_refused_not_renewed(data: Path) -> None:
    damaged: list[dict[str, Any]] = [
        {"id": ""},
        {"id": 7},
        {"id": "x" * 257},
        {"time": "yesterday"},
        {"time": "2026-03-10T09:14:02"},
        {"time": "2026-02-30T09:14:02Z"},
        {"time": 1773134042},
        {"time": None},
    ]
    call = _call()
    nameless = {name: value for name, value in call[0].items() if name != "id"}
    timeless = {name: value for name, value in call[0].items() if name != "time"}
    lines = [call[0], *(call[0] | change for change in damaged), nameless, timeless, [], "", 0, None]
    done = _publish(data, lines)
    assert done.returncode == 1
    assert done.stdout.decode() == _summary(accepted=1, rejected=len(lines) - 1, unmatched=1)
    printed = [line.split(":")[0] for line in done.stderr.decode().splitlines()]
    assert printed[: len(lines) - 1] == [f"line {number}" for number in range(2, len(lines) + 1)]


def test_bad_lines_are_named_and_the_others_sent(data: Path) -> None:
    good = _events()[:3]
    invalid = _events()[0]
    del invalid["data"]["originatorAddress"]
    lines = [
        _lines([good[0]]),
        b"{broken\n",
        _lines([good[1]]),
        _lines([invalid]),
        b"\xff\n",
        b"7\n",
        _lines([good[2]]),
    ]
    done = run("publish", "-", "--data-dir", str(data), stdin=b"".join(lines))
    assert done.returncode == 1
    assert done.stdout.decode() == _summary(accepted=3, rejected=4, unmatched=3)
    printed = done.stderr.decode().splitlines()
    assert [line.split(":")[0] for line in printed[:4]] == ["line 2", "line 4", "line 5", "line 6"]
    assert printed[0].startswith("line 2: not JSON: ")
    assert printed[0].endswith(", column 2")
    assert "originatorAddress" in printed[1]


def test_more_than_a_batch_is_published(data: Path) -> None:
    (event, *_) = _events()
    events = [event | {"id": str(number)} for number in range(1234)]
    assert _publish(data, events).stdout.decode() == _summary(accepted=1234, unmatched=1234)


def test_line_that_spoils_its_batch_spoils_nothing_else(data: Path) -> None:
    """The service refuses a body that nests deeper than 100 levels, and a batch is one level more."""
    events = _events()[:4]
    deep = _lines([events[3]]).replace(b'{"id"', b'{"x": ' + b"[" * 99 + b"]" * 99 + b', "id"', 1)
    lines = _lines(events[:2]) + deep + _lines([events[2]])
    for options in ((), ("--keep-ids",)):
        done = run("publish", "-", "--data-dir", str(data), *options, stdin=lines)
        assert done.stdout.decode() == _summary(accepted=3, rejected=1, unmatched=3)
        assert done.stderr.startswith(b"line 3:")


def test_repeated_name_is_refused_with_its_line(data: Path) -> None:
    events = _events()[:2]
    doubled = _lines(events[1:]).replace(b'{"id"', b'{"id": "x", "id"', 1)
    for options in ((), ("--keep-ids",)):
        done = run("publish", "-", "--data-dir", str(data), *options, stdin=_lines(events[:1]) + doubled)
        assert done.stdout.decode() == _summary(accepted=1, rejected=1, unmatched=1)
        assert done.stderr.startswith(b"line 2: An object of the JSON text has the same name twice.")


def test_events_of_a_live_pipe_do_not_wait_for_a_full_batch(data: Path) -> None:
    command = [*COMMAND, "publish", "-", "--data-dir", str(data)]
    events = _events()[:2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environ()
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"{broken\n")
        process.stdin.flush()
        assert process.stderr.readline().startswith(b"line 1:")
        process.stdin.write(_lines(events))
        process.stdin.close()
        assert process.wait(30) == 1


def test_wrong_token_is_reported(data: Path) -> None:
    done = run("publish", "-", "--token", "nonsense", "--data-dir", str(data), stdin=_lines(_events()[:1]))
    assert done.returncode == 1
    assert b"401" in done.stderr
    assert b"Traceback" not in done.stderr


def test_what_is_no_url_is_reported(data: Path) -> None:
    done = run("publish", "-", "--url", "nonsense", "--data-dir", str(data), stdin=_lines(_events()[:1]))
    assert done.returncode == 2
    assert b"must start with http" in done.stderr


def test_absent_server_is_reported(data: Path) -> None:
    url = "http://127.0.0.1:9/network/v0"
    done = run("publish", "-", "--url", url, "--data-dir", str(data), stdin=_lines(_events()[:1]))
    assert done.returncode == 1
    assert b"is `webrtc-events serve` running?" in done.stderr
