"""Elements of SVG as markup: what is not markup already is escaped, and has no character that XML has not."""

from markupsafe import Markup, escape

from webrtc_events.core.plain_text import printable

__all__ = ["element", "full_head", "line", "open_head", "text"]

_MAX_CHARACTERS = 10_000
_HEAD = 9.0
_HALF_HEAD = 4.5


def element(name: str, classes: str, *content: str | Markup, **attributes: str | float) -> Markup:
    """`name` with a class, attributes and content. An underscore in an attribute's name is a hyphen."""
    written = "".join(
        f' {attribute.replace("_", "-")}="{_escaped(value if isinstance(value, str) else f"{value:g}")}"'
        for attribute, value in attributes.items()
    )
    inside = "".join(_escaped(part) for part in content)
    # Every value is escaped, and no name comes from outside.
    return Markup(f'<{name} class="{escape(classes)}"{written}>{inside}</{name}>')  # noqa: S704


def _escaped(part: str | Markup) -> Markup:
    """Source: XML 1.0, section 2.2. What may be printed is less than what a text may have."""
    return part if isinstance(part, Markup) else escape(printable(part, _MAX_CHARACTERS))


def text(x: float, y: float, words: str | Markup, classes: str) -> Markup:
    return element("text", classes, words, x=x, y=y)


def line(start: float, end: float, y: float, classes: str) -> Markup:
    """To just within the arrow head at its end."""
    inside = 1 - _HEAD if end > start else _HEAD - 1
    return element("line", classes, x1=start, y1=y, x2=end + inside, y2=y)


def full_head(x: float, y: float) -> Markup:
    """Of a message that goes right. Source of the heads: UML 2.5.1, 17.4.4."""
    return element(
        "path", "l-full", d=f"M{x - _HEAD:g} {y - _HALF_HEAD:g}L{x:g} {y:g}L{x - _HEAD:g} {y + _HALF_HEAD:g}Z"
    )


def open_head(x: float, y: float) -> Markup:
    """Of an answer, which goes left."""
    return element(
        "path",
        "l-open",
        d=f"M{x + _HEAD:g} {y - _HALF_HEAD:g}L{x + 1:g} {y:g}L{x + _HEAD:g} {y + _HALF_HEAD:g}",
    )
