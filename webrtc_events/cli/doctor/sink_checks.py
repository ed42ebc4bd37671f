"""Checks a sink as a worker would see it: URL, name, addresses, certificate. It sends nothing."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from webrtc_events.cli.doctor.certificates import expiry_finding
from webrtc_events.cli.doctor.findings import Area, Finding, error, fine, warning
from webrtc_events.core.clock import Clock
from webrtc_events.core.egress_proxy import EgressProxy
from webrtc_events.core.settings import Settings
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.ca_bundle import CaBundle
from webrtc_events.sinks.egress import Egress
from webrtc_events.sinks.handshake import Handshake, shake_hands
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.sinks.resolver import named_host, system_lookup
from webrtc_events.sinks.sink_url import check_sink_url

__all__ = ["check_operator_sink", "check_sink"]

# A lookup that takes longer makes a worker suspect the name (sinks/resolver.py).
_SLOW_S: Final = 2.0
_ACTIONS: Final = {
    "tls": "The sink's owner has to mend it; or name its CA in WEBRTC_EVENTS_SINK_CA_FILE.",
    "connect": "Does it listen there, and does a firewall let this machine out?",
    "timeout": "Does it listen there, and does a firewall let this machine out?",
    "address_refused": "See WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS and WEBRTC_EVENTS_SINK_PORTS.",
    "proxy": "Nothing is sent before the proxy works: see WEBRTC_EVENTS_EGRESS_PROXY and _CREDENTIALS.",
    "tunnel": "The proxy makes no tunnel to it: look at its rules, and into its log.",
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
    proxy = EgressProxy.of(settings)
    with ExitStack() as stack:
        bundle = stack.enter_context(closing(CaBundle(settings.sink_ca_file)))
        if proxy is not None:
            egress = stack.enter_context(closing(Egress(proxy, policy)))
            if egress.proxied(checked):
                yield from _through(egress, proxy, checked, bundle, policy, clock)
                return
            yield fine(Area.SINK, "it is reached directly: WEBRTC_EVENTS_EGRESS_NO_PROXY covers it")
        yield from _direct(checked, bundle, policy, clock)


def check_operator_sink(url: str, settings: Settings, clock: Clock) -> Iterator[Finding]:
    """The same of the operator's own sink."""
    for finding in check_sink(url, settings, clock):
        yield replace(finding, area=Area.OPERATOR_SINK)


def _through(
    egress: Egress, proxy: EgressProxy, url: str, bundle: CaBundle, policy: AddressPolicy, clock: Clock
) -> Iterator[Finding]:
    """By the egress proxy, which looks up the name."""
    if refusal := egress.way(url).refusal:
        yield error(Area.SINK, f"the proxy is not asked for it: {refusal}", _ACTIONS["address_refused"])
        return
    text = f"it is reached through the egress proxy {proxy.url}, which looks it up and checks its address"
    yield fine(Area.SINK, text)
    yield from _connected(url, "", bundle, policy, clock, egress)


def _direct(url: str, bundle: CaBundle, policy: AddressPolicy, clock: Clock) -> Iterator[Finding]:
    host = named_host(url)
    if host is None:
        addresses = [url.partition("://")[2].partition("/")[0].rpartition("]")[0].removeprefix("[")]
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
        yield from _connected(url, address, bundle, policy, clock, None)


def _looked_up(name: str, addresses: list[str], took_s: float) -> Finding:
    text = f"{name} is at {', '.join(addresses)}, looked up in {took_s * 1000:.0f} ms"
    if took_s > _SLOW_S:
        return warning(
            Area.SINK, text, "A slow resolver delays first notifications; is one of its servers away?"
        )
    return fine(Area.SINK, text)


def _connected(
    url: str, address: str, bundle: CaBundle, policy: AddressPolicy, clock: Clock, egress: Egress | None
) -> Iterator[Finding]:
    shake = partial(
        shake_hands, url, address, ca_file=bundle.path, policy=policy, limits=SinkLimits(), egress=egress
    )
    done = shake()
    whom = done.address if egress is None else "through the proxy"
    if done.failure is None:
        text = f"{whom}: connected, its certificate is trusted and for this name, in {done.took_ms} ms"
        yield fine(Area.SINK, f"{text}; no notification was sent")
    else:
        action = _ACTIONS.get(done.failure.reason, _ACTION)
        yield error(
            Area.SINK, f"{address or whom or 'it'}: {done.failure.reason}: {done.failure.detail}", action
        )
        if done.failure.reason != "tls":
            return
        done = shake(verify=False)
    yield from _chain(done, url, clock)


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
