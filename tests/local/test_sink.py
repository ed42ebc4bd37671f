"""The local HTTPS sink as a process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.local.conftest import Running
from webrtc_events.local.client import Client
from webrtc_events.local.errors import UnreachableError

_MEDIA_TYPE = {"Content-Type": "application/cloudevents+json", "x-correlator": "c-1"}


@pytest.fixture
def sink(start: Callable[..., Running], data: Path) -> Running:
    running = start("sink", "--port", "0", "--data-dir", str(data))
    running.await_output("The sink listens")
    return running


@pytest.fixture
def url(sink: Running) -> str:
    return sink.output.split("listens on ")[1].split("/ ")[0]


def _event(**changes: Any) -> bytes:
    event = {
        "id": "s-1.1",
        "source": "/webrtc-events",
        "specversion": "1.0",
        "type": "org.camaraproject.webrtc-events.v0.subscription-ended",
        "time": "2026-01-01T00:00:00Z",
        "data": {"subscriptionId": "s-1", "terminationReason": "SUBSCRIPTION_EXPIRED"},
    }
    return json.dumps(event | changes).encode()


def test_valid_notification_is_taken_and_shown(sink: Running, url: str, sink_client: Client) -> None:
    answer = sink_client.expect({204}, "POST", f"{url}/a/b", data=_event(), headers=_MEDIA_TYPE)
    assert answer.headers["x-correlator"] == "c-1"
    (received,) = sink_client.expect({200}, "GET", f"{url}/_inbox", params={"path": "/a"}).json()
    assert (received["path"], received["fault"], received["xCorrelator"]) == ("/a/b", None, "c-1")
    assert received["event"]["id"] == "s-1.1"
    assert "SUBSCRIPTION_EXPIRED" in sink_client.expect({200}, "GET", url).text
    assert " ok" in sink.output


def test_invalid_notification_is_refused_with_the_reason(
    sink: Running, url: str, sink_client: Client
) -> None:
    body = _event(data={"subscriptionId": "s-1", "terminationReason": "BORED"})
    answer = sink_client.expect({400}, "POST", url, data=body, headers=_MEDIA_TYPE).json()
    assert (answer["status"], answer["code"]) == (400, "INVALID_ARGUMENT")
    assert "terminationReason" in answer["message"]
    assert "INVALID: data.terminationReason" in sink.output


def test_repeated_notification_is_marked(url: str, sink_client: Client) -> None:
    for _ in range(2):
        sink_client.expect({204}, "POST", url, data=_event(), headers=_MEDIA_TYPE)
    feed = sink_client.expect({200}, "GET", f"{url}/_inbox").json()
    assert [each["repeated"] for each in feed] == [False, True]


def test_chunked_notification_is_read_whole(url: str, sink_client: Client) -> None:
    parts = iter([_event()[:20], _event()[20:]])
    sink_client.expect({204}, "POST", url, data=parts, headers=_MEDIA_TYPE)


def test_what_is_received_is_shown_as_text(url: str, sink_client: Client) -> None:
    sink_client.expect({400}, "POST", url, data=_event(type="<script>alert(1)</script>"), headers=_MEDIA_TYPE)
    assert "<script>alert" not in sink_client.expect({200}, "GET", url).text


def test_other_requests_get_an_error_info(url: str, sink_client: Client) -> None:
    assert sink_client.request("GET", f"{url}/nothing").json()["code"] == "NOT_FOUND"
    assert sink_client.request("PUT", f"{url}/a").json()["code"] == "METHOD_NOT_ALLOWED"
    too_large = sink_client.request("POST", url, data=b"x" * 5_000_000, headers=_MEDIA_TYPE)
    assert (too_large.status_code, too_large.json()["code"]) == (413, "CONTENT_TOO_LARGE")


def test_feed_waits_only_as_long_as_asked(url: str, sink_client: Client) -> None:
    assert sink_client.expect({200}, "GET", f"{url}/_inbox", params={"wait": "0.1"}).json() == []


def test_certificate_is_no_other_machines(url: str) -> None:
    with pytest.raises(UnreachableError, match="not trusted"):
        Client().request("GET", url)


def test_sink_stops_while_somebody_waits(sink: Running, url: str) -> None:
    assert sink.stop() == 0
    assert "Traceback" not in sink.output
