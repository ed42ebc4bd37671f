"""The local HTTPS sink as a process. Each test posts to another path."""

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.commands import Running, clean_environ, run
from tests.local.notifications import MEDIA_TYPE, notification, received, sink_url
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.local_error import UnreachableError


def _rows(client: HttpClient, url: str, path: str) -> list[dict[str, Any]]:
    """What the page gets to show."""
    rows = client.expect({200}, "GET", f"{url}/_inbox/rows").json()["rows"]
    return [row for row in rows if row["path"].startswith(path)]


def test_valid_notification_is_taken_and_shown(
    sink: Running, url: str, path: str, sink_client: HttpClient
) -> None:
    body = notification(id="first.1")
    answer = sink_client.expect({204}, "POST", f"{url}{path}", data=body, headers=MEDIA_TYPE)
    assert answer.headers["x-correlator"] == "c-1"
    (found,) = received(sink_client, url, path)
    assert (found["path"], found["fault"], found["xCorrelator"]) == (path, None, "c-1")
    assert found["event"] == json.loads(body)
    (shown,) = _rows(sink_client, url, path)
    assert (shown["state"], shown["subscription"], shown["valid"]) == ("SUBSCRIPTION_EXPIRED", "s-1", True)
    whole = sink_client.expect({200}, "GET", f"{url}/_inbox/{shown['number']}")
    assert json.loads(whole.text) == json.loads(body)
    assert "SUBSCRIPTION_EXPIRED" in sink.output


def test_invalid_notification_is_refused_with_the_reason(
    sink: Running, url: str, path: str, sink_client: HttpClient
) -> None:
    body = notification(data={"subscriptionId": "s-1", "terminationReason": "BORED"})
    answer = sink_client.expect({400}, "POST", f"{url}{path}", data=body, headers=MEDIA_TYPE).json()
    assert (answer["status"], answer["code"]) == (400, "INVALID_ARGUMENT")
    assert "terminationReason" in answer["message"]
    assert "INVALID: data.terminationReason" in sink.output
    (found,) = received(sink_client, url, path)
    assert found["fault"] == answer["message"]


def test_repeated_notification_is_marked(url: str, path: str, sink_client: HttpClient) -> None:
    body = notification()
    for _ in range(2):
        sink_client.expect({204}, "POST", f"{url}{path}", data=body, headers=MEDIA_TYPE)
    assert [item["repeated"] for item in received(sink_client, url, path)] == [False, True]


def test_chunked_notification_is_read_whole(url: str, path: str, sink_client: HttpClient) -> None:
    body = notification()
    parts = iter([body[:20], body[20:]])
    sink_client.expect({204}, "POST", f"{url}{path}", data=parts, headers=MEDIA_TYPE)


def test_what_is_received_is_never_a_page(url: str, path: str, sink_client: HttpClient) -> None:
    hostile = "<script>alert(1)</script>"
    body = notification(type=hostile)
    sink_client.expect({400}, "POST", f"{url}{path}{hostile}", data=body, headers=MEDIA_TYPE)
    (shown,) = _rows(sink_client, url, path)
    for page_path in ("/", "/_inbox", "/_inbox/rows", f"/_inbox/{shown['number']}"):
        answer = sink_client.expect({200}, "GET", f"{url}{page_path}")
        html = answer.headers["Content-Type"].startswith("text/html")
        assert html == (page_path == "/")
        assert (hostile in answer.text) != html
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        policy = answer.headers["Content-Security-Policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
        assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_page_loads_nothing_from_elsewhere(url: str, sink_client: HttpClient) -> None:
    page = sink_client.expect({200}, "GET", f"{url}/").text
    found = re.findall(r'(?:src|href)="([^"]*)"', page)
    files = [name for name in found if name.startswith("_static/")]
    assert {file.rpartition(".")[2] for file in files} == {"css", "js", "svg"}
    for file in files:
        text = sink_client.expect({200}, "GET", f"{url}/{file}").text
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)|innerHTML|@import|eval\(", text)
    assert not [name for name in found if name.startswith(("http", "//"))]


def test_inbox_is_cleared(url: str, path: str, sink_client: HttpClient) -> None:
    body = notification()
    sink_client.expect({204}, "POST", f"{url}{path}", data=body, headers=MEDIA_TYPE)
    (before,) = received(sink_client, url, path)
    sink_client.expect({204}, "DELETE", f"{url}/_inbox")
    assert received(sink_client, url, path) == []
    assert _rows(sink_client, url, path) == []
    sink_client.expect({204}, "POST", f"{url}{path}", data=body, headers=MEDIA_TYPE)
    (after,) = received(sink_client, url, path)
    assert after["number"] > before["number"]
    # Who reads on from where they were misses nothing.
    reading = {"path": path, "after": before["number"] - 1}
    assert sink_client.expect({200}, "GET", f"{url}/_inbox", params=reading).json() == [before, after]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=lambda headers: " ".join(*headers.items()),
)
def test_inbox_is_not_cleared_for_another_site(
    url: str, path: str, sink_client: HttpClient, headers: dict[str, str]
) -> None:
    sink_client.expect({204}, "POST", f"{url}{path}", data=notification(), headers=MEDIA_TYPE)
    refused = sink_client.expect({403}, "DELETE", f"{url}/_inbox", headers=headers).json()
    assert refused["code"] == "PERMISSION_DENIED"
    assert len(received(sink_client, url, path)) == 1
    # A browser asks before it lets another site send a DELETE; the answer does not allow it.
    asked = sink_client.request("OPTIONS", f"{url}/_inbox", headers=headers)
    assert not [name for name in asked.headers if name.lower().startswith("access-control-")]


