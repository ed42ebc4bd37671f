"""The API behind other proxies: what they say of a request, and the path that they put before it."""

from collections import defaultdict

from starlette.types import ASGIApp, Receive, Scope, Send

from webrtc_events.core.forwarded import FORWARDED_HEADERS, TrustedProxies

__all__ = ["BehindProxies"]

_DROPPED = frozenset(name.encode("ascii") for name in FORWARDED_HEADERS)


class BehindProxies:
    """Gives requests the client, scheme and host that trusted proxies tell of, and takes `base_path` off.

    A path may come with the base path, as clients send it, or without, where a proxy has taken it off. Behind
    this layer no header of proxies is left, and `root_path` is the base path.
    """

    def __init__(self, app: ASGIApp, proxies: TrustedProxies, base_path: str) -> None:
        self._app = app
        self._proxies = proxies
        self._base_path = base_path
        self._raw_base_path = base_path.encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            self._tell(scope)
            scope = self._without_base_path(scope)
        await self._app(scope, receive, send)

    def _tell(self, scope: Scope) -> None:
        """In place: the server's access log reads the scope too."""
        named: defaultdict[str, list[str]] = defaultdict(list)
        headers: list[tuple[bytes, bytes]] = []
        for name, value in scope["headers"]:
            if name in _DROPPED:
                named[name.decode("ascii")].append(value.decode("latin-1"))
            else:
                headers.append((name, value))
        if not named:
            return
        peer = scope.get("client")
        lists = {name: ", ".join(values) for name, values in named.items()}
        found = self._proxies.read(peer[0] if peer else "", lists)
        if found.client is not None:
            scope["client"] = (found.client, 0)
        if found.scheme is not None:
            plain = "ws" if scope["type"] == "websocket" else "http"
            scope["scheme"] = f"{plain}s" if found.scheme == "https" else plain
        if found.host is not None:
            headers = [(name, value) for name, value in headers if name != b"host"]
            headers.insert(0, (b"host", found.host.encode("ascii")))
        scope["headers"] = headers

    def _without_base_path(self, scope: Scope) -> Scope:
        if not self._base_path:
            return scope
        changed = {**scope, "root_path": self._base_path}
        raw: bytes = scope["raw_path"]
        # By the path as it was sent: what is encoded in it is no base path.
        if raw.startswith(self._raw_base_path + b"/"):
            changed["raw_path"] = raw[len(self._raw_base_path) :]
            changed["path"] = scope["path"][len(self._base_path) :]
        return changed
