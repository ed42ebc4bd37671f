"""The composition root of the HTTP side: settings in, ASGI application out.

gunicorn -c python:webrtc_events.gunicorn_conf 'webrtc_events.app:create_app()'
"""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp

from webrtc_events.auth import TokenVerifier
from webrtc_events.clock import Clock, SystemClock
from webrtc_events.conditions import Condition
from webrtc_events.contract import load_network, load_next, load_public
from webrtc_events.handlers import network as network_handlers
from webrtc_events.handlers import subscriptions as subscription_handlers
from webrtc_events.handlers import webrtc_events_next as next_handlers
from webrtc_events.http.api import Api, connexion_app
from webrtc_events.http.failures import Failures
from webrtc_events.http.front import Front
from webrtc_events.http.health import Check, in_thread
from webrtc_events.http.routes import Routes, published_document
from webrtc_events.masking import Masking, mask_logs
from webrtc_events.model import ContractVersion
from webrtc_events.publish import Publisher
from webrtc_events.settings import Settings
from webrtc_events.signatures import key_set
from webrtc_events.start_faults import exit_with_fault
from webrtc_events.store import Store
from webrtc_events.subscriptions import Subscriptions

__all__ = ["create_app"]

_PUBLIC_LIMIT_BYTES = 256 * 1024
_NETWORK_LIMIT_BYTES = 16 * 1024 * 1024
# gunicorn's Arbiter.WORKER_BOOT_ERROR
_BOOT_ERROR = 3


def create_app(
    settings: Settings | None = None,
    *,
    clock: Clock | None = None,
    pages: Mapping[str, ASGIApp] | None = None,
    checks: Mapping[str, Check] | None = None,
) -> ASGIApp:
    """The application with the APIs that `settings.apis` names.

    `settings` None reads the environment, and ends the process with a plain text where it cannot
    start. `pages` are further ASGI applications by path prefix; `checks` are asked by `/readyz`
    besides store and issuer. From here on the process's logs are masked, see masking.py.

    Raises:
        MissingHandlersError: some operation has no handler.
        Unavailable, PartitionMismatch: see `Store.connect`.
    """
    if settings is None:
        # With this status gunicorn gives up, and does not start one worker after the other.
        with exit_with_fault(_BOOT_ERROR):
            return create_app(Settings.from_environ(os.environ), clock=clock, pages=pages, checks=checks)
    mask_logs(Masking.of(settings))
    strict = settings.strict_cloudevents
    public = load_public(strict_cloudevents=strict.every, by_client=bool(strict.ids))
    network = load_network()
    store = Store.connect(settings)
    subscriptions = Subscriptions(store, settings)
    apis = {
        "public": [Api(public, subscription_handlers, subscriptions, subscriptions.admit)],
        "network": [Api(network, network_handlers, Publisher(store, network))],
    }
    if settings.next:
        latest = Subscriptions(store, settings, ContractVersion.NEXT)
        apis["public"].append(Api(load_next(), next_handlers, latest, latest.admit))
    served = [api for name in apis if name in settings.apis for api in apis[name]]
    clock = clock or SystemClock()
    verifier = TokenVerifier(
        openid_configuration_url=settings.openid_configuration_url, audience=settings.audience, clock=clock
    )
    failures = Failures(clock)
    api = connexion_app(served, verifier, failures, _closing(store))
    contracts = [each.contract for each in served]
    documents = {
        each.base_path: published_document(each, settings.openid_configuration_url) for each in contracts
    }
    routes = Routes(
        api,
        contracts,
        documents,
        checks={"store": in_thread(_pinging(store)), "issuer": verifier.condition, **(checks or {})},
        pages=pages or {},
        key_set=_key_set(settings),
    )
    return Front(
        routes,
        lifespan=api,
        correlator=public.validator("XCorrelator"),
        failures=failures,
        limits={network.base_path: _NETWORK_LIMIT_BYTES},
        default_limit=_PUBLIC_LIMIT_BYTES,
    )


def _key_set(settings: Settings) -> Mapping[str, Any] | None:
    """Where consumers are: a process for the gateways alone publishes no keys."""
    return key_set(settings.signing_keys) if settings.signing_keys and "public" in settings.apis else None


def _closing(store: Store) -> Any:
    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        try:
            yield
        finally:
            store.close()

    return lifespan


def _pinging(store: Store) -> Callable[[], Condition]:
    def ping() -> Condition:
        store.ping()
        return Condition.ok()

    return ping
