"""The conditions that are reported to operators, as the store keeps them, and what workers see of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec

from webrtc_events.store.long_failures import LongFailure

__all__ = [
    "MAX_IDS",
    "Conditions",
    "DeadLetters",
    "Ended",
    "Kind",
    "Memory",
    "Observed",
    "Occurrence",
    "OpenCircuit",
    "SinkCondition",
]

MAX_IDS: Final = 20
"""Subscriptions that are named with a host."""


class Kind(StrEnum):
    """What an event says: the end of its type. Source: spec/operator-events.yaml."""

    CIRCUIT_OPENED = "sink-circuit-opened"
    FAILING = "sink-failing"
    RECOVERED = "sink-recovered"
    ENDED = "subscription-ended-for-failure"
    LIMITED = "sink-alerts-limited"
    RESUMED = "sink-alerts-resumed"
    DEAD_LETTERS_HIGH = "dead-letters-high"
    DEAD_LETTERS_NORMAL = "dead-letters-normal"
    ABOVE_WATERMARK = "store-above-watermark"
    BELOW_WATERMARK = "store-below-watermark"
    TEST = "test"


class SinkCondition(msgspec.Struct, omit_defaults=True):
    """Of one host. Moments are ms of the store's time, 0 for never.

    `since`: when it began; 0: nothing is wrong at the moment. `opened`, `failing_sent`: what was reported.
    `open_seen`: when a request to it last failed with its circuit open. `answered`: when it answered after.
    `failing`: the subscriptions that fail for long, with when that was last seen; `more`: there are others,
    last seen then. `recovered`: when it last did. `flaps`: how often it was back and away again of late.
    """

    since: int = 0
    opened: bool = False
    failing_sent: bool = False
    open_seen: int = 0
    answered: int = 0
    failing: dict[str, int] = {}
    more: int = 0
    recovered: int = 0
    flaps: int = 0


class Ended(msgspec.Struct, omit_defaults=True):
    """Subscriptions that ended at a host and are reported together, at `due`; `since`: of the first."""

    due: int
    since: int = 0
    count: int = 0
    ids: list[str] = []


class Conditions(msgspec.Struct, omit_defaults=True):
    """All that is kept. `sinks` and `ended` are by host; '' has what ended at hosts that are not reported.

    `tokens`: how many beginnings may be reported at once, as of `counted`. `limited`: since when some are not
    reported, `limited_seen`: when that was so last. `dead_letters`, `full`: since when that is wrong.
    """

    sinks: dict[str, SinkCondition] = {}
    ended: dict[str, Ended] = {}
    tokens: float = 0.0
    counted: int = 0
    limited: int = 0
    limited_seen: int = 0
    dead_letters: int = 0
    full: int = 0


@dataclass(frozen=True, slots=True)
class OpenCircuit:
    """Of a host, as one worker sees it: for how long, and how long ago a request to it last failed, ms."""

    since_ms: int
    failed_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """`now`: in this minute or the one before, whichever had more.

    `highest`: in the five minutes before and this one.
    """

    now: int
    highest: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the node that is nearest to its watermark."""

    node: str
    used: int
    watermark: int


@dataclass(frozen=True, slots=True)
class Observed:
    """What one worker sees. None: it did not look, or cannot see it.

    `open`: hosts whose circuit is open here. `answering`: hosts that have answered here since the last look.
    """

    open: Mapping[str, OpenCircuit] = field(default_factory=dict)
    answering: frozenset[str] = frozenset()
    failures: Sequence[LongFailure] = ()
    dead_letters: DeadLetters | None = None
    memory: Memory | None = None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What is to be reported. `data`: without who reports it."""

    kind: Kind
    subject: str
    data: Mapping[str, Any]
