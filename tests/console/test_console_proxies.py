"""The console behind proxies: under which name it was asked for, and from where."""

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

import pytest

from webrtc_events.console.behind_proxies import behind_proxies
from webrtc_events.core.forwarded import TrustedProxies


def seen(proxies: str, **headers: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def app(environ: dict[str, Any], _start: Any) -> Iterable[bytes]:
        found.append(environ)
        return []

    given = {"REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http", "HTTP_HOST": "127.0.0.1:9093", **headers}
    networks = [ip_network(proxies)] if proxies else []
    list(behind_proxies(app, TrustedProxies(networks))(given, lambda *_: lambda _: None))
    return found[0]


TOLD = {
    "HTTP_X_FORWARDED_FOR": "198.51.100.7",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "console.example:8443",
}


def test_a_trusted_proxy_says_under_which_name_and_from_where() -> None:
    environ = seen("127.0.0.0/8", **TOLD)
    assert environ["REMOTE_ADDR"] == "198.51.100.7"
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_HOST"] == "console.example:8443"
    assert not TOLD.keys() & environ.keys()


@pytest.mark.parametrize("proxies", ["", "10.0.0.0/8"])
def test_the_word_of_others_is_dropped(proxies: str) -> None:
    assert seen(proxies, **TOLD) == seen("")
