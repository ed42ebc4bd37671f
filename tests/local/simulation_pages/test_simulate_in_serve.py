"""From the page to the inbox: subscribe, play, and see what arrives."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.harness.browser import Browser, Page
from tests.harness.commands import Running, eventually
from tests.local.notifications import received
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints


def test_a_subscription_of_the_form_gets_the_calls_of_the_form(
    start_serve: Callable[[], Running], data: Path, sink_client: HttpClient
) -> None:
    serve = start_serve()
    endpoints = Endpoints.read(data)
    address = f"{endpoints.console}simulate"
    with requests.Session() as session:
        page = session.get(f"{address}/", timeout=30).text
        match = re.search(r'<meta name="csrf-token" content="([^"]+)">', page)
        assert match is not None
        form = {
            "csrf_token": match[1],
            "sink": f"{endpoints.sink}/played",
            "types": "org.camaraproject.webrtc-events.v0.session-invitation",
            "config.subscriptionDetail.registrationId": "r-1",
        }
        refused = session.post(
            f"{address}/subscribe", data=form | {"sink": "https://localhost:1/"}, timeout=30
        )
        assert refused.status_code == 400
        assert "sink must use one of the ports" in refused.text
        made = session.post(f"{address}/subscribe", data=form, timeout=30)
        assert "Subscribed: " in made.text
        played = {"csrf_token": match[1], "registration": "r-1", "calls": "3", "rate": "100", "speed": "max"}
        session.post(f"{address}/", data=played, timeout=30)
        eventually(lambda: "notifications 3 " in session.get(f"{address}/runs", timeout=30).text)
    eventually(lambda: len(received(sink_client, endpoints.sink, "/played")) == 3)
    assert "action=subscribe" in serve.output
    assert "action=simulate" in serve.output
    assert "Traceback" not in serve.output


def test_a_device_of_the_form_gets_all_of_its_calls_under_0_3(
    start_serve: Callable[..., Running], data: Path, sink_client: HttpClient
) -> None:
    serve = start_serve(WEBRTC_EVENTS_NEXT="true")
    endpoints = Endpoints.read(data)
    address = f"{endpoints.console}simulate"
    prefix = "org.camaraproject.webrtc-events-subscriptions.v0."
    with requests.Session() as session:
        page = session.get(f"{address}/", timeout=30).text
        match = re.search(r'<meta name="csrf-token" content="([^"]+)">', page)
        assert match is not None
        assert page.count('name="device-types"') == 3
        form = {
            "csrf_token": match[1],
            "deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2",
            "device-registration": "r-1",
            "device-sink": f"{endpoints.sink}/device",
            "device-types": [prefix + "session-invitation", prefix + "session-status"],
        }
        for wrong, words in (
            ({"deviceId": "no uuid"}, 'id="deviceId-fault"'),
            ({"device-types": []}, '<small class="bad">'),
            ({"device-registration": "a/b"}, "no slash"),
            ({"device-sink": "https://localhost:1/"}, "must use one of the ports"),
        ):
            refused = session.post(f"{address}/devices", data=form | wrong, timeout=30)
            assert (refused.status_code, words in refused.text) == (400, True), wrong
        made = session.post(f"{address}/devices", data=form, timeout=30)
        assert "Subscribed: " in made.text
        played = {"csrf_token": match[1], "registration": "r-1", "speed": "max"}
        session.post(f"{address}/", data=played, timeout=30)
        eventually(lambda: len(received(sink_client, endpoints.sink, "/device")) >= 5)
    kinds = {item["event"]["type"] for item in received(sink_client, endpoints.sink, "/device")}
    assert kinds == set(form["device-types"])
    assert "Traceback" not in serve.output


@pytest.mark.slow
def test_serve_without_the_local_issuer_or_one_api_has_no_such_section(
    start_serve: Callable[..., Running], data: Path
) -> None:
    start_serve(WEBRTC_EVENTS_APIS="public")
    endpoints = Endpoints.read(data)
    assert requests.get(f"{endpoints.console}simulate/", timeout=30).status_code == 404
    assert requests.get(endpoints.console, timeout=30).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
def test_it_is_followed_and_stopped_in_a_browser(
    start_serve: Callable[[], Running], data: Path, chromium: Browser, width: int
) -> None:
    start_serve()
    page = Page(chromium, f"{Endpoints.read(data).console}simulate/", width=width)
    page.run("document.querySelector('#play-form').requestSubmit()")
    page.until(
        "document.querySelectorAll('.run').length === 1 && document.querySelector('.pill.good') !== null"
    )
    # What somebody types meanwhile stays, also when another one is stopped.
    page.run("document.querySelector('#session').value = 'typed'")
    page.until("/accepted [1-5] of 5/.test(document.querySelector('#runs').textContent)")
    page.run("document.querySelector('#runs button').focus()")
    page.until("/accepted [3-5] of 5/.test(document.querySelector('#runs').textContent)")
    assert page.run("document.activeElement.textContent") == "Stop"
    page.run("document.activeElement.click()")
    page.until("document.querySelector('#runs .pill').textContent === 'stopped'")
    assert page.run("document.querySelector('#session').value") == "typed"
    assert page.run("document.documentElement.scrollWidth") <= width
    labelled = "[...document.querySelectorAll('main :is(input:not([type=hidden]), select)')]"
    assert page.run(f"{labelled}.every(field => field.labels.length === 1)")
    page.run(
        "document.querySelector('#call').value = 'answered';"
        "document.querySelector('#call').dispatchEvent(new Event('input'))"
    )
    assert not page.run("document.querySelector('#composed').checkVisibility()")
    assert page.complaints == []
