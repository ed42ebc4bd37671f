"""Sinks as `webrtc-events doctor` sees them: with a worker's eyes, and without a notification."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.doctor.found import texts
from tests.harness.authority import Authority
from tests.harness.proxies import ConnectProxy
from tests.harness.sinks import RecordingSink


def test_a_sink_is_looked_at_as_a_worker_would_and_gets_nothing(
    healthy: dict[str, str], doctor: Any, authority: Authority
) -> None:
    trusted = healthy | {"WEBRTC_EVENTS_SINK_CA_FILE": str(authority.ca_file)}
    with RecordingSink(authority=authority) as sink:
        status, found = doctor(trusted, "--sink", sink.url)
        assert status < 2, found
        assert "no notification was sent" in texts(found["sink"], "ok")
        assert "asked for by SNI as localhost" in texts(found["sink"], "ok")
        assert "its certificate expires in" in texts(found["sink"], "ok")
        status, found = doctor(healthy, "--sink", sink.url)
        assert status == 2
        assert "tls:" in texts(found["sink"], "error")
        # What was refused is shown.
        assert "issued by" in texts(found["sink"], "ok")
        assert sink.requests == []
        only_public = {**trusted, "WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS": "10.0.0.0/8"}
        _, found = doctor(only_public, "--sink", sink.url)
        assert "127.0.0.1 is not an address that sinks may have" in texts(found["sink"], "error")


def test_a_certificate_that_expires_soon_is_a_warning(
    healthy: dict[str, str], doctor: Any, authority: Authority
) -> None:
    trusted = healthy | {"WEBRTC_EVENTS_SINK_CA_FILE": str(authority.ca_file)}
    soon = datetime.now(UTC) + timedelta(days=3)
    with RecordingSink(authority=authority, not_after=soon) as sink:
        _, found = doctor(trusted, "--sink", sink.url)
    assert "expires in 2 days" in texts(found["sink"], "warning")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://sink.example/", "must be an https:// URL"),
        ("https://nowhere.invalid/", "cannot be looked up"),
        ("https://10.0.0.1/", "is not a public address"),
    ],
)
def test_sinks_that_cannot_be_are_said(healthy: dict[str, str], doctor: Any, url: str, expected: str) -> None:
    status, found = doctor(healthy, "--sink", url)
    assert status == 2
    assert expected in texts(found["sink"], "error")


def test_a_sink_where_nobody_listens_and_one_that_speaks_no_tls(healthy: dict[str, str], doctor: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    _, found = doctor(healthy, "--sink", f"https://127.0.0.1:{port}/")
    assert "connect:" in texts(found["sink"], "error")


def test_a_sink_behind_the_egress_proxy_is_asked_for_as_a_worker_does(
    healthy: dict[str, str], doctor: Any, authority: Authority, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("me:pass word\n")
    with (
        RecordingSink(authority=authority, names=["sink.example"]) as sink,
        ConnectProxy(credentials="me:pass word") as proxy,
    ):
        environ = healthy | {
            "WEBRTC_EVENTS_SINK_CA_FILE": str(authority.ca_file),
            "WEBRTC_EVENTS_EGRESS_PROXY": proxy.url,
            "WEBRTC_EVENTS_EGRESS_PROXY_CREDENTIALS_FILE": str(credentials),
        }
        # Only the proxy knows the name.
        url = f"https://sink.example:{sink.port}/"
        status, found = doctor(environ, "--sink", url)
        assert status < 2, found
        assert f"through the egress proxy {proxy.url}" in texts(found["sink"], "ok")
        assert "through the proxy: connected, its certificate is trusted" in texts(found["sink"], "ok")
        assert "asked for by SNI as sink.example" in texts(found["sink"], "ok")
        assert "pass word" not in str(found)
        proxy.answer = lambda _: 403
        _, found = doctor(environ, "--sink", url)
        assert "tunnel: CONNECT tunnel failed, response 403" in texts(found["sink"], "error")
        credentials.write_text("me:other")
        _, found = doctor(environ, "--sink", url)
        assert "proxy: CONNECT tunnel failed, response 407" in texts(found["sink"], "error")
        asked = len(proxy.asked)
        _, found = doctor(environ, "--sink", "https://192.168.0.1/")
        assert "is not a public address" in texts(found["sink"], "error")
        environ["WEBRTC_EVENTS_EGRESS_NO_PROXY"] = "localhost"
        _, found = doctor(environ, "--sink", f"https://localhost:{sink.port}/")
        assert "it is reached directly" in texts(found["sink"], "ok")
        assert len(proxy.asked) == asked
        assert sink.requests == []
