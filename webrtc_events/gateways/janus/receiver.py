"""Puts the parts of the adapter beside Janus together."""

from collections.abc import Callable
from enum import StrEnum

from webrtc_events.core.clock import Clock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.gateways.janus.calls import Calls
from webrtc_events.gateways.janus.intake import Intake
from webrtc_events.gateways.janus.listener import JanusListener, ListenerOptions
from webrtc_events.gateways.janus.registrations import Registrations
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.ownership import Ownership

__all__ = ["Published", "janus_receiver"]


class Published(StrEnum):
    """What the adapter publishes; where another adapter is at the registrar, one of both says it."""

    ALL = "all"
    CALLS = "calls"
    REGISTRATIONS = "registrations"


def janus_receiver(
    listener: ListenerOptions,
    ownership: Ownership,
    grace_s: int,
    domain: str,
    source: str | None,
    published: Published,
    clock: Clock,
) -> Callable[[Journal], JanusListener]:
    """What makes the receiver of `run_adapter`. See `gateway janus --help` for the values."""

    def make(journal: Journal) -> JanusListener:
        registrations = Registrations(ownership, grace_s, LineLimit(clock), published is not Published.CALLS)
        calls = Calls(domain, published is not Published.REGISTRATIONS)
        intake = Intake(journal, registrations, calls, clock, source)
        return JanusListener(listener, intake, clock)

    return make
