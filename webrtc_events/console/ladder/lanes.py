"""Who takes part in a call: a lane for each gateway, the service, and each subscription."""

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from webrtc_events.console.ladder.entries import Accepted, Attempt, Item
from webrtc_events.console.ladder.ladder import Lane, LaneKind
from webrtc_events.console.ladder.wording import count

__all__ = ["MAX_GATEWAYS", "MAX_SINKS", "Lanes"]

MAX_GATEWAYS = 4
MAX_SINKS = 50

_Name = TypeVar("_Name", bound=Hashable)
_CHANNEL = "notification channel"
_SERVICE = Lane(LaneKind.SERVICE, "webrtc-events", ("the service",), "webrtc-events")


class Lanes:
    """Finds the lane of an entry. Lanes stand in the order in which they first appear."""

    def __init__(self, items: Iterable[Item]) -> None:
        gateways: dict[str, None] = {}
        sinks: dict[tuple[str, str], dict[str, None]] = {}
        for item in items:
            match item.entry:
                case Accepted(source=source):
                    gateways.setdefault(source)
                case Attempt() as attempt:
                    types = sinks.setdefault(_sink(attempt), {})
                    if not attempt.last and attempt.type:
                        types.setdefault(attempt.type)
        self._gateways = _places(list(gateways) or [""], MAX_GATEWAYS)
        self.service = max(self._gateways.values()) + 1
        places = _places(list(sinks), MAX_SINKS)
        self._sinks = {name: place + self.service + 1 for name, place in places.items()}
        self.all = [
            *_lanes([_gateway(source) for source in self._gateways], MAX_GATEWAYS, "gateway"),
            _SERVICE,
            *_lanes(
                [_sink_lane(*name, list(sinks[name])) for name in self._sinks], MAX_SINKS, "subscription"
            ),
        ]

    def of_gateway(self, entry: Accepted) -> int:
        return self._gateways[entry.source]

    def of_sink(self, entry: Attempt) -> int:
        return self._sinks[_sink(entry)]


def _sink(attempt: Attempt) -> tuple[str, str]:
    return _CHANNEL if attempt.channel else attempt.host, attempt.subscription


def _places(names: list[_Name], most: int) -> dict[_Name, int]:
    """The first have a place each; those that are too many share the last one."""
    alone = most if len(names) <= most else most - 1
    return {name: min(place, alone) for place, name in enumerate(names)}


def _lanes(found: list[Lane], most: int, what: str) -> list[Lane]:
    if len(found) <= most:
        return found
    rest = count(len(found) - most + 1, f"more {what}")
    return [*found[: most - 1], Lane(LaneKind.OTHERS, rest, ("in one lane",), rest)]


def _gateway(source: str) -> Lane:
    return Lane(LaneKind.GATEWAY, "Gateway", (source,) if source else (), source or "the gateway")


def _sink_lane(host: str, subscription: str, types: Sequence[str]) -> Lane:
    """`types` came by the subscription in this call: one to a device may have several."""
    title = host.partition("://")[2] or host or "unknown sink"
    named = types if len(types) < 2 else [name.removeprefix("session-") for name in types]
    lines = tuple(line for line in (" + ".join(named), subscription) if line)
    return Lane(
        LaneKind.SINK, title, lines, f"{title} (subscription {subscription})" if subscription else title
    )
