"""What a client's index knows of a subscription. Source: lua/shared/client_index.lua, lua/standing.lua."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from webrtc_events.core.model import Status
from webrtc_events.store.keys import client_key
from webrtc_events.store.redis.scripts import Call

__all__ = ["Standing", "standing_call", "standing_of"]

_OVER = (Status.EXPIRED, Status.INACTIVE, Status.DELETED)


class Standing(StrEnum):
    """Live ones count towards the client's quota, as those do that are being made, which have no standing."""

    LIVE = "live"
    ENDED = "ended"
    GONE = "gone"


def standing_of(status: Any) -> Standing:
    """By the status as it is kept. One that cannot be read counts until it is deleted."""
    return Standing.ENDED if status in _OVER else Standing.LIVE


def standing_call(client: str, standings: Mapping[str, Standing]) -> Call:
    """Writes the standing of each subscription into the client's index."""
    args: list[str | int] = [part for pair in standings.items() for part in pair]
    return Call("standing", [client_key(client)], "", args)
