"""The page of the overview, as a blueprint: whole, and the part of it that is read anew every few seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from flask import Blueprint, render_template

from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.console.overview import wording
from webrtc_events.console.overview.cached import Cached
from webrtc_events.console.overview.charts import Chart, bar_chart
from webrtc_events.console.overview.verdict import Problem, problems_of
from webrtc_events.services.figures import MINUTES, Figures, read_figures
from webrtc_events.store.activity_log import Minute

__all__ = ["blueprint"]

# So that many browsers cost the store no more than one.
_KEPT_S: Final = 2.0
_POLL_S: Final = 3


@dataclass(frozen=True, slots=True)
class Tile:
    """A count in the last whole minute, in the one that goes on, in all of them, and its chart."""

    title: str
    kind: str
    about: str
    last: int
    now: int
    total: int
    chart: Chart


@dataclass(frozen=True, slots=True)
class View:
    """What the templates show. `waiting`: the chart of how many subscriptions waited in each minute."""

    figures: Figures
    problems: Sequence[Problem]
    tiles: Sequence[Tile]
    waiting: Chart | None
    minutes: int = MINUTES


_WAITING: Final = "Subscriptions with something to deliver"
_TILES: Final = (
    ("Accepted", "accepted", "accepted", "network events, for the first time"),
    ("Delivered", "delivered", "delivered", "notifications that their sinks took"),
    ("Retried", "retried", "retried", "attempts that failed and are made again"),
    ("Given up", "given_up", "given-up", "notifications that became dead letters"),
)


def blueprint(parts: ConsoleParts) -> Blueprint:
    pages = Blueprint("overview", __name__, url_prefix="/overview")
    settings = parts.settings
    figures = Cached(partial(read_figures, parts.store, settings.store_watermark), parts.clock, _KEPT_S)

    def rendered(template: str) -> str:
        view = _view(figures.get(), durable_required=settings.require_durable_store)
        return render_template(template, view=view, figures=view.figures, say=wording, poll_s=_POLL_S)

    @pages.get("/")
    def index() -> str:
        return rendered("overview/index.html")

    @pages.get("/live")
    def live() -> str:
        return rendered("overview/live.html")

    return pages


def _view(figures: Figures, *, durable_required: bool) -> View:
    problems = problems_of(figures, durable_required=durable_required)
    minutes = figures.minutes
    if minutes is None:
        return View(figures, problems, (), None)
    tiles = [_tile(title, name, kind, about, minutes) for title, name, kind, about in _TILES]
    # In this minute nobody may have looked yet, or long ago.
    now = figures.waiting.subscriptions if figures.waiting else None
    waited = [*(minute.waiting for minute in minutes[:-1]), now]
    chart = bar_chart(_WAITING, "by minute", minutes[-1].number, waited, kind="waiting")
    return View(figures, problems, tiles, chart)


def _tile(title: str, name: str, kind: str, about: str, minutes: Sequence[Minute]) -> Tile:
    values = [minute.counts.get(name, 0) if minute.is_known else None for minute in minutes]
    chart = bar_chart(title, "per minute", minutes[-1].number, values, kind=kind)
    *_, last, now = (value or 0 for value in values)
    return Tile(title, kind, about, last, now, sum(value or 0 for value in values), chart)
