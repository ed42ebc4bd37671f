"""Plots of what was measured, as SVG: bars, drawn without a library."""

import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from harness.report import median

__all__ = ["bars", "draw_all"]

_WIDTH = 760
_LABEL = 300
_BAR = 22
_GAP = 10
_TOP = 56
_COLOURS = {True: "#1f6f8b", False: "#b0b7bd"}
_OWN = "webrtc-events"
_STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#222}.title{font-size:15px;font-weight:600}"
    ".note{font-size:11px;fill:#555}</style>"
)


def bars(title: str, note: str, values: Sequence[tuple[str, float]]) -> str:
    """One bar for each label, the service's in colour. `note` says when and where it was measured."""
    height = _TOP + len(values) * (_BAR + _GAP) + _GAP
    scale = (_WIDTH - _LABEL - 90) / max(value for _, value in values)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>{_STYLE}",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="12" y="24">{escape(title)}</text>',
        f'<text class="note" x="12" y="42">{escape(note)}</text>',
    ]
    for place, (label, value) in enumerate(values):
        y = _TOP + place * (_BAR + _GAP)
        width, middle = max(1.0, value * scale), y + _BAR * 0.7
        colour = _COLOURS[_OWN in label]
        parts += [
            f'<text x="{_LABEL - 8}" y="{middle:.0f}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{colour}"/>',
            f'<text x="{_LABEL + width + 6:.1f}" y="{middle:.0f}">{_number(value)}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def draw_all(figures: Path, folder: Path) -> list[Path]:
    """From the JSON files in `figures`; what was not measured is not drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, (source, title, values) in _PLOTS.items():
        path = figures / f"{source}.json"
        if path.exists():
            found = json.loads(path.read_text())
            plot = folder / f"bench-{name}.svg"
            plot.write_text(bars(title, _note(found), values(found)))
            drawn.append(plot)
    return drawn


def _note(found: Mapping[str, Any]) -> str:
    machine = found["machine"]
    return (
        f"{machine['time'][:10]}, {machine['processor']}, {machine['cores']} cores, medians; "
        f"load {machine['load_1_min']} at the start, {found['load_at_end']} at the end"
    )


def _medians(rounds: Mapping[str, Sequence[Mapping[str, float]]], figure: str) -> list[tuple[str, float]]:
    return [(name, median(one[figure] for one in taken)) for name, taken in rounds.items()]


def _drain(figure: str) -> Callable[[Mapping[str, Any]], list[tuple[str, float]]]:
    return lambda found: sorted(_medians(found["rounds"], figure), key=lambda pair: -pair[1])


def _acceptance(found: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [
        (f"{scenario}: {server}", value)
        for scenario, servers in found["rounds"].items()
        for server, value in _medians(servers, "items_per_s")
    ]


def _latency(found: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [
        (f"{rate}/s: {name}", value)
        for rate, contenders in found["rates"].items()
        for name, value in _medians(contenders, "p50")
    ]


_PLOTS: dict[str, tuple[str, str, Callable[[Mapping[str, Any]], list[tuple[str, float]]]]] = {
    "drain": ("drain", "Drain of filled queues, deliveries/s", _drain("per_s")),
    "drain-cpu": ("drain", "Worker CPU, s for 1,000 deliveries", _drain("worker_cpu")),
    "api": ("api", "One API process, items/s", _acceptance),
    "latency": ("latency", "From publish, or enqueue, to receipt: p50, ms", _latency),
}
