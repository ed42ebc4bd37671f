"""The sections that the console has everywhere, in the order of its navigation."""

from collections.abc import Sequence

from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.console.section import Section
from webrtc_events.console.subscriptions import pages as subscriptions

__all__ = ["sections"]


def sections(parts: ConsoleParts) -> Sequence[Section]:
    """`local` puts its own behind them."""
    return [Section("Subscriptions", "subscriptions.index", subscriptions.blueprint(parts))]
