"""Which way a request to a sink goes out: directly, or by CONNECT through the egress proxy.

Through a proxy no name of a sink is looked up here: the proxy does it, and decides which addresses it
connects to. What can be told without a lookup is still refused here, before the proxy is asked: literal
addresses and ports that the policy refuses, and names of this very machine, which would be the proxy's.
"""

from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import pycurl

from webrtc_events.core.egress_proxy import EgressProxy
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.ca_bundle import CaBundle
from webrtc_events.sinks.resolver import NamedHost, named_host

__all__ = ["Egress", "Way"]

_WAYS: Final = 20_000
# CURLOPT_SUPPRESS_CONNECT_HEADERS, which pycurl does not name: else the proxy's answer to CONNECT would be
# taken for the sink's.
_SUPPRESS_CONNECT_HEADERS: Final = 265


class Way(NamedTuple):
    """`host`: what is connected to first, if it is a name. `refusal`: why it must not be sent, or ''."""

    proxied: bool
    host: NamedHost | None
    refusal: str = ""


class Egress:
    """Ways through `proxy`, and round it. `policy`: of the sinks' addresses.

    Raises:
        OSError: the proxy's CA file cannot be read.
    """

    def __init__(self, proxy: EgressProxy, policy: AddressPolicy) -> None:
        self._proxy = proxy
        self._policy = policy
        self._bundle = CaBundle(proxy.ca_file)
        self._proxy_host = named_host(f"https://{str(proxy.url).partition('://')[2]}")
        self.way = lru_cache(maxsize=_WAYS)(self._way)

    def proxied(self, url: str) -> bool:
        """Whether requests to that URL go through the proxy."""
        return self.way(url).proxied

    def set_up(self, curl: Any) -> None:
        """Options of a new handle. It goes directly until `turn`."""
        proxy = self._proxy
        curl.setopt(pycurl.PROXY, str(proxy.url))
        curl.setopt(pycurl.HTTPPROXYTUNNEL, 1)
        curl.setopt(_SUPPRESS_CONNECT_HEADERS, 1)
        curl.setopt(pycurl.PROXY_CAINFO, str(self._bundle.path))
        curl.setopt(pycurl.PROXY_SSL_VERIFYPEER, 1)
        curl.setopt(pycurl.PROXY_SSL_VERIFYHOST, 2)
        curl.setopt(pycurl.PROXY_SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        if proxy.user is not None:
            curl.setopt(pycurl.PROXYAUTH, pycurl.HTTPAUTH_BASIC)
            curl.setopt(pycurl.PROXYUSERNAME, proxy.user[0])
            curl.setopt(pycurl.PROXYPASSWORD, proxy.user[1])

    def turn(self, curl: Any, *, proxied: bool) -> None:
        """Which way the handle's next requests go."""
        # Empty, not unset: then libcurl would read it from the environment.
        curl.setopt(pycurl.NOPROXY, "" if proxied else "*")

    def close(self) -> None:
        self._bundle.close()

    def _way(self, url: str) -> Way:
        host = named_host(url)
        name = urlsplit(url).hostname or "" if host is None else host.name
        if self._proxy.no_proxy.covers(name):
            return Way(proxied=False, host=host)
        refusal = self._refusal(name, host, urlsplit(url).port or 443)
        return Way(proxied=True, host=self._proxy_host, refusal=refusal)

    def _refusal(self, name: str, host: NamedHost | None, port: int) -> str:
        if port not in self._policy.ports:
            return f"{port} is not a port that sinks may have"
        if host is None:
            # Whatever is neither a name nor an address is refused too: the proxy may read it as one.
            allowed = self._policy.allows(name)
        else:
            local = name.rstrip(".").rpartition(".")[2] == "localhost"
            allowed = not local or self._policy.allows("127.0.0.1")
        return "" if allowed else f"{name} is not an address that sinks may have"
