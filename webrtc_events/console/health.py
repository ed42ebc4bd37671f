"""`/healthz` and `/readyz` of a console process, which need no login."""

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from webrtc_events.core.conditions import Condition, Health
from webrtc_events.core.errors import Unavailable

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["with_health"]

_HEADERS: Final = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]


def with_health(app: "WSGIApplication", ping: Callable[[], None]) -> "WSGIApplication":
    """`ping` raises Unavailable unless the store answers. The answers have the form of the API's."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        match environ.get("PATH_INFO"):
            case "/healthz":
                start_response("200 OK", _HEADERS)
                return [b'{"status": "ok"}']
            case "/readyz":
                return _ready(start_response, ping)
        return app(environ, start_response)

    return answer


def _ready(start_response: "StartResponse", ping: Callable[[], None]) -> list[bytes]:
    condition = _condition(ping)
    shown: dict[str, Any] = {"status": condition.health.value}
    if condition.detail:
        shown["detail"] = condition.detail
    body = {"status": condition.health.value, "checks": {"store": shown}}
    start_response("200 OK" if condition.health is Health.OK else "503 Service Unavailable", _HEADERS)
    return [json.dumps(body).encode()]


def _condition(ping: Callable[[], None]) -> Condition:
    try:
        ping()
    except Unavailable as error:
        return Condition(Health.UNAVAILABLE, error.message)
    return Condition.ok()
