"""The way to the token issuer: directly, or through the egress proxy, and never what the environment says."""

import ssl
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from webrtc_events.core.egress_proxy import EgressProxy

__all__ = ["prepare_session"]


def prepare_session(session: requests.Session, proxy: EgressProxy | None) -> None:
    """No proxies, .netrc or CA bundles from the environment. Plain http, which is loopback, goes directly."""
    session.trust_env = False
    if proxy is not None:
        session.mount("https://", _ProxyAdapter(proxy))


class _ProxyAdapter(HTTPAdapter):
    """Decides for each request, since a document of the issuer may name another host for the next.

    The proxy's CAs are for the proxy alone.
    """

    def __init__(self, proxy: EgressProxy) -> None:
        self._proxy = proxy
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        proxied = self._proxy.takes(request.url or "")
        options["proxies"] = {"https": self._proxy.url_with_credentials} if proxied else {}
        return super().send(request, *args, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        if self._proxy.url.scheme == "https":
            context = ssl.create_default_context()
            if self._proxy.ca_file is not None:
                context.load_verify_locations(self._proxy.ca_file)
            options["proxy_ssl_context"] = context
        return super().proxy_manager_for(proxy, **options)
