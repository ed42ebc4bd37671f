"""What a supervisor and a load balancer are told."""

import json
from typing import Any

import pytest

from webrtc_events.console.health import with_health
from webrtc_events.core.errors import Unavailable


def pages(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"a page"]


def away() -> None:
    raise Unavailable


@pytest.mark.parametrize(
    ("path", "ping", "status", "said"),
    [
        ("/healthz", away, "200 OK", "ok"),
        ("/readyz", lambda: None, "200 OK", "ok"),
        ("/readyz", away, "503 Service Unavailable", "unavailable"),
    ],
)
def test_health_has_the_form_of_the_api(path: str, ping: Any, status: str, said: str) -> None:
    statuses: list[str] = []
    app: Any = with_health(pages, ping)
    (body,) = app({"PATH_INFO": path}, lambda status, _: statuses.append(status))
    assert statuses == [status]
    assert json.loads(body)["status"] == said


def test_all_else_is_pages() -> None:
    app: Any = with_health(pages, away)
    assert app({"PATH_INFO": "/"}, lambda *_: None) == [b"a page"]
