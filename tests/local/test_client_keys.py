"""`serve` with the next contract: applications may name token servers, for it has made a key."""

from collections.abc import Callable
from pathlib import Path

import requests

from tests.harness.commands import Running
from webrtc_events.local.endpoints import Endpoints

PATH = "/.well-known/client-keys.json"


def key_ids(data: Path) -> list[str]:
    answer = requests.get(Endpoints.read(data).api + PATH, timeout=5)
    return [key["kid"] for key in answer.json()["keys"]] if answer.status_code == 200 else []


def test_a_key_is_made_once_and_published(start_serve: Callable[..., Running], data: Path) -> None:
    first = start_serve(WEBRTC_EVENTS_NEXT="true")
    [made] = key_ids(data)
    assert (data / "token-key.pem").stat().st_mode & 0o077 == 0
    first.stop()
    start_serve(WEBRTC_EVENTS_NEXT="true")
    assert key_ids(data) == [made]


def test_without_the_next_contract_there_is_none(start_serve: Callable[..., Running], data: Path) -> None:
    start_serve()
    assert key_ids(data) == []
    assert not (data / "token-key.pem").exists()
