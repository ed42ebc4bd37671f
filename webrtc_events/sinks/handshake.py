"""Connects to a sink and does the TLS handshake as a delivery would, and sends no request.

Source: libcurl, CURLOPT_CONNECT_ONLY and CURLINFO_CERTINFO.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pycurl

from webrtc_events.core.outcomes import SinkFailure
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.curl_options import new_handle, set_pins
from webrtc_events.sinks.egress import Egress
from webrtc_events.sinks.failures import curl_failure, proxied_failure
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.sinks.resolver import named_host
from webrtc_events.sinks.transfer import Descriptor

__all__ = ["Handshake", "shake_hands"]

_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class Handshake:
    """`address`: whom it connected to, empty if it did not. `failure` None: all of it went well.

    `chain`: what libcurl says of each certificate that the sink presented, its own first, as `Subject`,
    `Issuer`, `Expire date` and more; `verified`: against the CAs that sinks may have.
    """

    address: str
    failure: SinkFailure | None
    chain: Sequence[Mapping[str, str]]
    verified: bool
    took_ms: int


def shake_hands(
    url: str,
    address: str,
    *,
    ca_file: Path,
    policy: AddressPolicy,
    limits: SinkLimits,
    egress: Egress | None = None,
    verify: bool = True,
) -> Handshake:
    """With one address of the URL's host. Blocks for `limits.connect_ms` at most.

    With `egress` it goes through that proxy, which looks the host up: `address` is not used then, and the one
    that it connected to is the proxy's. `verify` False is to look at a certificate that is refused, and for
    nothing else.
    """
    refused: list[str] = []
    # The proxy's own address is the operator's to choose.
    on_open = _opener(policy if egress is None else None, refused)
    curl = new_handle(limits, ca_file)
    set_option: Callable[[int, Any], None] = curl.setopt
    try:
        set_option(pycurl.URL, url)
        set_option(pycurl.CONNECT_ONLY, 1)
        set_option(pycurl.OPT_CERTINFO, 1)
        set_option(pycurl.OPENSOCKETFUNCTION, on_open)
        if not verify:
            set_option(pycurl.SSL_VERIFYPEER, 0)
            set_option(pycurl.SSL_VERIFYHOST, 0)
        if egress is not None:
            egress.set_up(curl)
            egress.turn(curl, proxied=True)
        elif (host := named_host(url)) is not None:
            shown = f"[{address}]" if ":" in address else address
            set_pins(curl, [f"{host.name}:{host.port}:{shown}"])
        failure = _failure(curl, refused, proxied=egress is not None)
        reached = str(curl.getinfo(pycurl.PRIMARY_IP) or "")
        took_ms = round(float(curl.getinfo(pycurl.TOTAL_TIME)) * _MS)
        chain = [dict(certificate) for certificate in curl.getinfo(pycurl.INFO_CERTINFO) or ()]
    finally:
        curl.close()
    return Handshake(reached, failure, chain, verify and failure is None, took_ms)


def _opener(policy: AddressPolicy | None, refused: list[str]) -> Callable[[int, Any], Any]:
    """libcurl's OPENSOCKETFUNCTION, as in transfer.py. `policy` None: every address may be connected to."""

    def on_open(_purpose: int, peer: Any) -> Any:
        family, kind, protocol, where = peer
        refusal = None if policy is None else policy.refusal(*where[:2])
        if refusal is not None:
            refused.append(refusal)
            return pycurl.SOCKET_BAD
        try:
            return Descriptor(socket.socket(family, kind, protocol).detach())
        except OSError:
            # A family this host lacks: it fails as a connect fault.
            return pycurl.SOCKET_BAD

    return on_open


def _failure(curl: Any, refused: Sequence[str], *, proxied: bool) -> SinkFailure | None:
    try:
        curl.perform()
    except pycurl.error as error:
        if refused:
            return SinkFailure("address_refused", refused[0], 0)
        code, message = error.args
        if proxied:
            return proxied_failure(curl, code, message, 0, connected=True)
        return curl_failure(curl, code, message, 0)
    return None
