"""The addresses that sinks may have. Pure.

The client asks the policy in libcurl's connect step itself, so a name that resolves differently the second
time gains nothing.

The tables are written out instead of using `ipaddress.is_global`, which calls several
ranges global that lead back inside (NAT64, 6to4, site-local, IPv4-compatible, multicast).
Source: IANA IPv4 and IPv6 Special-Purpose Address Registries, IANA IPv6 Global Unicast.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from webrtc_events.core.port_set import PortSet

__all__ = ["SINK_PORTS", "AddressPolicy"]

_REFUSED_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private use
        "100.64.0.0/10",  # shared address space of carriers
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's host agent, inside public space
        "169.254.0.0/16",  # link local, and the clouds' metadata services
        "172.16.0.0/12",  # private use
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT relays
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private use
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and limited broadcast
    )
)

_GLOBAL_6 = IPv6Network("2000::/3")

_REFUSED_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments: Teredo, benchmarking, ORCHID, AMT ...
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)

_MAPPED_6 = IPv6Network("::ffff:0:0/96")
_NAT64_6 = IPv6Network("64:ff9b::/96")

SINK_PORTS = PortSet.of(443, (1024, 65535))
"""The default: HTTPS, and the unprivileged ones. Keeps mail, SSH and the like out of reach."""


class AddressPolicy:
    """Public unicast addresses and those in `allowed_networks`; of these, `ports`.

    Forms that carry another address in them:

    - IPv4-mapped (`::ffff:0:0/96`): the socket speaks IPv4, so it counts as that IPv4 address.
    - NAT64 (`64:ff9b::/96`): public only if the embedded IPv4 address is public; an allowed IPv4
      network does not count, since the translator's own network is meant.
    - 6to4, Teredo, local NAT64 (`64:ff9b:1::/48`), IPv4-compatible: always refused. They are
      obsolete or local, and what they lead to depends on relays that nobody here controls.
    """

    def __init__(
        self,
        allowed_networks: tuple[IPv4Network | IPv6Network, ...] = (),
        ports: PortSet = SINK_PORTS,
    ) -> None:
        self._allowed = allowed_networks
        self.ports = ports

    def allows(self, address: str) -> bool:
        """Whether a sink may have `address` (canonical text).

        A scoped address (`fe80::1%eth0`) and text that is no address are refused.
        """
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, IPv4Address):
            return self._is_allowed(parsed) or _is_public_4(parsed)
        if parsed.scope_id is not None:
            return False
        if self._is_allowed(parsed):
            return True
        if parsed in _MAPPED_6:
            return self.allows(str(_last_4(parsed)))
        if parsed in _NAT64_6:
            return _is_public_4(_last_4(parsed))
        return _is_public_6(parsed)

    def refusal(self, address: str, port: int) -> str | None:
        """What is wrong with connecting there, or None. Its port too: subscriptions outlive a setting."""
        if not self.allows(address):
            return f"{address} is not an address that sinks may have"
        return None if port in self.ports else f"{port} is not a port that sinks may have"

    def _is_allowed(self, address: IPv4Address | IPv6Address) -> bool:
        # A network of the other family never contains it.
        return any(address in network for network in self._allowed)


def _is_public_4(address: IPv4Address) -> bool:
    return not any(address in network for network in _REFUSED_4)


def _is_public_6(address: IPv6Address) -> bool:
    return address in _GLOBAL_6 and not any(address in network for network in _REFUSED_6)


def _last_4(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFFFFFF)
