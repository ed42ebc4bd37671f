"""The rules for headers: what a subscriber may set, what can be sent at all. Pure."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

__all__ = [
    "FRAMING_HEADERS",
    "check_sink_headers",
    "check_sink_token",
    "is_sendable_header",
    "is_sendable_value",
    "sendable_name",
]

_MAX_HEADERS = 32
_MAX_VALUE = 2048
_MAX_TOTAL = 16_384
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}", re.ASCII)
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|", re.ASCII)
# RFC 9110: a token; visible ASCII, spaces and tabs.
_SENDABLE_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SENDABLE_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
# Source: RFC 6750, section 2.1.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
_MAX_TOKEN = 8192

# These frame the message or name its peer (RFC 9110, 7.6.1). Only the HTTP client may write them; a
# second one would break the connection.
FRAMING_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Only the service may say the rest: what a notification is, who sends it, what its signature covers
# (RFC 9421), and by which way it came (RFC 7239), which a sink may base its trust on.
_REFUSED = FRAMING_HEADERS | {
    "authorization",
    "cookie",
    "forwarded",
    "signature",
    "signature-input",
    "user-agent",
    "via",
    "x-correlator",
    "x-real-ip",
}
# webhook-: CloudEvents, HTTP 1.1 Web Hooks, section 4.
_REFUSED_PREFIXES = ("content-", "ce-", "proxy-", "webhook-", "x-forwarded-", ":")


def is_sendable_header(name: str, value: str) -> bool:
    """Whether the sink's client sends such a header: well-formed ASCII, and none that frames the message."""
    return sendable_name(name) is not None and is_sendable_value(value)


@lru_cache(maxsize=1024)
def sendable_name(name: str) -> tuple[str, str] | None:
    """How a header of that name begins, and its name in lower case; None: it is not sent.

    There are few names, and they come with every request.
    """
    if _SENDABLE_NAME.fullmatch(name) is None or name.lower() in FRAMING_HEADERS:
        return None
    return f"{name}: ", name.lower()


def is_sendable_value(value: str) -> bool:
    # Most have no tab.
    return (value.isascii() and value.isprintable()) or _SENDABLE_VALUE.fullmatch(value) is not None


def check_sink_headers(headers: Mapping[str, str]) -> None:
    """
    Raises:
        ValueError: says which header is refused and why, never its value.
    """
    if len(headers) > _MAX_HEADERS:
        raise ValueError(f"more than {_MAX_HEADERS} headers")
    if sum(len(name) + len(value) for name, value in headers.items()) > _MAX_TOTAL:
        raise ValueError(f"headers of more than {_MAX_TOTAL} characters in all")
    if len({_read_as(name) for name in headers}) < len(headers):
        raise ValueError("a header is named twice")
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError("a header name is not a token of at most 128 characters")
        if _read_as(name) in _REFUSED or _read_as(name).startswith(_REFUSED_PREFIXES):
            raise ValueError(f"header {name!r} is set by the service")
        if len(value) > _MAX_VALUE or not _VALUE.fullmatch(value):
            raise ValueError(
                f"the value of header {name!r} is not visible ASCII of at most {_MAX_VALUE} characters"
            )


def _read_as(name: str) -> str:
    """Gateway interfaces (CGI, WSGI) make one variable of `x-a`, `X-A` and `x_a`."""
    return name.lower().replace("_", "-")


def check_sink_token(token: str) -> None:
    """
    Raises:
        ValueError: not a bearer token as RFC 6750 writes it, or too long to send.
    """
    if len(token) > _MAX_TOKEN or not _TOKEN.fullmatch(token):
        raise ValueError(f"not a bearer token of at most {_MAX_TOKEN} characters (RFC 6750, 2.1)")
