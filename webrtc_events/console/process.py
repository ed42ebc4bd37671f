"""`webrtc-events console`: the console as a process of its own, under gunicorn."""

import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from gunicorn.app.base import BaseApplication

from webrtc_events.console.access import Access, MachineAccess
from webrtc_events.console.behind_proxies import behind_proxies, below
from webrtc_events.console.console_app import ConsoleOptions, console_app, session_key
from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.console.exposed import exposed
from webrtc_events.console.health import with_health
from webrtc_events.console.login import LoginAccess, LoginOptions
from webrtc_events.console.sections import sections
from webrtc_events.core.clock import Clock
from webrtc_events.core.egress_proxy import EgressProxy
from webrtc_events.core.forwarded import TrustedProxies
from webrtc_events.core.gunicorn_log import ServiceLog
from webrtc_events.core.log_masking import Masking, mask_logs
from webrtc_events.core.settings import PREFIX, Settings
from webrtc_events.core.start_faults import CannotStart, exit_one_of_many
from webrtc_events.gunicorn_conf import child_exit, post_fork, pre_fork, ssl_context
from webrtc_events.store.store import Store
from webrtc_events.telemetry.gunicorn_group import open_group

__all__ = ["ConsoleProcess", "build"]

_THREADS: Final = 8
_GRACE_S: Final = 10
# gunicorn's Arbiter.WORKER_BOOT_ERROR
_BOOT_ERROR: Final = 3


@dataclass(frozen=True, slots=True)
class ConsoleProcess:
    """`port` 0 takes a free one. With `certfile`, a chain in PEM, it speaks TLS; its key may be there too."""

    host: str
    port: int
    certfile: str | None = None
    keyfile: str | None = None

    def run(self, settings: Settings, clock: Clock) -> None:
        """Serves until SIGTERM or SIGINT; requests under way may end.

        Raises:
            CannotStart: another address than loopback without a login; it cannot listen there.
            Unavailable, PartitionMismatch: see `Store.connect`.
        """
        if settings.console_url is None and not _is_loopback(self.host):
            raise CannotStart(
                f"without a login the console listens on loopback only, not on {self.host}: set "
                f"{PREFIX}CONSOLE_URL and {PREFIX}CONSOLE_CLIENT_ID, or leave --host out"
            )
        # What cannot work is said here, once.
        _check_address(self.host, self.port)
        _check_certificate(self.certfile, self.keyfile)
        Store.connect(settings).close()
        listener = {
            "bind": f"{_in_url(self.host)}:{self.port}",
            "certfile": self.certfile,
            "keyfile": self.keyfile,
        }
        _Server(settings, clock, listener).run()


def build(settings: Settings, clock: Clock) -> Any:
    """The WSGI application, over a store that is open as long as the process runs."""
    mask_logs(Masking.of(settings))
    store = Store.connect(settings)
    url = settings.console_url
    base_path = urlsplit(url or "").path
    secure = url is not None and url.startswith("https:")
    options = ConsoleOptions(
        session_key=session_key(settings.secret_key[0]),
        access=_access(settings, clock),
        path="/" if secure else base_path or "/",
        secure=secure,
    )
    pages = console_app(options, sections(ConsoleParts(store, settings, clock)))
    # Without a login the console is for this machine alone, and nobody's word counts.
    proxies = TrustedProxies(() if url is None else settings.trusted_proxies)
    served = with_health(behind_proxies(below(pages, base_path), proxies), store.ping)
    if settings.metrics_address is None:
        return served
    return exposed(served, settings, store.client.round_trips, clock)


def _access(settings: Settings, clock: Clock) -> Access:
    if settings.console_url is None or settings.console_client_id is None:
        return MachineAccess()
    login = LoginOptions(
        settings.console_url,
        settings.openid_configuration_url,
        settings.console_client_id,
        settings.console_client_secret,
        EgressProxy.of(settings),
    )
    return LoginAccess(login, clock)


class _Server(BaseApplication):  # type: ignore[misc]
    """One process that serves, in threads: people are few, and most of a page is waiting for the store.

    gunicorn's parent replaces it should it hang or crash, and tells systemd when it listens.
    """

    def __init__(self, settings: Settings, clock: Clock, listener: Mapping[str, str | None]) -> None:
        self._settings = settings
        self._clock = clock
        self._listener = listener
        super().__init__()

    def load_config(self) -> None:
        options: Mapping[str, Any] = {
            **self._listener,
            "ssl_context": ssl_context,
            "workers": 1,
            "worker_class": "gthread",
            "threads": _THREADS,
            "graceful_timeout": _GRACE_S,
            "control_socket_disable": True,
            # Whose word counts is a setting of the service.
            "forwarded_allow_ips": "",
            # Addresses may name a registration.
            "accesslog": None,
            "errorlog": "-",
            "logger_class": ServiceLog,
            "on_starting": lambda server: open_group(server, self._settings),
            "pre_fork": pre_fork,
            "post_fork": post_fork,
            "child_exit": child_exit,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        with exit_one_of_many(_BOOT_ERROR, self._clock):
            return build(self._settings, self._clock)


def _check_address(host: str, port: int) -> None:
    """gunicorn tries for seconds, and does not name the options."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()
        except OSError as error:
            place = f"{host}, port {port}"
            raise CannotStart(
                f"cannot listen on {place}: {error.strerror}; choose others with --host and --port"
            ) from error


def _check_certificate(certfile: str | None, keyfile: str | None) -> None:
    """A server process that cannot read it would be replaced over and over."""
    if certfile is None and keyfile is not None:
        raise CannotStart("--keyfile is the key of a certificate: name that by --certfile")
    if certfile is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certfile, keyfile)
        except OSError as error:
            named = f"{certfile} and {keyfile}" if keyfile else certfile
            raise CannotStart(f"no certificate and its key, in PEM, are in {named}: {error}") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
