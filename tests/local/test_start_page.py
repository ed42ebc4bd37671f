"""The start page of `serve`: it leads to all that is served, and nothing else becomes a page."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.harness.browser import Browser, Page
from tests.harness.commands import Running, one_serve
from webrtc_events.local.endpoints import Endpoints


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of one `serve`, which most of these tests only look at."""
    folder = tmp_path_factory.mktemp("served")
    with one_serve(folder):
        yield folder / "data"


def _page(data: Path) -> requests.Response:
    answer = requests.get(Endpoints.read(data).api, timeout=5)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return answer


def _links(page: str) -> list[str]:
    return re.findall(r'<a href="([^"]*)"', page)


def test_start_page_leads_to_both_references_and_the_inbox(served: Path) -> None:
    endpoints = Endpoints.read(served)
    page = _page(served)
    links = _links(page.text)
    references = ["/webrtc-events/v0.2/ui/", "/network/v0/ui/"]
    assert links == ["/console/", "/softphone/", *references, f"{endpoints.sink}/"]
    for link in references:
        assert "Swagger UI" in requests.get(f"{endpoints.api}{link}", timeout=5).text
    inbox = requests.get(links[-1], timeout=5, verify=str(served / "ca" / "ca.pem")).text
    assert f"{endpoints.api}/" in _links(inbox)
    for address in (
        endpoints.public,
        endpoints.network,
        f"{endpoints.sink}/…",
        endpoints.issuer,
        str(served),
    ):
        assert str(address) in page.text


@pytest.mark.slow
def test_start_page_loads_nothing_from_elsewhere(served: Path) -> None:
    api = Endpoints.read(served).api
    page = _page(served)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    files = re.findall(r'<(?:link|script)[^>]*(?:src|href)="([^"]*)"', page.text)
    assert [file.rpartition("/")[2] for file in files] == ["icon.svg", "look.css", "pages.css", "start.js"]
    for file in files:
        answer = requests.get(f"{api}/{file}", timeout=5)
        assert answer.status_code == 200
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)|@import", answer.text)


@pytest.mark.slow
def test_every_other_path_is_answered_as_without_pages(served: Path) -> None:
    api = Endpoints.read(served).api
    for path in ("/nothing", "/index.html", "/webrtc-events", "/_static", "/_static/", "/_static/../cli.py"):
        answer = requests.get(f"{api}{path}", timeout=5)
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND"), path
    refused = requests.post(api, data=b"{}", timeout=5)
    assert (refused.status_code, refused.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "GET" in refused.headers["Allow"]
    assert requests.head(api, timeout=5).status_code == 200


@pytest.mark.slow
def test_the_softphone_is_served_without_what_only_readers_need(served: Path) -> None:
    api = Endpoints.read(served).api
    page = requests.get(f"{api}/softphone/", timeout=5).text
    parts = re.findall(r'(?:src|href)="(\w+\.\w+)"', page)
    assert {part.rpartition(".")[2] for part in parts} == {"css", "js", "svg"}
    found = {name: requests.get(f"{api}/softphone/{name}", timeout=5).status_code for name in parts}
    assert set(found.values()) == {200}, found
    assert requests.get(f"{api}/softphone/README.md", timeout=5).status_code == 404


@pytest.mark.slow
def test_start_page_shows_only_what_is_served(start_serve: Callable[..., Running], data: Path) -> None:
    serve = start_serve(WEBRTC_EVENTS_APIS="public", WEBRTC_EVENTS_NEXT="true")
    endpoints = Endpoints.read(data)
    page = _page(data).text
    links = _links(page)
    apis = ["/webrtc-events/v0.2/ui/", "/webrtc-events-subscriptions/v0.3rc1/ui/"]
    assert links == ["/console/", *apis, f"{endpoints.sink}/"]
    assert all(requests.get(f"{endpoints.api}{link}", timeout=5).status_code == 200 for link in links[:3])
    # Nobody can publish here, so there is nothing to paste.
    assert "<pre>" not in page
    assert "publish" not in serve.output
    assert endpoints.network not in serve.output
    assert endpoints.public_v0_3 in page
    assert endpoints.public_v0_3 in serve.output


@pytest.mark.slow
def test_start_page_shows_how_the_service_is_and_copies_commands(
    start_serve: Callable[[], Running], data: Path, chromium: Browser
) -> None:
    serve = start_serve()
    api = Endpoints.read(data).api
    page = Page(chromium, f"{api}/")
    page.until("document.querySelector('#status').textContent === 'ready'")
    checks = requests.get(f"{api}/readyz", timeout=5).json()["checks"]
    assert page.run("[...document.querySelectorAll('#checks dt')].map(term => term.textContent)") == list(
        checks
    )
    chromium.call("Browser.grantPermissions", origin=api, permissions=["clipboardReadWrite"])
    page.call("Page.bringToFront")
    page.run("document.querySelector('.command button').click()")
    page.until("document.querySelector('.command button').textContent === 'Copied'")
    copied = page.run("navigator.clipboard.readText()")
    assert copied == page.run("document.querySelector('.command pre').textContent")
    assert copied.startswith(f"API={api}")
    assert page.complaints == []
    serve.stop()
    page.until("document.querySelector('#status').textContent === 'does not answer'")


@pytest.mark.slow
@pytest.mark.parametrize("health", ["degraded", "unavailable"])
def test_start_page_says_what_is_wrong(served: Path, chromium: Browser, health: str) -> None:
    page = Page(chromium, f"{Endpoints.read(served).api}/")
    answer = {"status": health, "checks": {"store": {"status": health, "detail": "<b>It is full.</b>"}}}
    page.run(f"window.fetch = async () => ({{json: async () => ({json.dumps(answer)})}})")
    page.until(f"document.querySelector('#status').textContent === '{health}'")
    assert page.run("document.querySelector('#checks').textContent") == f"store{health} <b>It is full.</b>"
    assert page.run("document.querySelectorAll('#checks b').length") == 0