def test_inbox_is_cleared_for_its_own_page(url: str, path: str, sink_client: HttpClient) -> None:
    sink_client.expect({204}, "POST", f"{url}{path}", data=notification(), headers=MEDIA_TYPE)
    headers = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
    sink_client.expect({204}, "DELETE", f"{url}/_inbox", headers=headers)
    assert received(sink_client, url, path) == []


def test_what_is_kept_no_longer_is_shown_as_such(url: str, sink_client: HttpClient) -> None:
    answer = sink_client.expect({404}, "GET", f"{url}/_inbox/{10**30}").json()
    assert answer["message"] == "It is no longer kept."


def test_other_requests_get_an_error_info(url: str, path: str, sink_client: HttpClient) -> None:
    refused = sink_client.request("GET", f"{url}{path}")
    assert (refused.status_code, refused.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "POST" in refused.headers["Allow"]
    too_large = sink_client.request("POST", f"{url}{path}", data=b"x" * 5_000_000, headers=MEDIA_TYPE)
    assert (too_large.status_code, too_large.json()["code"]) == (413, "CONTENT_TOO_LARGE")


@pytest.mark.parametrize("where", ["", "/my-app/inbox"])
def test_sink_agrees_with_whoever_asks(url: str, where: str, sink_client: HttpClient) -> None:
    asking = {"WebHook-Request-Origin": "events.operator.example"}
    agreed = sink_client.expect({204}, "OPTIONS", f"{url}{where}", headers=asking)
    assert agreed.headers["WebHook-Allowed-Origin"] == "events.operator.example"
    assert agreed.headers["WebHook-Allowed-Rate"] == "*"
    assert "POST" in agreed.headers["Allow"]
    plain = sink_client.expect({204}, "OPTIONS", f"{url}{where}")
    assert not [name for name in plain.headers if name.lower().startswith("webhook")]


def test_certificate_is_not_trusted_without_its_ca(url: str) -> None:
    with pytest.raises(UnreachableError, match="not trusted"):
        HttpClient().request("GET", url)


def test_sink_stops_at_once_while_somebody_waits(
    start: Callable[..., Running], data: Path, sink_client: HttpClient
) -> None:
    sink = start("sink", "--port", "0", "--data-dir", str(data))
    sink.await_output("The sink listens")
    feed = f"{sink_url(sink)}/_inbox"
    waiting = threading.Thread(
        target=sink_client.request, args=("GET", feed), kwargs={"params": {"wait": "5"}}
    )
    sink_client.expect({200}, "GET", feed)
    clock = SystemClock()
    started = clock.monotonic()
    waiting.start()
    assert sink.stop() == 0
    waiting.join()
    assert clock.monotonic() - started < 4
    assert "Traceback" not in sink.output


def _status(**changes: Any) -> bytes:
    """A session-status in the strict form."""
    data = {"subscriptionId": "s-1", "mediaSessionId": "m-1", "status": "Ringing"}
    return notification(type="org.camaraproject.webrtc-events.v0.session-status", data=data, **changes)


@pytest.mark.parametrize(
    ("setting", "options", "expected"),
    [
        ("false", [], [204, 400]),
        pytest.param("true", [], [400, 204], marks=pytest.mark.slow),
        ("softphone, a%2Cb", [], [204, 204]),
        pytest.param("softphone", ["--strict"], [400, 204], marks=pytest.mark.slow),
        pytest.param("softphone", ["--no-strict"], [204, 400], marks=pytest.mark.slow),
        pytest.param("softphone,", ["--strict"], [400, 204], marks=pytest.mark.slow),
    ],
)
def test_sink_takes_each_form_that_some_client_may_get(
    start: Callable[..., Running],
    data: Path,
    sink_client: HttpClient,
    setting: str,
    options: list[str],
    expected: list[int],
) -> None:
    env = {"WEBRTC_EVENTS_STRICT_CLOUDEVENTS": setting}
    sink = start("sink", "--port", "0", "--data-dir", str(data), *options, env=env)
    sink.await_output("The sink listens")
    bodies = [_status(mediaSessionId="m-1", status="Ringing"), _status()]
    answers = [
        sink_client.request("POST", f"{sink_url(sink)}/", data=body, headers=MEDIA_TYPE) for body in bodies
    ]
    assert [answer.status_code for answer in answers] == expected


def test_a_setting_that_nobody_can_read_is_reported(data: Path) -> None:
    env = clean_environ() | {"WEBRTC_EVENTS_STRICT_CLOUDEVENTS": "softphone,yes"}
    done = run("sink", "--port", "0", "--data-dir", str(data), env=env)
    assert done.returncode == 2
    assert "WEBRTC_EVENTS_STRICT_CLOUDEVENTS has 'yes' for a client id" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
