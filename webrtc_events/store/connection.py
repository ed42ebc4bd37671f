"""An open store, as its parts share it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.damage_log import DamageLog
from webrtc_events.store.given_up import GivenUp
from webrtc_events.store.guard import Guard
from webrtc_events.store.keys import Partition, partition_of_subscription
from webrtc_events.store.long_failures import LongFailures
from webrtc_events.store.redis.scripts import Call, Client, Scripts
from webrtc_events.store.skipped_log import SkippedLog
from webrtc_events.store.unknown_channels_log import UnknownChannelsLog

__all__ = ["Connection", "reached"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Connection:
    """`guard` stands before everything new; `damage`, `skipped`, `unknown_channels` log what is passed over.

    `given_up`: what the store gives up by itself. `long_failures`: of sinks, for operators.
    """

    client: Client
    scripts: Scripts
    partition_count: int
    guard: Guard
    damage: DamageLog
    skipped: SkippedLog
    unknown_channels: UnknownChannelsLog
    given_up: GivenUp
    long_failures: LongFailures = field(default_factory=LongFailures)

    @classmethod
    def of(cls, client: Client, scripts: Scripts, partition_count: int, clock: Clock) -> Self:
        """As a process has it, which nobody tells anything yet."""
        return cls(
            client,
            scripts,
            partition_count,
            Guard(),
            DamageLog(clock),
            SkippedLog(),
            UnknownChannelsLog(clock),
            GivenUp(),
        )

    @property
    def partitions(self) -> list[Partition]:
        return [Partition(number) for number in range(self.partition_count)]

    def partition_of_known(self, subscription_id: str) -> Partition:
        """
        Raises:
            ValueError: no subscription can have that id.
        """
        partition = partition_of_subscription(subscription_id, self.partition_count)
        if partition is None:
            raise ValueError(f"{subscription_id!r} is no subscription id")
        return partition

    def run(self, call: Call) -> Any:
        """What one run of a script returned."""
        return self.scripts.run([call])[0]

    def report_damaged(self, damaged: Iterable[Sequence[str]]) -> None:
        """Logs records that a script passed over: name and reason of each."""
        for name, why in damaged:
            self.damage.report(name, why)


def reached(asked: Iterable[_T], answers: Sequence[Any]) -> list[tuple[_T, Any]]:
    """Those that were answered, with their answers.

    Raises:
        Unavailable: none was.
    """
    found = [pair for pair in zip(asked, answers, strict=True) if not isinstance(pair[1], Unavailable)]
    if answers and not found:
        raise answers[0]
    return found
