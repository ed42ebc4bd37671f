"""Clients of both kinds, and the service that they call."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from webrtc_events_client.client import (
    AsyncClient,
    AsyncDeviceClient,
    AsyncNetworkClient,
    Client,
    DeviceClient,
    NetworkClient,
    Options,
)

from .service import InLoop, Service, SteppedClock

# Each takes 20 ms to make.
_TLS = ssl.create_default_context()


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest, clock: SteppedClock) -> Iterator[Callable[..., Any]]:
    """Makes a client of either kind: for subscriptions, for those of `devices`, for a gateway's `network`."""
    made: list[Any] = []
    with asyncio.Runner() as runner:

        def client(
            url: str, token: Any = "t0ken", *, network: bool = False, devices: bool = False, **options: Any
        ) -> Any:
            kinds = (
                (NetworkClient, AsyncNetworkClient)
                if network
                else (DeviceClient, AsyncDeviceClient)
                if devices
                else (Client, AsyncClient)
            )
            if "ca_file" not in options:
                options.setdefault("tls_context", _TLS)
            named: dict[str, Any] = {"options": Options(**({"clock": clock} | options))}
            kind: Any = kinds[request.param == "async"]
            made.append(kind(url, token, **named))
            if request.param == "async":
                made[-1] = InLoop(made[-1], runner)
            return made[-1]

        yield client
        for client_made in made:
            client_made.close()


@pytest.fixture
def client(make: Callable[..., Any], service: Service) -> Any:
    return make(service.url)


@pytest.fixture
def device_client(make: Callable[..., Any], service: Service) -> Any:
    return make(service.url, devices=True)
