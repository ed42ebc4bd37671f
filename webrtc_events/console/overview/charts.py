"""Bar charts of minutes as inline SVG, each with its text for who does not see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from webrtc_events.console.overview.wording import clock_time, count

__all__ = ["Chart", "bar_chart", "scale_of"]

# Of the picture; a page stretches it to the place that there is.
_STEP: Final = 10
_GAP: Final = 2
_HEIGHT: Final = 100
_LEAST: Final = 2
_MINUTE_MS: Final = 60_000
_ROUND: Final = (1, 2, 4, 5, 8, 10)


@dataclass(frozen=True, slots=True)
class Chart:
    """`svg`: the picture. `top`: what its upper edge stands for."""

    svg: Markup
    top: int


def scale_of(values: Sequence[int | None]) -> int:
    """A round number that none is above; 4 at least, so that one of something is no peak."""
    most = max(4, *(value or 0 for value in values))
    power: int = 10 ** (len(str(most)) - 1)
    return next(power * factor for factor in _ROUND if power * factor >= most)


def bar_chart(title: str, unit: str, last_minute: int, values: Sequence[int | None], *, kind: str) -> Chart:
    """A bar for each minute up to `last_minute`, which goes on and is drawn lighter; None: it is not known.

    `kind` is a class for the style sheet.
    """
    top = scale_of(values)
    *whole, going_on = [_bar(place, value, top) for place, value in enumerate(values)]
    width = _STEP * len(values)
    label = escape(_text(title, unit, last_minute, values))
    return Chart(
        Markup(  # noqa: S704 (numbers, and the label, which is escaped)
            f'<svg class="chart {escape(kind)}" viewBox="0 0 {width} {_HEIGHT}" preserveAspectRatio="none" '
            f'role="img" aria-label="{label}">'
            f'<path class="half" d="M0 {_HEIGHT // 2}H{width}"/>'
            f'<path class="bars" d="{"".join(whole)}"/><path class="bars now" d="{going_on}"/></svg>'
        ),
        top,
    )


def _bar(place: int, value: int | None, top: int) -> str:
    if not value:
        return ""
    height = max(_LEAST, round(value * _HEIGHT / top))
    return f"M{place * _STEP + _GAP // 2} {_HEIGHT}v-{height}h{_STEP - _GAP}v{height}z"


def _text(title: str, unit: str, last_minute: int, values: Sequence[int | None]) -> str:
    known = [value or 0 for value in values]
    most = max(known)
    text = f"{title}, {unit}, the last {len(values) - 1} minutes: {count(known[-2])} in the last whole minute"
    if not most:
        return f"{text}, none before."
    at_ms = (last_minute - len(values) + 1 + known.index(most)) * _MINUTE_MS
    return f"{text}, at most {count(most)}, at {clock_time(at_ms)} UTC."
