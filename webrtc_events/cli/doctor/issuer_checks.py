"""Checks the token issuer: its discovery document, its keys, its certificate."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import requests

from webrtc_events.api.issuer_session import prepare_session
from webrtc_events.api.openid import Issuer, IssuerError, fetch_issuer
from webrtc_events.cli.doctor.certificates import expiry_finding
from webrtc_events.cli.doctor.findings import Area, Finding, error, fine, warning
from webrtc_events.console.overview.wording import plural
from webrtc_events.core.clock import Clock
from webrtc_events.core.egress_proxy import EgressProxy

__all__ = ["check_issuer"]

_SLOW_S: Final = 2.0
_CONNECT_S: Final = 5.0
_WELL_KNOWN: Final = "/.well-known/openid-configuration"


def check_issuer(url: str, clock: Clock, proxy: EgressProxy | None) -> Iterator[Finding]:
    """`proxy`: the egress proxy, by which it is reached unless that is told otherwise."""
    way = f"the egress proxy {proxy.url}" if proxy is not None and proxy.takes(url) else ""
    began_s = clock.monotonic()
    try:
        issuer = fetch_issuer(url, clock, proxy)
    except IssuerError as fault:
        action = (
            "Without its keys every request is answered 503. Look at WEBRTC_EVENTS_OPENID_CONFIGURATION_URL, "
            f"at the issuer, and at the way there: {way or 'no proxy'}, and no private CA."
        )
        yield error(Area.ISSUER, f"the issuer's keys cannot be had: {fault}", action)
        return
    took_s = clock.monotonic() - began_s
    keys = plural(len(issuer.keys), "key")
    text = f"the issuer {issuer.name} answers, with {keys}, in {took_s * 1000:.0f} ms"
    if way:
        text += f", through {way}"
    if took_s > _SLOW_S:
        yield warning(Area.ISSUER, text, "A process that starts waits as long before it takes a token.")
    else:
        yield fine(Area.ISSUER, text)
    yield from _keys(issuer)
    yield from _name(issuer, url)
    if url.startswith("https:"):
        yield from _certificate(url, clock, proxy)


def _keys(issuer: Issuer) -> Iterator[Finding]:
    for key in issuer.keys:
        yield fine(Area.ISSUER, f"key {key.kid or 'without a kid'}: {', '.join(sorted(key.algorithms))}")
    if any(key.kid is None for key in issuer.keys):
        text = "a key of the issuer has no kid"
        yield warning(Area.ISSUER, text, "When keys are rotated, tokens cannot say which one signed them.")


def _name(issuer: Issuer, url: str) -> Iterator[Finding]:
    """Source: OpenID Connect Discovery 1.0, section 4.3."""
    if url.endswith(_WELL_KNOWN) and issuer.name.rstrip("/") != url.removesuffix(_WELL_KNOWN).rstrip("/"):
        text = f"the issuer calls itself {issuer.name}, and its document is at {url}"
        yield warning(
            Area.ISSUER, text, "Tokens must name it as it does. Is this the document of another one?"
        )


def _certificate(url: str, clock: Clock, proxy: EgressProxy | None) -> Iterator[Finding]:
    """Of its discovery document, as the service verifies it."""
    try:
        with requests.Session() as session:
            prepare_session(session, proxy)
            with session.get(url, stream=True, timeout=_CONNECT_S, allow_redirects=False) as response:
                # The connection is the answer's until its body is read.
                connection: Any = response.raw.connection
                certificate = connection.sock.getpeercert() if connection is not None else {}
    except OSError as fault:
        yield warning(Area.ISSUER, f"its certificate could not be read: {fault}", "Try again.")
        return
    if "notAfter" not in certificate:
        yield warning(Area.ISSUER, "its certificate could not be read", "Try again.")
        return
    until_s = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    until = datetime.fromtimestamp(until_s, UTC)
    yield expiry_finding(Area.ISSUER, "the issuer's certificate", until, clock)
