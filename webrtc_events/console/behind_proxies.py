"""The console behind proxies: what those that are trusted say of a request."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from webrtc_events.core.forwarded import FORWARDED_HEADERS, TrustedProxies

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["behind_proxies"]

_VARIABLES = {f"HTTP_{name.upper().replace('-', '_')}": name for name in FORWARDED_HEADERS}


def behind_proxies(app: "WSGIApplication", proxies: TrustedProxies) -> "WSGIApplication":
    """Requests have the client, scheme and host that a trusted proxy tells of, and none of its headers."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        named = {name: environ[variable] for variable, name in _VARIABLES.items() if variable in environ}
        if named:
            found = proxies.read(environ.get("REMOTE_ADDR", ""), named)
            told = {
                "REMOTE_ADDR": found.client,
                "wsgi.url_scheme": found.scheme,
                "HTTP_HOST": found.host,
            }
            environ = {key: value for key, value in environ.items() if key not in _VARIABLES}
            environ |= {key: value for key, value in told.items() if value is not None}
        return app(environ, start_response)

    return answer
