"""The section that a `serve` adds to its console, with what is behind it."""

from collections.abc import Callable
from contextlib import ExitStack

from webrtc_events.console.section import Section
from webrtc_events.core.clock import Clock
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.simulation.simulations import Simulations
from webrtc_events.local.simulation_pages.device_subscriber import DeviceSubscriber
from webrtc_events.local.simulation_pages.pages import blueprint
from webrtc_events.local.simulation_pages.subscriber import Subscriber

__all__ = ["simulate_section"]


def simulate_section(
    stack: ExitStack,
    endpoints: Endpoints,
    mint: Callable[[], str],
    clock: Clock,
    *,
    devices: bool,
) -> Section:
    """`mint` makes access tokens with every scope. Simulations stop when the stack unwinds.

    `devices`: the API serves 0.3 too.
    """

    def client() -> HttpClient:
        return HttpClient(mint)

    simulations = Simulations(endpoints.network, client, clock)
    stack.callback(simulations.close)
    to_devices = DeviceSubscriber(endpoints.public_v0_3, endpoints.network, client) if devices else None
    pages = blueprint(simulations, Subscriber(endpoints.public, client), to_devices, endpoints.sink)
    return Section("Simulate", "simulate.index", pages)
