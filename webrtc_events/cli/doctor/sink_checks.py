"""Checks a sink as a worker would see it: URL, way, name, addresses, certificate. It sends nothing."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final

from webrtc_events.cli.doctor.certificates import expiry_finding
from webrtc_events.cli.doctor.findings import Area, Finding, error, fine, warning
from webrtc_events.core.clock import Clock
from webrtc_events.core.egress_proxy import EgressProxy
from webrtc_events.core.settings import Settings
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.ca_bundle import CaBundle
from webrtc_events.sinks.client_certificates import CertificateError, ClientCertificates
from webrtc_events.sinks.egress import Egress
from webrtc_events.sinks.handshake import Handshake, shake_hands
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.sinks.resolver import named_host, system_lookup
from webrtc_events.sinks.sink_url import check_sink_url

__all__ = ["check_sink"]

# A lookup that takes longer makes a worker suspect the name (sinks/resolver.py).
_SLOW_S: Final = 2.0
_ACTIONS: Final = {
    "tls": "The sink's owner has to mend it; or name its CA in WEBRTC_EVENTS_SINK_CA_FILE.",
    "connect": "Does it listen there, and does a firewall let this machine out?",
    "timeout": "Does it listen there, and does a firewall let this machine out?",
    "proxy": "Nothing is delivered without it. Is WEBRTC_EVENTS_EGRESS_PROXY right, with user and CAs?",
    "tunnel": "The proxy does not let it through, or does not reach it: look at its rules and its log.",
    "address_refused": "See WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS and WEBRTC_EVENTS_SINK_PORTS.",
}
_ACTION: Final = "The worker's log has the same for each attempt."
_DATE: Final = "%b %d %H:%M:%S %Y GMT"


def check_sink(url: str, settings: Settings, clock: Clock) -> Iterator[Finding]:
    policy = AddressPolicy(settings.sink_allowed_networks, settings.sink_ports)
    try:
        checked = check_sink_url(url, policy)
    except ValueError as fault:
        yield error(Area.SINK, f"no subscription can have this sink: {fault}", "Give another URL.")
        return
    try:
        shake = _Shaking(checked, settings, policy, clock)
    except (OSError, CertificateError) as fault:
        yield error(Area.SINK, f"a file that a worker needs cannot be read: {fault}", "See its setting.")
        return
    with closing(shake):
        if shake.proxied:
            yield fine(Area.SINK, "it is reached through the egress proxy, which looks its name up")
            yield from _connected(shake, "")
        else:
            yield from _looked_at(checked, policy, shake, clock)


class _Shaking:
    """Handshakes with the sink of that URL, each as a worker has it. `proxied`: through the egress proxy.

    Raises:
        OSError, CertificateError: a file of a CA or of a client certificate cannot be used.
    """

    def __init__(self, url: str, settings: Settings, policy: AddressPolicy, clock: Clock) -> None:
        proxy = EgressProxy.of(settings)
        certificates = ClientCertificates(settings.sink_client_certificates, clock)
        self.url = url
        self.clock = clock
        self._bundle = CaBundle(settings.sink_ca_file)
        self._egress = None if proxy is None else Egress(proxy, policy)
        self.proxied = self._egress is not None and self._egress.proxied(url)
        self._options: dict[str, Any] = {
            "ca_file": self._bundle.path,
            "policy": policy,
            "limits": SinkLimits(),
            "egress": self._egress if self.proxied else None,
            "identity": certificates.of(url),
        }

    def __call__(self, address: str, *, verify: bool = True) -> Handshake:
        return shake_hands(self.url, address, verify=verify, **self._options)

    def close(self) -> None:
        self._bundle.close()
        if self._egress is not None:
            self._egress.close()


def _looked_at(checked: str, policy: AddressPolicy, shake: _Shaking, clock: Clock) -> Iterator[Finding]:
    """At each of its addresses."""
    host = named_host(checked)
    if host is None:
        addresses = [checked.partition("://")[2].partition("/")[0].rpartition("]")[0].removeprefix("[")]
        yield fine(Area.SINK, "its host is an address, which is not looked up")
    else:
        began_s = clock.monotonic()
        try:
            addresses = list(system_lookup(host.name))
        except OSError as fault:
            action = "Is the name right? Ask this machine's resolver: getent ahosts NAME"
            yield error(Area.SINK, f"{host.name} cannot be looked up: {fault.strerror or fault}", action)
            return
        yield _looked_up(host.name, addresses, clock.monotonic() - began_s)
    allowed = [address for address in addresses if host is None or policy.allows(address)]
    for address in [address for address in addresses if address not in allowed]:
        action = "Nothing is sent there; see WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS."
        report = warning if allowed else error
        yield report(Area.SINK, f"{address} is not an address that sinks may have", action)
    for address in allowed:
        yield from _connected(shake, address)


def _looked_up(name: str, addresses: list[str], took_s: float) -> Finding:
    text = f"{name} is at {', '.join(addresses)}, looked up in {took_s * 1000:.0f} ms"
    if took_s > _SLOW_S:
        return warning(
            Area.SINK, text, "A slow resolver delays first notifications; is one of its servers away?"
        )
    return fine(Area.SINK, text)


def _connected(shake: _Shaking, address: str) -> Iterator[Finding]:
    done = shake(address)
    if done.failure is None:
        where = "through the proxy" if shake.proxied else done.address
        text = f"{where}: connected, its certificate is trusted and for this name, in {done.took_ms} ms"
        yield fine(Area.SINK, f"{text}; no notification was sent")
    else:
        action = _ACTIONS.get(done.failure.reason, _ACTION)
        yield error(Area.SINK, f"{address or 'it'}: {done.failure.reason}: {done.failure.detail}", action)
        if done.failure.reason != "tls":
            return
        done = shake(address, verify=False)
    yield from _chain(done, shake.url, shake.clock)


def _chain(done: Handshake, url: str, clock: Clock) -> Iterator[Finding]:
    host = named_host(url)
    sni = f"asked for by SNI as {host.name}" if host else "without SNI, as its host is an address"
    for place, certificate in enumerate(done.chain):
        whose = "its certificate" if place == 0 else f"CA certificate {place} of its chain"
        asked = f", {sni}" if place == 0 else ""
        text = (
            f"{whose}: {certificate.get('Subject', '?')}, issued by {certificate.get('Issuer', '?')}{asked}"
        )
        yield fine(Area.SINK, text)
        until = _expiry(certificate)
        if until is not None:
            yield expiry_finding(Area.SINK, whose, until, clock)


def _expiry(certificate: Mapping[str, str]) -> datetime | None:
    """Source: OpenSSL, ASN1_TIME_print, which libcurl writes it with."""
    text = " ".join(certificate.get("Expire date", "").split())
    try:
        return datetime.strptime(text, _DATE).replace(tzinfo=UTC)
    except ValueError:
        return None
