"""The servers of the local sink: the trusted one, and one whose certificate nobody trusts.

They are the same application on two ports: TLS happens before a path is known, and no name but `localhost`
leads to this machine everywhere.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

from webrtc_events.core.clock import Clock
from webrtc_events.core.stop_signals import StopSignals
from webrtc_events.local.local_error import LocalError
from webrtc_events.local.sink.behaviours import Behaviours
from webrtc_events.local.sink.held_requests import HeldRequests
from webrtc_events.local.sink.inbox import Inbox
from webrtc_events.local.sink.received import Received
from webrtc_events.local.sink.terminal_view import styled
from webrtc_events.local.stack.ca import ServerCertificate, server_certificate, untrusted_certificate
from webrtc_events.local.stack.http_server import HttpServer, Tls, asgi
from webrtc_events.local.stack.ports import listen_loopback, reach

if TYPE_CHECKING:
    from webrtc_events.local.sink.notification_validator import NotificationValidator

__all__ = ["LocalSink", "SinkCertificates", "SinkSockets", "start_sink"]

_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class SinkSockets:
    trusted: list[socket]
    untrusted: list[socket]

    @classmethod
    def listen(cls, port: int, flag: str) -> "SinkSockets":
        """The untrusted one has the next port, or a free one where that is taken; port 0 takes free ones.

        Raises:
            LocalError: `port` is in use; `flag` is the option to name then.
        """
        trusted = listen_loopback(port, flag)
        try:
            return cls(trusted, _listen_after(port, flag))
        except LocalError:
            for listener in trusted:
                listener.close()
            raise

    @property
    def all(self) -> list[socket]:
        return [*self.trusted, *self.untrusted]

    @property
    def url(self) -> str:
        return _url(self.trusted)

    @property
    def untrusted_url(self) -> str:
        return _url(self.untrusted)


@dataclass(frozen=True, slots=True)
class SinkCertificates:
    trusted: ServerCertificate
    untrusted: ServerCertificate

    @classmethod
    def make(cls, data: Path, clock: Clock) -> "SinkCertificates":
        """Made or renewed as needed. Hold the setup lock."""
        return cls(server_certificate(data, clock), untrusted_certificate(data, clock))


@dataclass(frozen=True, slots=True)
class LocalSink:
    """Both servers run. `validator` is loaded by the caller; `held` are the requests that hang or drip."""

    servers: tuple[HttpServer, ...]
    validator: "NotificationValidator"
    held: HeldRequests


def start_sink(
    stack: ExitStack,
    signals: StopSignals,
    sockets: SinkSockets,
    certificates: SinkCertificates,
    strict: Sequence[bool],
    clock: Clock,
    say: Callable[[str], None],
    home: str | None = None,
) -> LocalSink:
    """Starts both servers; they stop when the stack unwinds. `home`: see `SinkPlaces`."""
    from webrtc_events.local.sink.connection_in_scope import ConnectionInScope
    from webrtc_events.local.sink.misbehaving import Misbehaving
    from webrtc_events.local.sink.notification_validator import NotificationValidator
    from webrtc_events.local.sink.sink_app import sink_app
    from webrtc_events.local.sink.sink_places import SinkPlaces

    def report(received: Received) -> None:
        say(styled(received))

    inbox = Inbox(clock, report)
    validator = NotificationValidator(*strict)
    held = HeldRequests()
    places = SinkPlaces(untrusted=sockets.untrusted_url, home=home)
    app = Misbehaving(asgi(sink_app(inbox, validator, Behaviours(), places)), held)
    servers = tuple(
        HttpServer(name, app, listeners, Tls(certificate.certificate, certificate.key), ConnectionInScope)
        for name, listeners, certificate in (
            ("sink", sockets.trusted, certificates.trusted),
            ("untrusted sink", sockets.untrusted, certificates.untrusted),
        )
    )
    for server in servers:
        stack.callback(signals.finish, server.stop)
    for server in servers:
        stack.callback(server.begin_to_stop)
    stack.callback(inbox.close)
    stack.callback(held.close)
    for server in servers:
        server.start()
    return LocalSink(servers, validator, held)


def _listen_after(port: int, flag: str) -> list[socket]:
    if 0 < port < _MAX_PORT:
        try:
            return listen_loopback(port + 1, flag)
        except LocalError:
            # It is for tries only, and its address is shown.
            return listen_loopback(0, flag)
    return listen_loopback(0, flag)


def _url(sockets: list[socket]) -> str:
    return f"https://localhost:{reach(sockets)[1]}"
