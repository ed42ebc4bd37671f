"""How the terminal shows a notification: one line."""

import click

from webrtc_events.core.plain_text import printable
from webrtc_events.local.sink.received import Received

__all__ = ["describe", "styled"]

_MAX_RESULT = 320


def describe(received: Received) -> str:
    """One aligned line: time, type, subscription, what happened, sequence number, result.

    It is safe on a terminal, whatever was sent: no control characters, and a maximum length for each part.
    """
    return "  ".join(
        [
            received.time[11:23],
            f"{printable(received.type, 36):<18}",
            f"{printable(received.data.get('subscriptionId', '-'), 36):<36}",
            f"{printable(received.state, 36):<20}",
            f"{printable(received.data.get('sequenceNumber', '-'), 12):>4}",
            printable(received.result, _MAX_RESULT),
        ]
    )


def styled(received: Received) -> str:
    """The same with a colour for what stands out, for `click.echo`, which knows where to leave it out."""
    ended = received.type == "subscription-ended"
    return click.style(describe(received), fg="red" if received.fault else "cyan" if ended else None)
