"""The options of libcurl's easy handles, for requests to sinks."""

from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Protocol

import pycurl

from webrtc_events.core.outcomes import SinkRequest
from webrtc_events.sinks.headers import is_sendable_value, sendable_name
from webrtc_events.sinks.limits import SinkLimits

__all__ = ["Callbacks", "RefusedError", "new_handle", "set_callbacks", "set_pins", "set_request", "set_time"]

# What each request sets: an attribute of a module takes longer to find.
_URL: Final[Any] = pycurl.URL
_HTTPHEADER: Final[Any] = pycurl.HTTPHEADER
_POSTFIELDS: Final[Any] = pycurl.POSTFIELDS
# libcurl would add these; a name without a value takes one out.
_UNWANTED: Final = (("accept", "Accept:"), ("content-type", "Content-Type:"))


class RefusedError(Exception):
    """A request that must not be sent; the text is fit for a dead letter.

    `reason`: of the `SinkFailure` that it becomes.
    """

    def __init__(self, detail: str, reason: str = "protocol") -> None:
        super().__init__(detail)
        self.reason = reason


class Callbacks(Protocol):
    """What libcurl calls during an exchange."""

    def on_header(self, line: bytes) -> int | None: ...

    def on_body(self, chunk: bytes) -> int | None: ...

    def on_open(self, purpose: int, address: Any) -> Any: ...

    def on_request(self, *peer: Any) -> int: ...


def new_handle(limits: SinkLimits, ca_file: Path) -> Any:
    """A handle for one request after another. `ca_file`: PEM of the CAs that sinks may have."""
    curl = pycurl.Curl()
    set_option: Callable[[int, Any], None] = curl.setopt
    set_option(pycurl.PROTOCOLS, pycurl.PROTO_HTTPS)
    set_option(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
    set_option(pycurl.FOLLOWLOCATION, 0)
    set_option(pycurl.PATH_AS_IS, 1)
    set_option(pycurl.USERAGENT, _user_agent())
    # An empty proxy also keeps the proxy variables of the environment out.
    set_option(pycurl.PROXY, "")
    set_option(pycurl.NOPROXY, "*")
    set_option(pycurl.NETRC, pycurl.NETRC_IGNORED)
    set_option(pycurl.NOSIGNAL, 1)
    set_option(pycurl.SSL_VERIFYPEER, 1)
    set_option(pycurl.SSL_VERIFYHOST, 2)
    set_option(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
    set_option(pycurl.CAINFO, str(ca_file))
    set_time(curl, limits)
    return curl


def set_callbacks(curl: Any, callbacks: Callbacks) -> None:
    curl.setopt(pycurl.HEADERFUNCTION, callbacks.on_header)
    curl.setopt(pycurl.WRITEFUNCTION, callbacks.on_body)
    curl.setopt(pycurl.OPENSOCKETFUNCTION, callbacks.on_open)
    curl.setopt(pycurl.PREREQFUNCTION, callbacks.on_request)


def set_request(curl: Any, request: SinkRequest, former_method: str = "") -> None:
    """Sets the request. `former_method`: of the request before it on this handle, '' for the first.

    Raises:
        RefusedError: a header that must not be sent.
        pycurl.error, ValueError, TypeError: libcurl or its binding takes no such URL or header.
    """
    curl.setopt(_URL, request.url)
    curl.setopt(_HTTPHEADER, _header_lines(request.headers))
    if request.method == "POST":
        if former_method not in ("", "POST"):
            curl.unsetopt(pycurl.CUSTOMREQUEST)
        curl.setopt(_POSTFIELDS, request.body)
    else:
        # A GET by another name: no body goes out, and one that comes is read to its end.
        curl.setopt(pycurl.HTTPGET, 1)
        curl.setopt(pycurl.CUSTOMREQUEST, request.method)


def set_time(curl: Any, limits: SinkLimits, *, spent_ms: int = 0) -> None:
    """The time that is left for the exchange."""
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, limits.connect_ms - spent_ms))
    curl.setopt(pycurl.TIMEOUT_MS, max(1, limits.total_ms - spent_ms))


def set_pins(curl: Any, pins: Sequence[str]) -> None:
    """Names pinned to addresses, `host:port:address`. Source: libcurl, CURLOPT_RESOLVE."""
    curl.setopt(pycurl.RESOLVE, list(pins))


def _header_lines(headers: tuple[tuple[str, str], ...]) -> list[str]:
    lines = []
    names = set()
    for name, value in headers:
        known = sendable_name(name)
        if known is None or not is_sendable_value(value):
            # Never the value: it may be a credential.
            raise RefusedError("a header is malformed or not the caller's to set")
        begin, lower = known
        names.add(lower)
        # libcurl drops a header without a value unless it ends in a semicolon.
        lines.append(begin + value if value and not value.isspace() else f"{name};")
    for name, without in _UNWANTED:
        if name not in names:
            lines.append(without)
    return lines


@cache
def _user_agent() -> str:
    try:
        return f"webrtc-events/{version('webrtc-events')}"
    except PackageNotFoundError:
        # Run from a source tree that was never installed.
        return "webrtc-events"
