"""The metrics of a console process: its requests, and its round trips to the store."""

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from webrtc_events.core.clock import Clock
from webrtc_events.core.histogram import Histogram
from webrtc_events.core.settings import Settings
from webrtc_events.telemetry import sources
from webrtc_events.telemetry.families import OTHER
from webrtc_events.telemetry.request_counts import RequestCounts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["exposed"]


def exposed(
    app: "WSGIApplication", settings: Settings, round_trips: Histogram, clock: Clock
) -> "WSGIApplication":
    """The application, whose requests are counted, in a process that is scraped from now on.

    Raises:
        CannotStart: it cannot listen where the settings say.
    """
    from webrtc_events.telemetry.exporter import Exporter

    requests = RequestCounts(frozenset({OTHER}))
    exporter = Exporter.of(settings, clock, "console")
    if exporter is not None:
        exporter.add(
            sources.of_build(compiled=False),
            sources.of_requests(requests),
            sources.of_round_trips(round_trips),
        )
        exporter.start()
    return _counted(app, requests, clock)


def _counted(app: "WSGIApplication", requests: RequestCounts, clock: Clock) -> "WSGIApplication":
    # Requests are answered by several threads.
    lock = threading.Lock()

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        came_s = clock.monotonic()

        def start(status: str, headers: Any, exc_info: Any = None, /) -> Any:
            with lock:
                requests.note(OTHER, int(status[:3]), clock.monotonic() - came_s)
            return start_response(status, headers, exc_info)

        return app(environ, start)

    return answer
