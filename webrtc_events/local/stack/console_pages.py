"""The console of a `serve`: without a login, for the browsers of this machine."""

from collections.abc import Sequence
from typing import Any

from webrtc_events.console.access import MachineAccess
from webrtc_events.console.console_app import ConsoleOptions, console_app, session_key
from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.console.section import Section
from webrtc_events.console.sections import sections
from webrtc_events.core.clock import Clock
from webrtc_events.core.settings import Settings
from webrtc_events.local.endpoints import CONSOLE_PATH
from webrtc_events.local.stack.http_server import asgi
from webrtc_events.store.store import Store

__all__ = ["console_pages"]


def console_pages(store: Store, settings: Settings, clock: Clock, others: Sequence[Section] = ()) -> Any:
    """An ASGI application. Mount it at `CONSOLE_PATH`. `others` are the sections that only `serve` has."""
    parts = ConsoleParts(store, settings, clock)
    options = ConsoleOptions(
        session_key=session_key(settings.secret_key[0]), access=MachineAccess(), path=CONSOLE_PATH
    )
    return asgi(console_app(options, [*sections(parts), *others]))
