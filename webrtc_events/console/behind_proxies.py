"""The console behind proxies: what they say of a request, and the path that they put before it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from webrtc_events.core.forwarded import FORWARDED_HEADERS, TrustedProxies

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["behind_proxies", "below"]

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


def below(app: "WSGIApplication", base_path: str) -> "WSGIApplication":
    """Takes `base_path` off. A path may come with it, or without, where a proxy has taken it off."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == base_path or path.startswith(f"{base_path}/"):
            path = path[len(base_path) :]
        return app(environ | {"SCRIPT_NAME": base_path, "PATH_INFO": path}, start_response)

    return answer if base_path else app
