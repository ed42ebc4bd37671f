"""Checks the running service by what its processes say of themselves, and by what waits."""

from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version

from webrtc_events.cli.doctor.findings import Area, Finding, Level, fine, warning
from webrtc_events.console.overview.verdict import Severity, problems_of
from webrtc_events.console.overview.wording import plural
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.settings import Settings
from webrtc_events.core.start_faults import CannotStart
from webrtc_events.services.figures import Figures, read_figures
from webrtc_events.store.first_start import made_for
from webrtc_events.store.redis.scripts import connect
from webrtc_events.store.store import Store

__all__ = ["check_service"]

_LEVELS = {Severity.BAD: Level.ERROR, Severity.FAIR: Level.WARNING}


def check_service(settings: Settings) -> Iterator[Finding]:
    """Reads only. The check of the store says what is wrong with that."""
    figures = _figures(settings)
    if figures is None or figures.store is None:
        text = "which processes run is not known: the store that would say so cannot be used"
        yield warning(Area.SERVICE, text, "See the findings about the store.")
        return
    bare = replace(figures, store=replace(figures.store, nodes=(), silent=(), findings=()))
    for problem in problems_of(bare):
        yield Finding(Area.SERVICE, _LEVELS[problem.severity], problem.text, problem.action)
    for role, name in (("api", "API process"), ("worker", "worker")):
        if running := figures.running(role):
            yield fine(
                Area.SERVICE, f"{plural(running, name, f'{name}es' if role == 'api' else None)} running"
            )
    yield from _versions(figures)


def _figures(settings: Settings) -> Figures | None:
    try:
        client = connect(settings.redis_url)
        try:
            is_empty = made_for(client) is None
        finally:
            client.close()
        if is_empty:
            # To open it as a store would write to it.
            return None
        store = Store.connect(settings)
    except (CannotStart, Unavailable):
        return None
    try:
        return read_figures(store, settings.store_watermark)
    finally:
        store.close()


def _versions(figures: Figures) -> Iterator[Finding]:
    own = version("webrtc-events")
    others = {process.report.version for process in figures.processes or () if not process.missing} - {own}
    if others:
        text = f"processes of version {', '.join(sorted(others))} run, and this command is of {own}"
        yield warning(Area.SERVICE, text, "Upgrade the rest, or use the command of their release.")
