"""The proxy through which requests leave the operator's network, as the settings name it. Pure."""

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final, Protocol, Self
from urllib.parse import quote, urlsplit

__all__ = [
    "EgressProxy",
    "NoProxy",
    "ProxyUrl",
    "parse_no_proxy",
    "parse_proxy_credentials",
    "parse_proxy_url",
]

_PORTS: Final = {"http": 3128, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}")
_SUFFIX = re.compile(r"(?:\*?\.)?([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)")


@dataclass(frozen=True, slots=True)
class ProxyUrl:
    """`scheme`: http, or https for TLS to the proxy itself. `host` is without brackets."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class NoProxy:
    """What is reached without the proxy: addresses in `networks`, and names in `domains` with all below.

    Names are not looked up for it: a network covers URLs with a literal address only.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    domains: frozenset[str] = frozenset()

    def covers(self, host: str) -> bool:
        """`host`: a lower-case name, or an address without brackets."""
        address = _address(host)
        if address is not None:
            return any(address in network for network in self.networks)
        labels = host.removesuffix(".").split(".")
        return any(".".join(labels[first:]) in self.domains for first in range(len(labels)))


class _Settings(Protocol):
    """Those of the proxy."""

    @property
    def egress_proxy(self) -> ProxyUrl | None: ...
    @property
    def egress_no_proxy(self) -> NoProxy: ...
    @property
    def egress_proxy_credentials(self) -> str | None: ...
    @property
    def egress_proxy_ca_file(self) -> Path | None: ...


@dataclass(frozen=True, slots=True)
class EgressProxy:
    """`credentials`: `user:password` for Basic authentication. `ca_file`: CAs for the proxy's own TLS."""

    url: ProxyUrl
    no_proxy: NoProxy = NoProxy()
    credentials: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    @classmethod
    def of(cls, settings: _Settings) -> Self | None:
        """None: requests leave directly."""
        if settings.egress_proxy is None:
            return None
        return cls(
            settings.egress_proxy,
            settings.egress_no_proxy,
            settings.egress_proxy_credentials,
            settings.egress_proxy_ca_file,
        )

    def takes(self, url: str) -> bool:
        """Whether a request of this machine goes through it: plain http, to loopback, does not."""
        parts = urlsplit(url)
        return parts.scheme == "https" and not self.no_proxy.covers(parts.hostname or "")

    @property
    def user(self) -> tuple[str, str] | None:
        """Name and password."""
        if self.credentials is None:
            return None
        name, _, password = self.credentials.partition(":")
        return name, password

    @property
    def url_with_credentials(self) -> str:
        """For libraries that take them in the URL only. Never to be logged."""
        if self.user is None:
            return str(self.url)
        name, password = (quote(part, safe="") for part in self.user)
        scheme, _, rest = str(self.url).partition("://")
        return f"{scheme}://{name}:{password}@{rest}"


def parse_proxy_url(raw: str) -> ProxyUrl:
    """`http://host:port` or `https://host:port`; the port is 3128 or 443 where there is none.

    Raises:
        ValueError: anything else; credentials too, which would be shown with the URL.
    """
    if "@" in raw:
        raise ValueError("must not hold credentials: they have a setting for themselves")
    try:
        parts = urlsplit(raw)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("must be http://host:port or https://host:port") from None
    rest = parts.path not in ("", "/") or parts.query or parts.fragment
    known = parts.scheme in _PORTS and (_HOST.fullmatch(host) or isinstance(_address(host), IPv6Address))
    if not known or rest or port == 0:
        raise ValueError("must be http://host:port or https://host:port")
    return ProxyUrl(parts.scheme, host, port or _PORTS[parts.scheme])


def parse_proxy_credentials(raw: str) -> str:
    """`user:password`.

    Raises:
        ValueError: anything else; what was given is not quoted.
    """
    name, colon, _ = raw.partition(":")
    if not name or not colon or not raw.isprintable():
        raise ValueError("must be user:password")
    return raw


def parse_no_proxy(raw: str) -> NoProxy:
    """Host names, each with all names below it, and CIDR networks, separated by commas.

    Raises:
        ValueError: names the part that is neither.
    """
    networks: list[IPv4Network | IPv6Network] = []
    domains: list[str] = []
    for part in filter(None, (part.strip().lower() for part in raw.split(","))):
        bare = part.removeprefix("[").removesuffix("]")
        if "/" in bare or _address(bare) is not None:
            try:
                networks.append(ip_network(bare))
            except ValueError as error:
                raise ValueError(
                    f"must be host names and CIDR networks separated by commas: {error}"
                ) from None
        elif (name := _SUFFIX.fullmatch(part)) is not None:
            domains.append(name[1])
        else:
            raise ValueError(f"must be host names and CIDR networks separated by commas, not {part!r}")
    return NoProxy(tuple(networks), frozenset(domains))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
