"""The section that a `serve` adds to its console, with what is behind it."""

from collections.abc import Callable
from contextlib import ExitStack

from webrtc_events.console.section import Section
from webrtc_events.core.clock import Clock
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.simulation.simulations import Simulations
from webrtc_events.local.simulation_pages.pages import blueprint
from webrtc_events.local.simulation_pages.subscriber import Subscriber

__all__ = ["simulate_section"]


def simulate_section(
    stack: ExitStack, endpoints: Endpoints, mint: Callable[[], str], clock: Clock
) -> Section:
    """`mint` makes access tokens with every scope. Simulations stop when the stack unwinds."""

    def client() -> HttpClient:
        return HttpClient(mint)

    simulations = Simulations(endpoints.network, client, clock)
    stack.callback(simulations.close)
    pages = blueprint(simulations, Subscriber(endpoints.public, client), endpoints.sink)
    return Section("Simulate", "simulate.index", pages)
