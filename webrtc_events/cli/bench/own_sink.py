"""The sink of a self-test: an HTTPS server on loopback that takes everything and looks at nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from webrtc_events.core.clock import Clock
from webrtc_events.core.settings import Settings
from webrtc_events.local.data_directory import open_data_directory, setup_lock
from webrtc_events.local.stack.ca import server_certificate
from webrtc_events.local.stack.http_server import HttpServer, Tls
from webrtc_events.local.stack.ports import listen_loopback, reach
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.ca_bundle import CaBundle
from webrtc_events.sinks.handshake import shake_hands
from webrtc_events.sinks.limits import SinkLimits

__all__ = ["own_sink"]

_ADDRESS = "127.0.0.1"


@contextmanager
def own_sink(data: Path, settings: Settings, clock: Clock) -> Iterator[str]:
    """Gives its URL while it runs. Its certificate is of the CA in the data directory.

    Raises:
        ClickException: workers with these settings would not deliver to it.
        LocalError: it did not start.
    """
    directory = open_data_directory(data)
    with setup_lock(directory, clock):
        certificate = server_certificate(directory, clock)
    sockets = listen_loopback(0, "--sink")
    url = f"https://localhost:{reach(sockets)[1]}/"
    server = HttpServer("sink", _take, sockets, Tls(certificate.certificate, certificate.key))
    server.start()
    try:
        _check(url, settings, certificate.ca)
        yield url
    finally:
        server.stop()


def _check(url: str, settings: Settings, ca: Path) -> None:
    """As a worker with these settings would see it."""
    policy = AddressPolicy(settings.sink_allowed_networks, settings.sink_ports)
    bundle = CaBundle(settings.sink_ca_file)
    try:
        done = shake_hands(url, _ADDRESS, ca_file=bundle.path, policy=policy, limits=SinkLimits())
    finally:
        bundle.close()
    if done.failure is not None:
        raise click.ClickException(
            f"workers would not deliver to a sink of this command on loopback: {done.failure.detail}.\n"
            "Give one of yours with --sink URL, which answers 2xx to everything; or, for a test, start API, "
            "workers and this command with\n"
            "  WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS=127.0.0.0/8,::1/128\n"
            f"  WEBRTC_EVENTS_SINK_CA_FILE={ca}"
        )


async def _take(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An ASGI application: reads each body, and answers 204."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})
