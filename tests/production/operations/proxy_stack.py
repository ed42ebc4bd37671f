"""A gunicorn with nginx in front of it, as `deploy/` has both."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.valkeys import ValkeyServer, eventually, free_port
from tests.production.operations.client import Client
from tests.production.operations.proxy import Proxy, head, parsed, running
from tests.production.operations.tools import AUDIENCE
from tests.production.operations.units import DEPLOY, Unit, started

__all__ = ["Stack", "standing"]

API = Unit(DEPLOY / "webrtc-events-api.service")


class Stack:
    """A gunicorn, and nginx in front of it: `direct` asks the one, `api` the other."""

    def __init__(self, issuer: Issuer, port: int, proxy: Proxy) -> None:
        self.issuer = issuer
        self.port = port
        self.proxy = proxy
        self.direct = Client(issuer, f"http://127.0.0.1:{port}")
        self.api = Client(
            issuer,
            f"https://localhost:{proxy.public}",
            f"https://localhost:{proxy.network}",
            ca=str(proxy.ca_file),
        )

    def raw(self, line: str, *headers: str, body: bytes = b"", side: str = "public") -> requests.Response:
        """The answer to a request that no client would send; `line` is its first."""
        port = self.proxy.network if side == "network" else self.proxy.public
        return parsed(self.proxy.exchange(head(line, *headers) + body, port))


@contextmanager
def standing(folder: Path) -> Iterator[Stack]:
    issuer = Issuer(SigningKeyPair.rsa("k1"))
    port = free_port()
    with ValkeyServer(folder / "store", aof="no") as store, running(folder / "nginx", port) as proxy:
        settings = folder / "settings.env"
        settings.write_text(
            f"WEBRTC_EVENTS_REDIS_URL={store.url}\n"
            f"WEBRTC_EVENTS_OPENID_CONFIGURATION_URL={issuer.discovery_url}\n"
            f"WEBRTC_EVENTS_AUDIENCE={AUDIENCE}\n"
            f"WEBRTC_EVENTS_SECRET_KEY={'A' * 43}\n"
            "WEBRTC_EVENTS_CHANNELS_URL=https://events.operator.example/channels/v0\n"
            "WEBRTC_EVENTS_NEXT=true\n"
        )
        own = {"GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}", "WEB_CONCURRENCY": "1"}
        with started(API, folder, settings, more=own):
            whole = Stack(issuer, port, proxy)
            eventually(lambda: whole.direct("GET", "/readyz", token=None).ok, "the API is ready")
            yield whole
            whole.direct.close()
            whole.api.close()
    issuer.close()
