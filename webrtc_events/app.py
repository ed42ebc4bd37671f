"""The composition root of the HTTP side: settings in, ASGI application out.

gunicorn -c python:webrtc_events.gunicorn_conf 'webrtc_events.app:create_app()'
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp

from webrtc_events.api.access_tokens import TokenVerifier
from webrtc_events.api.application import Api, ConnexionApp, connexion_app
from webrtc_events.api.behind_proxies import BehindProxies
from webrtc_events.api.cors import Cors, Origins, Preflights
from webrtc_events.api.failures import Failures
from webrtc_events.api.health import Check, at_once, in_thread
from webrtc_events.api.middleware import Middleware
from webrtc_events.api.operation_threads import OperationThreads
from webrtc_events.api.request_log import RequestLog
from webrtc_events.api.routes import CLIENT_KEY_SET, SIGNING_KEY_SET, Routes, published_document
from webrtc_events.api.traced_requests import TracedRequests
from webrtc_events.api.websockets import OpenSocket, WebSockets
from webrtc_events.channels.channel_side import ChannelSide
from webrtc_events.channels.readers import Readers
from webrtc_events.contract.documents import load_channels, load_network, load_public, load_subscriptions
from webrtc_events.contract.openapi import Contract
from webrtc_events.core.activity import Activity
from webrtc_events.core.channel_urls import ChannelUrls
from webrtc_events.core.clock import Clock, SystemClock
from webrtc_events.core.conditions import Condition
from webrtc_events.core.egress_proxy import EgressProxy
from webrtc_events.core.forwarded import TrustedProxies
from webrtc_events.core.free_memory import free_memory_loop
from webrtc_events.core.log_masking import Masking, mask_logs
from webrtc_events.core.loops import Loop
from webrtc_events.core.model import ContractVersion
from webrtc_events.core.process import is_compiled, prepare_process, raise_descriptor_limit
from webrtc_events.core.request_context import api_name
from webrtc_events.core.settings import Settings
from webrtc_events.core.start_faults import exit_one_of_many
from webrtc_events.handlers import channels as channel_handlers
from webrtc_events.handlers import network_events as network_handlers
from webrtc_events.handlers import webrtc_events as subscription_handlers
from webrtc_events.handlers import webrtc_events_subscriptions as device_handlers
from webrtc_events.services.event_notes import EventNotes
from webrtc_events.services.network_side import NetworkSide
from webrtc_events.services.subscriptions import SubscriptionOptions, Subscriptions
from webrtc_events.sinks.assertion_keys import assertion_key_set
from webrtc_events.sinks.signing_keys import key_set
from webrtc_events.store.durability.watch import StoreWatch
from webrtc_events.store.reporter import Reporter
from webrtc_events.store.store import Store
from webrtc_events.store.trace_recorder import TraceRecorder
from webrtc_events.telemetry.families import OTHER
from webrtc_events.telemetry.request_counts import RequestCounts
from webrtc_events.telemetry.trace_start import start_tracing

if TYPE_CHECKING:
    from webrtc_events.telemetry.exporter import Exporter
    from webrtc_events.telemetry.tracing import Tracing

__all__ = ["create_app"]

_STOP_S = 5.0
# How many functions of operations block at once.
_OPERATION_THREADS = 40
_PUBLIC_LIMIT_BYTES = 256 * 1024
_NETWORK_LIMIT_BYTES = 16 * 1024 * 1024
# Pages bound what they take themselves, and say so on a page: the file of a call has up to 2 MB.
_PAGES_LIMIT_BYTES = 4 << 20
# gunicorn's Arbiter.WORKER_BOOT_ERROR
_BOOT_ERROR = 3


def create_app(
    settings: Settings | None = None,
    *,
    clock: Clock | None = None,
    pages: Mapping[str, ASGIApp] | None = None,
    checks: Mapping[str, Check] | None = None,
    watch: StoreWatch | None = None,
    exporter: "Exporter | None" = None,
    tracing: "Tracing | None" = None,
) -> ASGIApp:
    """The application with the APIs that `settings.apis` names.

    `settings` None reads the environment, and ends the process with a plain text where it cannot
    start. `pages` are further ASGI applications by path prefix; `checks` are asked by `/readyz`
    besides those of the store and the issuer. `watch` is a running one, whose store is used and not
    closed. `exporter`: of its metrics, `tracing`: what records its spans; they are the caller's to start and
    stop. From here on the process's logs are masked, see core/log_masking.py.

    Raises:
        MissingHandlersError: some operation has no handler.
        Unavailable, PartitionMismatch, UnfitStore: see `StoreWatch.connect`.
    """
    clock = clock or SystemClock()
    if settings is not None:
        return _composed(settings, clock, pages or {}, checks or {}, watch, exporter, tracing)
    prepare_process()
    # With this status gunicorn gives up, and does not start one worker after the other.
    with exit_one_of_many(_BOOT_ERROR, clock):
        settings = Settings.from_environ(os.environ)
        own = _own_exporter(settings, clock), start_tracing(settings, clock)
        return _composed(settings, clock, pages or {}, checks or {}, watch, *own, owns_telemetry=True)


def _composed(
    settings: Settings,
    clock: Clock,
    pages: Mapping[str, ASGIApp],
    checks: Mapping[str, Check],
    given_watch: StoreWatch | None,
    exporter: "Exporter | None",
    tracing: "Tracing | None",
    *,
    owns_telemetry: bool = False,
) -> ASGIApp:
    masking = Masking.of(settings)
    mask_logs(masking)
    watch = given_watch or StoreWatch.connect(settings, clock)
    owns_watch = given_watch is None
    public, network, activity = _public(settings), load_network(), Activity()
    takes_events = "network" in settings.apis
    recorder = TraceRecorder.of(settings, watch.store.connection, clock) if takes_events else None
    if owns_watch:
        # Else who runs it has been told by now, and one is told.
        watch.store.connection.given_up.tell(activity, recorder)
    readers = _readers(settings, watch.store, clock)
    threads = OperationThreads(_OPERATION_THREADS)
    notes = None if recorder is None else EventNotes(recorder)
    told = notes, activity, tracing
    network_side = NetworkSide.of(watch.store, network, settings.event_bytes, *told, threads.run)
    served = _served(settings, watch.store, public, Api(network, network_handlers, network_side), readers)
    verifier, failures = _verifier(settings, clock), Failures(clock)
    loops = _loops(watch, activity, recorder, clock, owns_watch=owns_watch)
    contracts = [side.contract for side in served]
    requests = _request_counts(contracts)
    if exporter is not None:
        _expose(exporter, activity, requests, watch, readers, tracing if owns_telemetry else None)
    own = (tracing, exporter) if owns_telemetry else (None, None)
    lifespan = _running(loops, readers, watch.store if owns_watch else None, *own)
    api = connexion_app(served, verifier, failures, masking, lifespan, threads)
    pages_of = [contract.base_path for contract in contracts if contract is not network]
    app: ASGIApp = Middleware(
        _routes(settings, api, contracts, pages_of, {**_checks(watch, verifier), **checks}, pages),
        lifespan=api,
        websockets=_websockets(served, settings, failures),
        correlator=public.validator("XCorrelator"),
        failures=failures,
        limits={**dict.fromkeys(pages, _PAGES_LIMIT_BYTES), network.base_path: _NETWORK_LIMIT_BYTES},
        default_limit=_PUBLIC_LIMIT_BYTES,
        clock=clock,
        counts=requests,
        log=RequestLog(clock, settings.log_requests) if settings.log_requests else None,
    )
    return _outermost(_traced(app, tracing, contracts, clock), pages_of, settings)


def _outermost(app: ASGIApp, pages_of: Sequence[str], settings: Settings) -> ASGIApp:
    """What depends on who asks, and by which way: browsers, and proxies in front."""
    if settings.cors_origins:
        app = Cors(app, pages_of, Origins(settings.cors_origins))
    # Nothing in `app` reads what proxies say, so where none is trusted there is nothing to do.
    proxies = TrustedProxies(settings.trusted_proxies)
    return BehindProxies(app, proxies, settings.base_path) if proxies or settings.base_path else app


def _traced(app: ASGIApp, tracing: "Tracing | None", contracts: Iterable[Contract], clock: Clock) -> ASGIApp:
    if tracing is None:
        return app
    routes = {
        contract.base_path: {
            name: contract.base_path + operation.path for name, operation in contract.operations.items()
        }
        for contract in contracts
    }
    return TracedRequests(app, tracing, routes, clock)


def _request_counts(contracts: Sequence[Contract]) -> RequestCounts:
    operations = [name for contract in contracts for name in contract.operations]
    return RequestCounts([*operations, OTHER], [api_name(contract.base_path) for contract in contracts])


def _websockets(served: Sequence[Api], settings: Settings, failures: Failures) -> WebSockets:
    """Of the operations of `served` those that may be opened as a WebSocket too."""
    sockets: dict[str, tuple[str, str, OpenSocket]] = {}
    for api in served:
        if isinstance(api.use_case, ChannelSide):
            operation = api.contract.operations["readChannelEvents"]
            base = api.contract.base_path
            sockets[f"{base}{operation.path}"] = operation.id, api_name(base), api.use_case.reading.socket
    return WebSockets(sockets, Origins(settings.cors_origins), failures)


def _loops(
    watch: StoreWatch, activity: Activity, recorder: TraceRecorder | None, clock: Clock, *, owns_watch: bool
) -> list[Loop]:
    found = [Reporter(watch, activity, clock, role="api").loop]
    if owns_watch:
        found += [watch.loop, free_memory_loop(clock)]
    return found if recorder is None else [*found, recorder.loop]


def _routes(
    settings: Settings,
    api: ConnexionApp,
    contracts: Sequence[Contract],
    pages_of: Sequence[str],
    checks: Mapping[str, Check],
    pages: Mapping[str, ASGIApp],
) -> ASGIApp:
    issuer_url = settings.openid_configuration_url
    documents = {
        contract.base_path: published_document(contract, issuer_url, settings.base_path)
        for contract in contracts
    }
    routes = Routes(api, contracts, documents, checks=checks, pages=pages, key_sets=_key_sets(settings))
    return Preflights(routes, pages_of, Origins(settings.cors_origins)) if settings.cors_origins else routes


def _readers(settings: Settings, store: Store, clock: Clock) -> Readers | None:
    """None: this process serves no channels."""
    if settings.channels_url is None or "public" not in settings.apis:
        return None
    # Each reader is a connection.
    raise_descriptor_limit()
    return Readers(store, clock, settings.channel_readers)


def _verifier(settings: Settings, clock: Clock) -> TokenVerifier:
    return TokenVerifier(
        openid_configuration_url=settings.openid_configuration_url,
        audience=settings.audience,
        clock=clock,
        proxy=EgressProxy.of(settings),
    )


def _checks(watch: StoreWatch, verifier: TokenVerifier) -> dict[str, Check]:
    """What `/readyz` asks."""
    return {
        "store": in_thread(partial(_store_condition, watch)),
        "issuer": verifier.condition,
        "durability": at_once(watch.durability),
        "clock": at_once(watch.clocks),
    }


def _public(settings: Settings) -> Contract:
    strict = settings.strict_cloudevents
    return load_public(strict_cloudevents=strict.every, by_client=bool(strict.ids))


def _served(
    settings: Settings, store: Store, public: Contract, network: Api, readers: Readers | None
) -> list[Api]:
    """The APIs that `settings.apis` names, each with its handlers and use case."""
    options = SubscriptionOptions.of(settings)
    subscriptions = Subscriptions(store, options, resources=public.validator("Subscription"))
    # Where there is no limit nothing is counted, which would take a thread.
    counts = settings.requests_per_s > 0
    apis = {
        "public": [
            Api(public, subscription_handlers, subscriptions, subscriptions.count_request if counts else None)
        ],
        "network": [network],
    }
    if settings.next:
        following = load_subscriptions()
        resources = following.validator("Subscription")
        latest = Subscriptions(store, options, ContractVersion.V0_3, resources)
        apis["public"].append(
            Api(following, device_handlers, latest, latest.count_request if counts else None)
        )
    if readers is not None:
        count = subscriptions.count_request if counts else None
        side = ChannelSide.of(store, ChannelUrls(settings.channels_url), readers, count)
        apis["public"].append(Api(load_channels(), channel_handlers, side, count))
    return [api for name in apis if name in settings.apis for api in apis[name]]


def _key_sets(settings: Settings) -> dict[str, Mapping[str, Any]]:
    """Where consumers are: a process for the gateways alone publishes no keys."""
    if "public" not in settings.apis:
        return {}
    published: dict[str, Mapping[str, Any]] = {}
    if settings.signing_keys:
        published[SIGNING_KEY_SET] = key_set(settings.signing_keys)
    if settings.token_keys:
        published[CLIENT_KEY_SET] = assertion_key_set(settings.token_keys)
    return published


def _own_exporter(settings: Settings, clock: Clock) -> "Exporter | None":
    if settings.metrics_address is None:
        return None
    from webrtc_events.telemetry.exporter import Exporter

    return Exporter.of(settings, clock, "api")


def _expose(
    exporter: "Exporter",
    activity: Activity,
    requests: RequestCounts,
    watch: StoreWatch,
    readers: Readers | None,
    tracing: "Tracing | None",
) -> None:
    from webrtc_events.telemetry import sources

    exporter.add(
        sources.of_build(compiled=is_compiled("webrtc_events.delivery.task_runner")),
        sources.of_acceptance(activity),
        sources.of_requests(requests),
        sources.of_spans({} if tracing is None else tracing.counts),
        sources.of_readers(lambda: 0 if readers is None else readers.count),
        *sources.of_watched_store(watch.checks, watch.store.client.round_trips),
    )


def _running(
    loops: Sequence[Loop],
    readers: Readers | None,
    store: Store | None,
    tracing: "Tracing | None",
    exporter: "Exporter | None",
) -> Any:
    """What is given runs while the server does; then the store is closed, if it is to be."""

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        try:
            if exporter is not None:
                exporter.start()
            for loop in loops:
                loop.start()
            if readers is not None:
                readers.start()
            yield
        finally:
            if readers is not None:
                await readers.stop()
            for loop in loops:
                loop.ask_to_stop()
            # Together, so that the stop takes no longer than one of them may.
            await asyncio.gather(*(asyncio.to_thread(loop.join, _STOP_S) for loop in loops))
            for telemetry in (tracing, exporter):
                if telemetry is not None:
                    await asyncio.to_thread(telemetry.stop)
            if store is not None:
                store.close()

    return lifespan


def _store_condition(watch: StoreWatch) -> Condition:
    watch.store.ping()
    return watch.writes()
