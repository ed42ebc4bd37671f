"""A WebSocket is a request like any other: below the base path, in the log of requests and in the metrics."""

import dataclasses
import logging
from contextlib import ExitStack
from ipaddress import ip_network

import pytest
from websockets.exceptions import InvalidStatus

from tests.api.conftest import serving
from tests.channels.conftest import CHANNELS, Stack
from tests.harness.event_sockets import SocketReader, offers
from tests.harness.issuer import Issuer
from tests.harness.scrapes import scrape
from tests.harness.valkeys import eventually
from webrtc_events.app import create_app
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.setting_values import HostPort
from webrtc_events.telemetry.exporter import Exporter
from webrtc_events.telemetry.listener import listen

ORIGIN = "https://app.example"


def test_below_the_base_path_behind_a_proxy_in_log_and_metrics(
    service: Stack, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "webrtc_events.api.request_log")
    exporter = Exporter(("api",), SystemClock(), listen(HostPort("127.0.0.1", 0)))
    exporter.start()
    settings = dataclasses.replace(
        service.settings, base_path="/camara", trusted_proxies=(ip_network("127.0.0.0/8"),), log_requests=1
    )
    channel = service.make()
    service.subscribed(channel)
    with ExitStack() as stack:
        stack.callback(exporter.stop)
        api = stack.enter_context(serving(create_app(settings, exporter=exporter), issuer))
        caplog.clear()
        for base in ("/camara", ""):
            url = f"http://127.0.0.1:{api.port}{base}{CHANNELS}/{channel.id}/events"
            with SocketReader(url, offers(channel.token), origin=ORIGIN) as reader:
                numbers = service.publish(1)
                eventually(lambda: len(reader.events) >= len(numbers), "it is read")  # noqa: B023 (called at once)
            with pytest.raises(InvalidStatus, match="403"):
                SocketReader(url, offers(channel.token), origin="https://other.example")
        nowhere = f"http://127.0.0.1:{api.port}/camara{channel.id}"
        with pytest.raises(InvalidStatus, match="404"):
            SocketReader(nowhere, offers(channel.token))
        # No browser shows a page the status of a handshake: so it is opened, and closed with that status.
        with SocketReader(url, offers("wrong")) as refused:
            assert refused.wait_end().code == 4401
        eventually(lambda: len(caplog.messages) >= 6, "each has a line")
        assert exporter.url is not None
        found = scrape(exporter.url)
    assert found("http_requests_total", operation="readChannelEvents", api="channels/v0", status="101") == 2
    assert found("http_requests_total", operation="readChannelEvents", api="channels/v0", status="403") == 2
    assert found("http_requests_total", operation="readChannelEvents", api="channels/v0", status="401") == 1
    assert found("http_requests_total", operation="unknown", api="", status="404") == 1
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("request_log")]
    assert sum("operation=readChannelEvents api=channels/v0 status=101" in line for line in lines) == 2
    assert sum("operation=readChannelEvents api=channels/v0 status=401" in line for line in lines) == 1
    assert not any(channel.id in line or channel.token in line for line in lines)
