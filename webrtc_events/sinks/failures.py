"""Why an exchange failed: libcurl's error codes as reasons of a `SinkFailure`.

Through an egress proxy there are two more. `proxy`: the proxy itself cannot be used, whatever the sink.
`tunnel`: the proxy has made no tunnel to the sink, or the tunnel broke; whose fault that is cannot be told.

| through a proxy | reason |
| --- | --- |
| its name has no address, it refuses the connection, its TLS fails, it does not speak HTTP | `proxy` |
| it answers 407, or 401 as some do | `proxy` |
| any other refusal of CONNECT, no answer to it, the connection ends instead | `tunnel` |
| the tunnel ends, also while the sink's TLS begins | `tunnel` |
| no answer in time on a tunnel of before: the proxy may hang | `tunnel` |
| no answer in time on a new tunnel; the sink's certificate does not hold | as without a proxy |
"""

import os
from typing import Any, Final

import pycurl

from webrtc_events.core.one_line import one_line
from webrtc_events.core.outcomes import SinkFailure

__all__ = ["CURL_REASONS", "curl_failure", "proxied_failure"]

CURL_REASONS: Final[dict[int, str]] = {
    pycurl.E_COULDNT_RESOLVE_HOST: "dns",
    pycurl.E_COULDNT_RESOLVE_PROXY: "dns",
    pycurl.E_COULDNT_CONNECT: "connect",
    pycurl.E_INTERFACE_FAILED: "connect",
    pycurl.E_GOT_NOTHING: "connect",
    pycurl.E_PARTIAL_FILE: "connect",
    pycurl.E_RECV_ERROR: "connect",
    pycurl.E_SEND_ERROR: "connect",
    pycurl.E_SEND_FAIL_REWIND: "connect",
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_PEER_FAILED_VERIFICATION: "tls",
    pycurl.E_SSL_CACERT_BADFILE: "tls",
    pycurl.E_SSL_CERTPROBLEM: "tls",
    pycurl.E_SSL_CIPHER: "tls",
    pycurl.E_SSL_CONNECT_ERROR: "tls",
    pycurl.E_SSL_ENGINE_INITFAILED: "tls",
    pycurl.E_SSL_INVALIDCERTSTATUS: "tls",
    pycurl.E_SSL_ISSUER_ERROR: "tls",
    pycurl.E_USE_SSL_FAILED: "tls",
    pycurl.E_BAD_CONTENT_ENCODING: "protocol",
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "protocol",
    pycurl.E_HTTP2: "protocol",
    pycurl.E_UNSUPPORTED_PROTOCOL: "protocol",
    pycurl.E_URL_MALFORMAT: "protocol",
    92: "protocol",  # CURLE_HTTP2_STREAM, which pycurl does not name
    100: "too_large",  # CURLE_TOO_LARGE, likewise: libcurl's own limit on a head
}
"""Every other code is `other`."""


def curl_failure(curl: Any, code: int, message: str, elapsed_ms: int) -> SinkFailure:
    """`message`: libcurl's words."""
    if code == pycurl.E_COULDNT_CONNECT and (fault := curl.getinfo(pycurl.OS_ERRNO)):
        # libcurl's words are the same for a port where nobody listens and a network that is down.
        message += f": {os.strerror(fault)}"
    detail = one_line(f"{message or 'no detail'} (libcurl {code})")
    return SinkFailure(CURL_REASONS.get(code, "other"), detail, elapsed_ms)


_PROXY_AUTHENTICATION: Final = frozenset({401, 407})
_TUNNEL_ENDS: Final = frozenset(
    # A reset in the middle of the handshake is a TLS error for libcurl.
    {pycurl.E_SSL_CONNECT_ERROR, *(code for code, reason in CURL_REASONS.items() if reason == "connect")}
)
_UNANSWERED_CONNECT: Final = frozenset(
    {pycurl.E_OPERATION_TIMEDOUT, pycurl.E_RECV_ERROR, pycurl.E_GOT_NOTHING}
)


def proxied_failure(curl: Any, code: int, message: str, elapsed_ms: int, *, connected: bool) -> SinkFailure:
    """Through a proxy. `connected`: a connection to it was opened for this exchange, not an old one used."""
    failure = curl_failure(curl, code, message, elapsed_ms)
    answer: int = curl.getinfo(pycurl.HTTP_CONNECTCODE)
    reason = failure.reason
    if answer >= 300:
        reason = "proxy" if answer in _PROXY_AUTHENTICATION else "tunnel"
    elif answer == 0 and (connected or code == pycurl.E_COULDNT_RESOLVE_PROXY):
        # It took the connection, so what is late or ends may be what it does for the sink.
        asked = curl.getinfo(pycurl.CONNECT_TIME_T) > 0 and code in _UNANSWERED_CONNECT
        reason = "tunnel" if asked else "proxy"
    elif code in _TUNNEL_ENDS or (code == pycurl.E_OPERATION_TIMEDOUT and not connected):
        reason = "tunnel"
    return SinkFailure(reason, failure.detail, failure.elapsed_ms)
