"""How the commands of one machine reach its `serve`: by the data directory, with a token of its issuer."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from webrtc_events.core.clock import SystemClock

if TYPE_CHECKING:
    from webrtc_events.local.demo.http_client import HttpClient
    from webrtc_events.local.endpoints import Endpoints
    from webrtc_events.local.stack.issuer import LocalIssuer

__all__ = ["client_of", "client_with", "data_directory", "endpoints_of", "local_issuer"]


def data_directory(given: Path | None) -> Path:
    from webrtc_events.local.data_directory import default_data_directory

    return given or default_data_directory()


def endpoints_of(data_dir: Path | None) -> "Endpoints":
    from webrtc_events.local.endpoints import Endpoints

    return Endpoints.read(data_directory(data_dir))


def local_issuer(data_dir: Path | None) -> "LocalIssuer":
    from webrtc_events.local.data_directory import open_data_directory, setup_lock
    from webrtc_events.local.endpoints import Endpoints
    from webrtc_events.local.local_error import LocalError
    from webrtc_events.local.stack.issuer import LocalIssuer
    from webrtc_events.local.stack.key_files import TokenSigningKey

    data = open_data_directory(data_directory(data_dir))
    endpoints = Endpoints.read(data)
    if endpoints.issuer is None:
        raise LocalError(f"the `serve` on {data} takes tokens of another issuer; get a token there")
    clock = SystemClock()
    with setup_lock(data, clock):
        key = TokenSigningKey.load_or_make(data)
    return LocalIssuer(endpoints.issuer, key, endpoints.audience, clock)


def client_of(stack: ExitStack, data_dir: Path | None) -> "HttpClient":
    """A client of the local `serve` with every scope."""
    from webrtc_events.local.demo.http_client import HttpClient

    client = HttpClient(local_issuer(data_dir).mint)
    stack.callback(client.close)
    return client


def client_with(stack: ExitStack, access_token: str) -> "HttpClient":
    from webrtc_events.local.demo.http_client import HttpClient

    client = HttpClient(lambda: access_token)
    stack.callback(client.close)
    return client
