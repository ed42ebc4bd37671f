"""The sign of a mark: a shape for each, so that colour alone says nothing."""

from markupsafe import Markup

from webrtc_events.console.ladder.ladder import Mark

__all__ = ["LEGEND", "sign"]

# Within a square of 10 pixels around its middle; a class that is drawn, and one that is filled.
_TICK = Markup('<path class="l-sign" d="M-4 0l3 3.5l5 -7"/>')
_CROSS = Markup('<path class="l-sign" d="M-3.5 -3.5l7 7m0 -7l-7 7"/>')
_AGAIN = Markup('<path class="l-sign" d="M3.6 -2.4a4.3 4.3 0 1 0 .7 3.4M4.2 -4.8v2.8h-2.8"/>')
_STOP = Markup('<rect class="l-sign-full" x="-4" y="-4" width="8" height="8"/>')
_DOT = Markup('<circle class="l-sign-full" r="3"/>')
_TWICE = Markup('<path class="l-sign" d="M-4 -1.8h8m-8 3.6h8"/>')
_RING = Markup('<circle class="l-sign" r="3.5"/>')

_SIGNS = {
    Mark.ACCEPTED: _DOT,
    Mark.DUPLICATE: _TWICE,
    Mark.DELIVERED: _TICK,
    Mark.RETRY: _AGAIN,
    Mark.DROP: _CROSS,
    Mark.END: _STOP,
    Mark.AGREED: _TICK,
    Mark.REFUSED: _CROSS,
    Mark.UNKNOWN: _RING,
}


LEGEND = {
    Mark.ACCEPTED: "accepted",
    Mark.DELIVERED: "delivered",
    Mark.RETRY: "tried again",
    Mark.DROP: "given up",
    Mark.END: "ends the subscription",
    Mark.DUPLICATE: "duplicate",
}
"""What a reader should know of; the others speak for themselves."""


def sign(mark: Mark, x: float, y: float) -> Markup:
    return Markup('<g transform="translate({} {})">{}</g>').format(x, y, _SIGNS[mark])
