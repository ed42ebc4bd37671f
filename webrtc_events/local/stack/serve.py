"""`webrtc-events serve`: store, issuer, API, worker and sink on one machine, in one process.

The parts start in the order in which they need each other and stop in reverse: first
no new requests, then the deliveries under way end, then the sink, then the store.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any

from webrtc_events.core.clock import Clock
from webrtc_events.core.conditions import Condition, Health
from webrtc_events.core.process import spare_what_is_loaded
from webrtc_events.core.settings import Settings, SettingsError, given_texts, valid_text
from webrtc_events.core.stop_signals import StopSignals
from webrtc_events.local.data_directory import exclusive, open_data_directory, setup_lock
from webrtc_events.local.endpoints import CONSOLE_PATH, Endpoints
from webrtc_events.local.local_error import LocalError
from webrtc_events.local.stack.delivery_log_filter import without_local_deliveries
from webrtc_events.local.stack.environment import local_texts
from webrtc_events.local.stack.http_server import HttpServer, asgi
from webrtc_events.local.stack.key_files import TokenSigningKey, secret_key, token_key
from webrtc_events.local.stack.local_stack import LocalStack
from webrtc_events.local.stack.ports import listen, reach
from webrtc_events.local.stack.sink_servers import SinkCertificates, SinkSockets, start_sink
from webrtc_events.local.stack.valkey import Valkey
from webrtc_events.telemetry.trace_start import start_tracing

if TYPE_CHECKING:
    from webrtc_events.local.stack.issuer import LocalIssuer
    from webrtc_events.local.stack.late_pages import LatePages
    from webrtc_events.store.store import Store
    from webrtc_events.telemetry.exporter import Exporter
    from webrtc_events.telemetry.tracing import Tracing

__all__ = ["ServeOptions", "serve", "serve_sink"]

log = logging.getLogger(__name__)

_WATCH_S = 0.5
_DRAIN_S = 15.0
# Without the store nothing can be settled: there is nothing to wait for.
_DRAIN_WITHOUT_STORE_S = 1.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Port 0 takes a free one. `open_console`: a browser shows the console once it is there.

    `operator_events`: the local sink is that of operators too.
    """

    host: str
    port: int
    sink_port: int
    data: Path
    open_console: bool = False
    operator_events: bool = False


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What is on disk before anything runs."""

    key: TokenSigningKey
    certificates: SinkCertificates
    settings: Settings


def serve(options: ServeOptions, environ: Mapping[str, str], clock: Clock, say: Say) -> None:
    """Runs until a signal asks it to stop.

    Raises:
        LocalError: a port is in use, another `serve` uses the data, or a part of it ended.
        SettingsError: see `Settings.from_environ`.
    """
    data = open_data_directory(options.data)
    with ExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        stack.enter_context(exclusive(data / "serve.lock", f"another `webrtc-events serve` uses {data}"))
        api_sockets = _closing(stack, listen(options.host, options.port, "--port"))
        sink_sockets = SinkSockets.listen(options.sink_port, "--sink-port")
        _closing(stack, sink_sockets.all)
        running = _Serve(data, environ, clock, say, signals, options)
        running.run(stack, api_sockets, sink_sockets)
    if signals.hurried():
        # What was not awaited must not hold up the process now.
        os._exit(130)


def serve_sink(port: int, data: Path, *, strict: Sequence[bool], clock: Clock, say: Say) -> None:
    """The local sink alone, until a signal. It takes the forms in `strict`, see `NotificationValidator`.

    Raises:
        LocalError: the port is in use.
    """
    data = open_data_directory(data)
    with ExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        sockets = SinkSockets.listen(port, "--port")
        _closing(stack, sockets.all)
        with setup_lock(data, clock):
            certificates = SinkCertificates.make(data, clock)
        sink = start_sink(stack, signals, sockets, certificates, strict, clock, say)
        _load_soon(sink.validator.load)
        say(
            f"The sink listens on {sockets.url}/ with a certificate of {certificates.trusted.ca}\n"
            f"Its certificate on {sockets.untrusted_url}/ is one that nobody trusts"
        )
        while not signals.wait(_WATCH_S):
            _check(*sink.servers)


class _Serve:
    def __init__(
        self,
        data: Path,
        environ: Mapping[str, str],
        clock: Clock,
        say: Say,
        signals: StopSignals,
        options: ServeOptions,
    ) -> None:
        self._data = data
        self._given, faults = given_texts(environ)
        if faults:
            # Before anything is started on the settings that were found.
            raise SettingsError(faults)
        self._clock = clock
        self._say = say
        self._signals = signals
        self._options = options
        self._embedded_store = "redis_url" not in self._given
        self._local_issuer = "openid_configuration_url" not in self._given
        self._valkey = Valkey(data, clock)

    def run(self, stack: ExitStack, api_sockets: list[socket], sink_sockets: SinkSockets) -> None:
        host, port = reach(api_sockets)
        api_url = f"http://{host}:{port}"
        prepared = self._prepare(f"{api_url}/issuer", f"{sink_sockets.url}/operator-events")
        exporter = _exporter(stack, prepared.settings, self._clock)
        tracing = start_tracing(prepared.settings, self._clock)
        if tracing is not None:
            stack.callback(tracing.stop)
        if self._embedded_store:
            self._valkey.start()
            stack.callback(self._valkey.stop)
        endpoints = Endpoints(
            api=api_url,
            issuer=f"{api_url}/issuer" if self._local_issuer else None,
            sink=sink_sockets.url,
            untrusted_sink=sink_sockets.untrusted_url,
            audience=prepared.settings.audience,
        )
        stack.enter_context(without_local_deliveries(endpoints.sink))
        shown = self._shown(endpoints, prepared, None if exporter is None else exporter.url)
        # The slow imports go on while the store reads its data.
        start_service = _load_service(prepared, shown, self._clock, exporter, tracing)
        if self._embedded_store:
            self._valkey.wait_ready(self._signals.asked)
        # The next contract's form is the strict one.
        settings = prepared.settings
        strict = [*settings.strict_cloudevents.possible, *([True] if settings.next else [])]
        home = f"{api_url}/"
        sink = start_sink(
            stack, self._signals, sink_sockets, prepared.certificates, strict, self._clock, self._say, home
        )
        if self._signals.asked():
            return
        api, console = start_service(stack, self._signals, api_sockets, self._store_alive)
        # First of all when it stops: a worker would wait for the answers that hang.
        stack.callback(sink.held.close)
        endpoints.write(self._data)
        self._announce(shown)
        # Not before: it would take the time of what is awaited.
        _load_soon(console.load, sink.validator.load, spare_what_is_loaded)
        if self._options.operator_events:
            _send_test(settings)
        while not self._signals.wait(_WATCH_S):
            _check(api, *sink.servers)
            console.check()
            if not self._store_alive():
                raise self._valkey.failure()
        self._say("Stopping: requests, deliveries, sink, store. Ctrl-C again to hurry.")

    def _prepare(self, issuer_url: str, operator_sink: str) -> _Prepared:
        with setup_lock(self._data, self._clock):
            key = TokenSigningKey.load_or_make(self._data)
            certificates = SinkCertificates.make(self._data, self._clock)
            texts = local_texts(
                self._given,
                redis_url=self._valkey.url,
                openid_configuration_url=f"{issuer_url}/.well-known/openid-configuration",
                secret_key=secret_key(self._data),
                ca=certificates.trusted.ca,
                operator_sink=operator_sink if self._options.operator_events else "",
                token_key=token_key(self._data) if self._wants_token_key() else None,
            )
        return _Prepared(key, certificates, Settings.from_texts(texts))

    def _wants_token_key(self) -> bool:
        """Whether clients may name token servers, and nobody has set up with what."""
        given = self._given
        return valid_text(given, "next") == "true" and given.keys().isdisjoint(
            {"token_keys", "token_jwks_uri"}
        )

    def _store_alive(self) -> bool:
        return not self._embedded_store or self._valkey.alive()

    def _shown(self, endpoints: Endpoints, prepared: _Prepared, metrics: str | None) -> LocalStack:
        settings = prepared.settings
        return LocalStack(
            endpoints=endpoints,
            data=self._data,
            ca=prepared.certificates.trusted.ca,
            store="embedded Valkey" if self._embedded_store else str(settings.redis_url),
            apis=settings.apis,
            next=settings.next,
            metrics=metrics,
        )

    def _announce(self, shown: LocalStack) -> None:
        from webrtc_events.local.stack.banner import banner

        self._say(banner(shown))
        if self._options.open_console:
            self._open(shown.endpoints.console)

    def _open(self, url: str) -> None:
        import webbrowser

        if not webbrowser.open(url):
            self._say(f"No browser was found to open {url}")


_Service = tuple[HttpServer, "LatePages"]
_StartService = Callable[[ExitStack, StopSignals, list[socket], Callable[[], bool]], _Service]


def _exporter(stack: ExitStack, settings: Settings, clock: Clock) -> "Exporter | None":
    """What is scraped, if it is to be: it is there before the parts, and until they have stopped.

    Raises:
        CannotStart: it cannot listen where the settings say.
    """
    if settings.metrics_address is None:
        return None
    from webrtc_events.telemetry.exporter import Exporter

    exporter = Exporter.of(settings, clock, "worker", "api", "console")
    if exporter is not None:
        stack.callback(exporter.stop)
        exporter.start()
    return exporter


def _load_service(
    prepared: _Prepared,
    shown: LocalStack,
    clock: Clock,
    exporter: "Exporter | None",
    tracing: "Tracing | None",
) -> _StartService:
    """Imports what API and worker need, and returns what starts them once the store is there."""
    from webrtc_events.api.health import in_thread
    from webrtc_events.app import create_app
    from webrtc_events.local.stack.issuer import LocalIssuer
    from webrtc_events.local.stack.issuer_pages import issuer_app
    from webrtc_events.local.stack.late_pages import LatePages
    from webrtc_events.local.stack.softphone_pages import SOFTPHONE_PATH, softphone_pages
    from webrtc_events.local.stack.start_page import start_page
    from webrtc_events.worker import Worker

    settings = prepared.settings

    def start(
        stack: ExitStack, signals: StopSignals, sockets: list[socket], store_alive: Callable[[], bool]
    ) -> _Service:
        worker = Worker.build(settings, clock, exporter=exporter, tracing=tracing)

        def drain() -> None:
            worker.stop(_DRAIN_S if store_alive() else _DRAIN_WITHOUT_STORE_S)

        stack.callback(signals.finish, drain)
        pages = {"/": start_page(shown)}
        issuer = None
        if shown.endpoints.issuer is not None:
            issuer = LocalIssuer(shown.endpoints.issuer, prepared.key, settings.audience, clock)
            pages["/issuer"] = asgi(issuer_app(issuer))
            if shown.complete:
                pages[SOFTPHONE_PATH] = softphone_pages()
        console = LatePages(partial(_load_console, worker.watch.store, settings, clock, shown, issuer))
        stack.callback(signals.finish, console.close)
        pages[CONSOLE_PATH] = console
        checks = {name: in_thread(_thread_check(worker.alive, name)) for name in worker.alive()}
        build = partial(create_app, settings, clock=clock, exporter=exporter, tracing=tracing)
        app = build(pages=pages, checks=checks, watch=worker.watch)
        api = HttpServer("API", app, sockets, websockets=True)
        stack.callback(signals.finish, api.stop)
        api.start()
        # Only now: a delivery makes the sink load its validator, and jsonschema does not tolerate another
        # import while Connexion reads the contracts.
        worker.start()
        return api, console

    return start


def _load_console(
    store: "Store",
    settings: Settings,
    clock: Clock,
    shown: LocalStack,
    issuer: "LocalIssuer | None",
    stack: ExitStack,
) -> Any:
    from webrtc_events.local.simulation_pages.simulate_section import simulate_section as simulate
    from webrtc_events.local.stack.console_pages import console_pages

    own = []
    if issuer is not None and shown.complete:
        own += [simulate(stack, shown.endpoints, issuer.mint, clock, devices=shown.next)]
    return console_pages(store, settings, clock, own)


def _load_soon(*loads: Callable[[], object]) -> None:
    """One after the other in a thread, so that nobody waits; several would take time from requests."""

    def load() -> None:
        for step in loads:
            step()

    threading.Thread(target=load, name="late loads", daemon=True).start()


def _send_test(settings: Settings) -> None:
    """To the sink of operators."""
    from webrtc_events.operator_events.testing import append_test
    from webrtc_events.store.store import Store

    with closing(Store.connect(settings)) as store:
        append_test(store.operator_outbox, settings.source, "This serve has started.")


def _thread_check(alive: Callable[[], Mapping[str, bool]], name: str) -> Callable[[], Condition]:
    def look() -> Condition:
        return Condition.ok() if alive()[name] else Condition(Health.UNAVAILABLE, "Its thread stands still.")

    return look


def _closing(stack: ExitStack, sockets: list[socket]) -> list[socket]:
    """Closes the sockets at the end, whether a server took them over or not."""
    for listener in sockets:
        stack.callback(listener.close)
    return sockets


def _check(*servers: HttpServer) -> None:
    for server in servers:
        if not server.alive():
            raise LocalError(f"the {server.name} server ended unexpectedly; see the messages above")
