"""Pages of the origins that are set may use the public API and the channels, and no others."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.api.conftest import NETWORK, PUBLIC, Api, assert_error, serving
from tests.harness.issuer import Issuer
from tests.harness.scrapes import scrape
from webrtc_events.app import create_app
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.setting_values import HostPort
from webrtc_events.core.settings import Settings
from webrtc_events.telemetry.exporter import Exporter
from webrtc_events.telemetry.listener import listen

ORIGINS = frozenset({"https://app.example", "http://localhost:*", "http://[::1]:*"})
ALLOWED = ["https://app.example", "http://localhost:3000", "http://[::1]:8080"]
OTHERS = [
    "https://app.example:8443",
    "http://app.example",
    "https://app.example.evil.example",
    "https://localhost:3000",
    "http://localhost",
    "http://localhost:3000.evil.example",
    "null",
    "",
]
SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"


@pytest.fixture
def api(api_with: Callable[..., Api]) -> Api:
    return api_with(cors_origins=ORIGINS)


def asked(method: str) -> dict[str, str]:
    return {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization"}


@pytest.mark.parametrize("origin", ALLOWED)
def test_a_page_of_an_origin_that_is_set_may_ask(api: Api, origin: str) -> None:
    headers = {"Origin": origin} | asked("POST")
    answer = api("OPTIONS", SUBSCRIPTIONS, headers=headers, token=None)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert answer.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", OTHERS)
def test_a_page_of_another_origin_may_not(api: Api, origin: str) -> None:
    headers = {"Origin": origin} | asked("POST")
    answer = api("OPTIONS", SUBSCRIPTIONS, headers=headers, token=None)
    assert answer.status_code == 405
    assert "Access-Control-Allow-Origin" not in answer.headers
    answer = api("GET", SUBSCRIPTIONS, headers={"Origin": origin})
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"


def test_a_page_reads_answers_and_errors(api: Api) -> None:
    headers = {"Origin": "https://app.example"}
    for token, status in (("", 200), (None, 401)):
        answer = api("GET", SUBSCRIPTIONS, headers=headers, token=token)
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "x-correlator" in answer.headers["Access-Control-Expose-Headers"]


def test_the_gateways_side_and_the_health_checks_are_for_no_page(api: Api) -> None:
    for path in (f"{NETWORK}/events", "/healthz"):
        answer = api("GET", path, headers={"Origin": "https://app.example"})
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_without_the_setting_nothing_is_said_to_pages(api_with: Callable[..., Api]) -> None:
    answer = api_with()("GET", SUBSCRIPTIONS, headers={"Origin": "https://app.example"})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.lower().startswith(("access-control", "vary"))]


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    found = Exporter(("api",), SystemClock(), listen(HostPort("127.0.0.1", 0)))
    found.start()
    yield found
    found.stop()


def test_what_browsers_ask_first_is_in_log_and_metrics(
    http_settings: Settings, issuer: Issuer, exporter: Exporter, caplog: pytest.LogCaptureFixture
) -> None:
    """Of whatever page, for whatever path: one operation, which names none of them."""
    caplog.set_level(logging.INFO, "webrtc_events.api.request_log")
    settings = replace(http_settings, cors_origins=ORIGINS, log_requests=1)
    with serving(create_app(settings, exporter=exporter), issuer) as api:
        for number, origin in enumerate((*ALLOWED, "https://other.example")):
            headers = {"Origin": origin, "x-correlator": f"c-{number}"} | asked("GET")
            answer = api("OPTIONS", f"{SUBSCRIPTIONS}/s{number}", headers=headers, token=None)
            assert answer.headers["x-correlator"] == f"c-{number}"
        headers = {"Origin": ALLOWED[0], "x-correlator": "?"} | asked("GET")
        refused = api("OPTIONS", SUBSCRIPTIONS, headers=headers, token=None)
        assert_error(refused, 400, "INVALID_ARGUMENT")
        assert refused.headers["Access-Control-Allow-Origin"] == ALLOWED[0]
        assert exporter.url is not None
        found = scrape(exporter.url)
    assert found("http_requests_total", operation="preflight", api="", status="204") == len(ALLOWED)
    assert found("http_requests_total", operation="unknown", api="", status="405") == 1
    lines = [line for line in caplog.messages if "method=OPTIONS" in line]
    assert sum("operation=preflight status=204" in line for line in lines) == len(ALLOWED)
    assert len(lines) == len(ALLOWED) + 2
    assert "example" not in caplog.text
