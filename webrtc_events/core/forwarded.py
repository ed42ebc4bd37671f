"""What a trusted proxy says of a request that it passes on: from whom, by which scheme, to which host. Pure.

Sources: RFC 7239 (Forwarded); X-Forwarded-For, -Proto and -Host as proxies have them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

__all__ = ["FORWARDED_HEADERS", "ForwardedRequest", "TrustedProxies"]

FORWARDED_HEADERS: Final = frozenset(
    {
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-proto",
        "x-forwarded-protocol",
        "x-forwarded-scheme",
        "x-forwarded-server",
        "x-forwarded-ssl",
        "x-real-ip",
    }
)
"""Nothing behind the composition root sees them: they are evaluated here, or dropped."""

_MAX_HOPS: Final = 32
_SCHEMES: Final = frozenset({"http", "https"})
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PAIR = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";,]+))\s*')
_ADDRESS_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9_a-zA-Z.-]+)?|([0-9.]+)(?::[0-9_a-zA-Z.-]+)?")


@dataclass(frozen=True, slots=True)
class ForwardedRequest:
    """None: the proxy says nothing of it, or nothing that can be read."""

    client: str | None = None
    scheme: str | None = None
    host: str | None = None


_NOTHING: Final = ForwardedRequest()


class TrustedProxies:
    """Whose word counts, by address. With no networks nobody's does."""

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, peer: str) -> bool:
        """Whether that address is a trusted proxy's."""
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            # A socket of both families has IPv4 peers like this.
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def read(self, peer: str, headers: Mapping[str, str]) -> ForwardedRequest:
        """What the request says by these headers. `headers`: by lower-case name, several joined by commas.

        A proxy that sets one kind of header may pass the other on as a client sent it. So where both kinds
        are there, neither counts.
        """
        if not self.trusts(peer):
            return _NOTHING
        standard = headers.get("forwarded", "")
        others = [headers.get(f"x-forwarded-{name}", "") for name in ("for", "proto", "host")]
        if standard and any(others):
            return _NOTHING
        hops = _standard_hops(standard) if standard else _other_hops(*others)
        return self._outermost(hops) if hops else _NOTHING

    def _outermost(self, hops: Sequence[Mapping[str, str]]) -> ForwardedRequest:
        """The hop of the first address, from here outwards, that is no trusted proxy's."""
        found = hops[-1]
        client: str | None = None
        for hop in reversed(hops):
            address = _address(hop.get("for", ""))
            if address is None:
                # `unknown`, a name, or nonsense: what is said beyond it cannot be placed.
                break
            found, client = hop, str(address)
            if not self.trusts(client):
                break
        scheme, host = found.get("proto", "").lower(), found.get("host", "")
        return ForwardedRequest(
            client, scheme if scheme in _SCHEMES else None, host if _HOST.fullmatch(host) else None
        )


def _standard_hops(text: str) -> list[Mapping[str, str]]:
    """The elements of `Forwarded`; none if any is not well formed."""
    hops: list[Mapping[str, str]] = []
    pairs: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _PAIR.match(text, position)
        if match is None or match[1].lower() in pairs or len(hops) >= _MAX_HOPS:
            return []
        pairs[match[1].lower()] = match[3] if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
        position = match.end()
        separator = text[position : position + 1]
        if separator not in ("", ";", ","):
            return []
        if separator != ";":
            hops.append(pairs)
            pairs = {}
        position += 1
    return [] if pairs else hops


def _other_hops(addresses: str, schemes: str, hosts: str) -> list[Mapping[str, str]]:
    """Each hop of X-Forwarded-For, with scheme and host where there is one for each, or one for all."""
    named = [part.strip() for part in addresses.split(",")] if addresses else []
    if len(named) > _MAX_HOPS:
        return []
    count = max(1, len(named))
    hops: list[dict[str, str]] = [{"for": name} for name in named] or [{}]
    for name, text in (("proto", schemes), ("host", hosts)):
        values = [part.strip() for part in text.split(",")] if text else []
        if len(values) in (1, count):
            for hop, value in zip(hops, values * count if len(values) == 1 else values, strict=False):
                hop[name] = value
    return list(hops)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """With or without a port, an IPv6 address with brackets or without."""
    match = _ADDRESS_WITH_PORT.fullmatch(text)
    try:
        return ip_address((match[1] or match[2]) if match else text)
    except ValueError:
        return None
