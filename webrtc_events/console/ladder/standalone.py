"""A ladder as an SVG file that needs nothing beside it."""

import re
from functools import cache
from importlib.resources import files

from markupsafe import Markup

from webrtc_events.console.ladder.drawing import body, heads, times, times_head
from webrtc_events.console.ladder.ladder import Ladder
from webrtc_events.console.ladder.layout import HEAD_HEIGHT, laid_out
from webrtc_events.console.ladder.sentences import description
from webrtc_events.console.ladder.svg_elements import element, text
from webrtc_events.console.ladder.text_width import fitted

__all__ = ["standalone_svg"]

_TITLE_HEIGHT = 44.0
_TITLE_PX = 16.0
_ROOT = re.compile(r":root\s*\{(.*?)\}", re.DOTALL)
_TOKEN = re.compile(r"(--[\w-]+)\s*:\s*([^;]+);")
_USE = re.compile(r"var\((--[\w-]+)\)")


def standalone_svg(ladder: Ladder, session: str) -> str:
    """Always in light colours, since it may be printed; `session` is its title."""
    layout = laid_out(ladder)
    height = _TITLE_HEIGHT + HEAD_HEIGHT + layout.height
    title = f"Call {session}"
    parts = [
        element("title", "l-tip", title, id="l-title"),
        element("desc", "l-tip", description(ladder), id="l-desc"),
        Markup("<style>{}</style>").format(Markup(_style())),  # noqa: S704 (files of the package)
        element("rect", "l-ground", width="100%", height="100%"),
        text(12, 28, fitted(title, layout.width - 24, _TITLE_PX), "l-caption"),
        element(
            "g", "l-heads", times_head(), heads(ladder, layout), transform=f"translate(0 {_TITLE_HEIGHT:g})"
        ),
        element(
            "g",
            "l-rows",
            times(ladder, layout),
            body(ladder, layout, lambda _: None),
            transform=f"translate(0 {_TITLE_HEIGHT + HEAD_HEIGHT:g})",
        ),
    ]
    picture = element(
        "svg",
        "ladder",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        width=layout.width,
        height=height,
        viewBox=f"0 0 {layout.width:g} {height:g}",
        role="img",
        aria_labelledby="l-title l-desc",
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{picture}\n'


@cache
def _style() -> str:
    """The drawing's style sheet with the console's light colours written in: few programs know variables."""
    static = files("webrtc_events") / "console" / "static"
    root = _ROOT.search((static / "look.css").read_text(encoding="utf-8"))
    colours = dict(_TOKEN.findall(root[1] if root else ""))
    style = (static / "calls" / "ladder-drawing.css").read_text(encoding="utf-8")
    return _USE.sub(lambda used: str(colours[used[1]]), style)
