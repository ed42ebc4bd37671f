"""Between Python and claim.lua: what it is given for a partition, and what it returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from webrtc_events.store.keys import Partition
from webrtc_events.store.redis.scripts import Call

__all__ = ["ClaimAnswer", "ClaimRequest"]


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """The same for each partition, but for `first_unanswered` and `passed`.

    `number` counts the claims of one claimer. `first_unanswered` is the number of the first claim of that
    partition whose answer did not arrive. `passed`: see `ClaimAnswer`.
    """

    max_subscriptions: int
    max_events: int
    claimer: str
    number: int
    max_bytes: int
    max_subscription_bytes: int

    def call(self, partition: Partition, first_unanswered: int, passed: str) -> Call:
        args: list[str | int] = [
            self.max_subscriptions,
            self.max_events,
            self.claimer,
            self.number,
            first_unanswered,
            self.max_bytes,
            self.max_subscription_bytes,
            passed,
        ]
        return Call("claim", [partition.due], partition.tag, args)


@dataclass(frozen=True, slots=True)
class ClaimAnswer:
    """What claim.lua returned. `skipped` were written by a newer release.

    `given_up`: by the store. `unknown_channels`: how many were left to workers that know their channels.
    `passed`: where the next claim of this worker begins, behind those that it skipped.
    """

    now_ms: int
    skipped: int
    damaged: Sequence[Sequence[str]]
    due_in_ms: int
    given_up: Sequence[Sequence[str]]
    unknown_channels: int
    passed: str
    claims: Sequence[Sequence[Any]]

    @classmethod
    def parse(cls, raw: Sequence[Any]) -> "ClaimAnswer":
        now_ms, skipped, damaged, due_in_ms, given_up, unknown_channels, passed, *claims = raw
        return cls(int(now_ms), skipped, damaged, due_in_ms, given_up, unknown_channels, passed, claims)
