"""What somebody new pastes into a terminal shows what the text beside it says, each time."""

import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.harness.commands import Running, eventually
from tests.harness.documents import ROOT
from tests.harness.shells import Shell
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints

pytestmark = pytest.mark.slow

_TIMES = 3


@pytest.fixture
def shell(data: Path) -> Iterator[Shell]:
    shell = Shell(WEBRTC_EVENTS_DATA_DIR=str(data))
    yield shell
    shell.close()


def _received(sink: HttpClient, data: Path, subscription: str) -> list[tuple[str, str]]:
    """Path and last part of the type of what came for a subscription."""
    feed = sink.expect({200}, "GET", f"{Endpoints.read(data).sink}/_inbox").json()
    return [
        (item["path"], item["event"]["type"].rpartition(".")[2])
        for item in feed
        if item["event"]["data"]["subscriptionId"] == subscription and item["fault"] is None
    ]


def _await_received(sink: HttpClient, data: Path, subscription: str, expected: list[tuple[str, str]]) -> None:
    eventually(lambda: _received(sink, data, subscription) == expected)


def _subscribe(shell: Shell, command: str) -> str:
    answer = json.loads(shell(command))
    assert answer["status"] == "ACTIVE"
    return str(answer["id"])


def _play(shell: Shell, command: str) -> None:
    assert shell(command) == "accepted 9, duplicate 0, rejected 0, notifications 1, unmatched 8\n"


def _list(shell: Shell, command: str) -> dict[str, Any]:
    (*_, newest) = json.loads(shell(command))
    return dict(newest)


def _walk(shell: Shell, steps: list[str], path: str, serve: Running, sink: HttpClient, data: Path) -> None:
    """All steps once: what each shows, and what arrives by it."""
    token, subscribe, play, list_, delete = steps
    assert shell(token) == ""
    subscription = _subscribe(shell, subscribe)
    _play(shell, play)
    invitation = (path, "session-invitation")
    _await_received(sink, data, subscription, [invitation])
    assert re.search(rf"session-invitation +{subscription} +Initial +1  ok\n", serve.output)
    newest = _list(shell, list_)
    assert (newest["id"], newest["status"]) == (subscription, "ACTIVE")
    assert shell(delete) == "204\n"
    _await_received(sink, data, subscription, [invitation, (path, "subscription-ended")])


def test_steps_of_the_quick_start_show_what_it_says_each_time(
    start_serve: Callable[[], Running], data: Path, sink_client: HttpClient, shell: Shell
) -> None:
    serve = start_serve()
    endpoints = Endpoints.read(data)
    text = (ROOT / "docs" / "quick-start.md").read_text()
    section = text.partition("\n## Your first subscription\n")[2].partition("\n## ")[0]
    adapted = section.replace("http://127.0.0.1:9091", endpoints.api)
    adapted = adapted.replace("https://localhost:9443", endpoints.sink)
    steps = re.findall(r"(?s)```sh\n(.*?)```", adapted)
    for _ in range(_TIMES):
        _walk(shell, steps, "/my-app", serve, sink_client, data)


def test_steps_of_the_start_page_show_what_it_says_each_time(
    start_serve: Callable[[], Running], data: Path, sink_client: HttpClient, shell: Shell
) -> None:
    serve = start_serve()
    page = requests.get(Endpoints.read(data).api, timeout=5).text
    *steps, demo = [html.unescape(command) for command in re.findall(r"(?s)<pre>(.*?)</pre>", page)]
    for _ in range(_TIMES):
        _walk(shell, steps, "/first", serve, sink_client, data)
    assert "notifications came, valid and in order" in shell(demo)


def test_commands_of_the_banner_can_be_pasted_each_time(
    start_serve: Callable[[], Running], data: Path, sink_client: HttpClient, shell: Shell
) -> None:
    banner = start_serve().output
    token, subscribe, play, demo = re.findall(r"(?m)(?:^  .*\n)+", banner.partition("another terminal:\n")[2])
    subscriptions = []
    for _ in range(_TIMES):
        assert shell(token) == ""
        subscriptions.append(_subscribe(shell, subscribe))
        count = len(subscriptions)
        # Those made before are still there, and get the call too.
        expected = f"accepted 9, duplicate 0, rejected 0, notifications {count}, unmatched 8\n"
        assert shell(play) == expected
    for times, subscription_id in enumerate(reversed(subscriptions), start=1):
        _await_received(sink_client, data, subscription_id, [("/first", "session-invitation")] * times)
    assert "notifications came, valid and in order" in shell(demo)


def test_banner_names_the_console_first(start_serve: Callable[[], Running], data: Path) -> None:
    banner = start_serve().output
    found = re.findall(r"https?://\S+", banner)
    assert found[0] == Endpoints.read(data).console
    assert Endpoints.read(data).public_v0_3 not in found
    assert requests.get(found[0], timeout=5).headers["Content-Type"].startswith("text/html")
