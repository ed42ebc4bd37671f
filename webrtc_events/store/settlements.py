"""What became of a claim, as it is written back to the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from webrtc_events.core.ascii_json import ascii_json
from webrtc_events.core.model import Claim
from webrtc_events.core.outcomes import Agreed, End, Refused, ScheduledRetry, SinkResult
from webrtc_events.store.attempt_records import count_attempts
from webrtc_events.store.keys import Partition
from webrtc_events.store.outbox_entries import registrations_in
from webrtc_events.store.redis.scripts import Call

__all__ = ["ChannelEvent", "DroppedEvent", "SettleOutcome", "Settlement", "may_be_long", "settle_call"]


class SettleOutcome(StrEnum):
    """What a settle left behind. Source: lua/settle.lua, but for UNANSWERED.

    LOST: the lease went to another, and nothing was written. IDLE: nothing more to send. DUE: more to send,
    now or later. ENDED: the subscription is over. ACTIVE: its sink has agreed. DAMAGED: it cannot be read,
    and is deferred. UNANSWERED: its partition cannot be reached, and it is to be settled again. Of one whose
    sink is a channel: FULL, nothing was written, as the store is above its watermark, and it is due again in
    a second; GONE, nothing was written, as there is no such channel, and the subscription is over.
    """

    LOST = "lost"
    IDLE = "idle"
    DUE = "due"
    ENDED = "ended"
    ACTIVE = "active"
    DAMAGED = "damaged"
    UNANSWERED = "unanswered"
    FULL = "full"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class DroppedEvent:
    """An event given up: its outbox number and why."""

    number: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ChannelEvent:
    """An event for the log of a channel: its outbox number, its CloudEvents type, the CloudEvent as JSON."""

    number: int
    type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a claim.

    `through` is the outbox number up to which all are done with. `follow_up` None means: go on with what is
    left. `Agreed` and `Refused` answer a handshake. `channel` is the one that is the sink, if one is, and
    `events` are written into its log by this very settle.
    """

    claim: Claim
    through: int
    dead: tuple[DroppedEvent, ...] = ()
    attempts: tuple[dict[str, Any], ...] = ()
    follow_up: ScheduledRetry | End | Agreed | Refused | None = None
    sink: SinkResult = SinkResult.NOT_ASKED
    channel: str = ""
    events: tuple[ChannelEvent, ...] = ()


def may_be_long(settlement: Settlement) -> bool:
    """Whether more than was claimed may leave the outbox, as dead letters: the subscription may end."""
    return isinstance(settlement.follow_up, End | Refused) or settlement.sink is SinkResult.FAILED


def settle_call(partition: Partition, settlements: Sequence[Settlement]) -> Call:
    """Of claims of one partition. Source: lua/settle.lua."""
    keys = [partition.due]
    args: list[str | int | bytes] = []
    for settlement in settlements:
        subscription_id = settlement.claim.subscription_id
        keys += [partition.subscription(subscription_id), partition.outbox(subscription_id)]
        of_one = _arguments(settlement)
        args.append(len(of_one))
        args += of_one
    return Call("settle", keys, partition.tag, args)


def _arguments(settlement: Settlement) -> list[str | int | bytes]:
    return [
        settlement.claim.subscription_id,
        settlement.claim.fence,
        settlement.through,
        *_verdict(settlement),
        settlement.sink,
        *_done(settlement),
        settlement.channel,
        len(settlement.events),
        *(part for event in settlement.events for part in (event.number, event.type, event.body)),
        *(_registrations(settlement) if settlement.channel else ()),
        len(settlement.dead),
        *(part for event in settlement.dead for part in (event.number, event.reason, event.detail)),
        *(
            part
            for attempt in settlement.attempts
            for part in (count_attempts(attempt), msgspec.json.encode(attempt))
        ),
    ]


def _registrations(settlement: Settlement) -> list[str]:
    """That each event for a channel concerns; '' where its subscription says which."""
    if not settlement.claim.device:
        return [""] * len(settlement.events)
    payloads = {item.number: item.payload for item in settlement.claim.items}
    return [ascii_json(registrations_in(payloads.get(event.number, ""))) for event in settlement.events]


def _done(settlement: Settlement) -> tuple[int, int]:
    """How many of the claimed events all are done with, and how many bytes their entries have."""
    items = settlement.claim.items
    if settlement.through < items[-1].number:
        items = tuple([item for item in items if item.number <= settlement.through])
    return len(items), sum([item.size for item in items])


def _verdict(settlement: Settlement) -> tuple[str | int, str | int, int, int]:
    """What is next, and three values that belong to it."""
    match settlement.follow_up:
        case ScheduledRetry(delay_ms, attempts, number):
            return "retry", delay_ms, attempts, number
        case End(reason, notify):
            return "end", reason, int(notify), 0
        case Agreed(rate):
            return "agree", "" if rate is None else rate, 0, 0
        case Refused():
            return "refuse", 0, 0, 0
    return "next", 0, 0, 0
