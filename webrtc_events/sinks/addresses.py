"""May we connect to this address, and does this URL name a sink we could mean? Pure.

`AddressPolicy` judges an address; libcurl asks it in the connect step itself, so a name
that resolves differently the second time gains nothing. `check_sink_url` judges what a
client wrote, before any name is resolved.

The tables are written out instead of using `ipaddress.is_global`, which calls several
ranges global that lead back inside (NAT64, 6to4, site-local, IPv4-compatible, multicast).
Source: IANA IPv4 and IPv6 Special-Purpose Address Registries, IANA IPv6 Global Unicast.
"""

import re
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from urllib.parse import quote

import idna

__all__ = ["SINK_PORTS", "AddressPolicy", "check_sink_url"]

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

SINK_PORTS = frozenset({443, *range(1024, 65536)})
"""The default: HTTPS, and the unprivileged ones. Keeps mail, SSH and the like out of reach."""


class AddressPolicy:
    """Public unicast addresses and those in `allowed_networks`; of these, `ports`.

    Forms that carry another address in them:

    - IPv4-mapped (`::ffff:0:0/96`): the socket speaks IPv4, so it is judged as that IPv4 address.
    - NAT64 (`64:ff9b::/96`): public only if the embedded IPv4 address is public; an allowed IPv4
      network does not count, since the translator's own network is meant.
    - 6to4, Teredo, local NAT64 (`64:ff9b:1::/48`), IPv4-compatible: always refused. They are
      obsolete or local, and what they lead to depends on relays that nobody here controls.
    """

    def __init__(
        self,
        allowed_networks: tuple[IPv4Network | IPv6Network, ...] = (),
        ports: frozenset[int] = SINK_PORTS,
    ) -> None:
        self._allowed = allowed_networks
        self.ports = ports

    def allows(self, address: str) -> bool:
        """Whether a connection to `address` (canonical text) is meant.

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

    def _is_allowed(self, address: IPv4Address | IPv6Address) -> bool:
        # A network of the other family never contains it.
        return any(address in network for network in self._allowed)


def _is_public_4(address: IPv4Address) -> bool:
    return not any(address in network for network in _REFUSED_4)


def _is_public_6(address: IPv6Address) -> bool:
    return address in _GLOBAL_6 and not any(address in network for network in _REFUSED_6)


def _last_4(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFFFFFF)


_MAX_URL = 2048
_URL = re.compile(r"https://(?P<authority>[^/?]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_HTTPS = "443"
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_MAX_NAME = 253
# A last label like these makes inet_aton, hence getaddrinfo, read the whole host as an IPv4 address.
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# RFC 3986: pchar, "/" and "?", and "%" of escapes that are there already.
_SAFE = "/?%:@!$&'()*+,;=-._~"


def check_sink_url(url: str, policy: AddressPolicy) -> str:
    """The ASCII URL to give to libcurl: host lower-case, IDN as A-labels, IP literals canonical.

    Whatever two parsers might read in two ways is refused rather than repaired.

    Raises:
        ValueError: no such URL, or its literal address is refused by `policy`. The message is
            fit for an API answer. A name is judged by its addresses when it is connected to.
    """
    if len(url) > _MAX_URL:
        raise ValueError(f"sink must have at most {_MAX_URL} characters")
    if any(_is_blank(character) for character in url):
        raise ValueError("sink must not contain spaces or control characters")
    if "\\" in url:
        raise ValueError("sink must not contain a backslash")
    if "#" in url:
        raise ValueError("sink must not have a fragment")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise ValueError("sink must be an https:// URL")
    host, port = _split_authority(parts["authority"])
    checked = f"https://{_check_host(host, policy)}{_check_port(port, policy)}{_check_rest(parts['rest'])}"
    if len(checked) > _MAX_URL:
        raise ValueError(f"sink must have at most {_MAX_URL} characters once percent-encoded")
    return checked


def _is_blank(character: str) -> bool:
    # Printable leaves out controls, separators, lone surrogates and invisible format characters.
    return character == " " or not character.isprintable()


def _split_authority(authority: str) -> tuple[str, str | None]:
    if "@" in authority:
        raise ValueError("sink must not contain a user name or password")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise ValueError("sink must have a valid host and port")
    if not parts["host"]:
        raise ValueError("sink must have a host")
    return parts["host"], parts["port"]


def _check_port(port: str | None, policy: AddressPolicy) -> str:
    given = _HTTPS if port is None else port
    if not _PORT.fullmatch(given) or int(given) not in policy.ports:
        raise ValueError(f"sink must use one of the ports {_spans(policy.ports)}")
    return "" if given == _HTTPS else f":{given}"


def _spans(ports: frozenset[int]) -> str:
    """Such as `443, 1024-65535`: runs of ports, as short as they can be told."""
    runs: list[list[int]] = []
    for port in sorted(ports):
        if runs and port == runs[-1][1] + 1:
            runs[-1][1] = port
        else:
            runs.append([port, port])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _check_host(host: str, policy: AddressPolicy) -> str:
    if host.startswith("["):
        return f"[{_check_ipv6(host[1:-1], policy)}]"
    name = _to_ascii(host)
    if _NUMERIC_LABEL.fullmatch(name.removesuffix(".").rpartition(".")[2]):
        return _check_address(_parse_inet_aton(name), policy)
    labels = name.removesuffix(".").split(".")
    if len(name) > _MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("sink must have a valid host name")
    return name


def _to_ascii(host: str) -> str:
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise ValueError("sink must have a valid host name") from None


def _check_ipv6(text: str, policy: AddressPolicy) -> str:
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise ValueError("sink must have a valid IPv6 address in its brackets") from None
    return _check_address(address, policy)


def _check_address(address: IPv4Address | IPv6Address, policy: AddressPolicy) -> str:
    text = str(address)
    if not policy.allows(text):
        raise ValueError(f"sink must not be at {text}, which is not a public address")
    return text


def _parse_inet_aton(text: str) -> IPv4Address:
    """Every spelling of inet_aton: 1 to 4 parts, decimal, 0 octal, 0x hex; the last fills what is left."""
    try:
        *first, last = [_parse_part(part) for part in text.split(".")]
    except ValueError:
        raise ValueError("sink must have a valid IPv4 address") from None
    room = 4 - len(first)
    if room < 1 or any(part > 255 for part in first) or last >= 256**room:
        raise ValueError("sink must have a valid IPv4 address")
    value = last
    for position, part in enumerate(first):
        value += part << (24 - 8 * position)
    return IPv4Address(value)


_HEX_PART = re.compile(r"0x[0-9a-f]{1,16}")
_OCTAL_PART = re.compile(r"0[0-7]{0,16}")
_DECIMAL_PART = re.compile(r"[1-9][0-9]{0,15}")


def _parse_part(part: str) -> int:
    for pattern, base in ((_HEX_PART, 16), (_OCTAL_PART, 8), (_DECIMAL_PART, 10)):
        if pattern.fullmatch(part):
            return int(part, base)
    raise ValueError(part)


def _check_rest(rest: str) -> str:
    if _BAD_ESCAPE.search(rest):
        raise ValueError("sink must escape with % and two hexadecimal digits")
    path = rest if rest.startswith("/") else f"/{rest}"
    return quote(path, safe=_SAFE)
