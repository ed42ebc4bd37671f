"""Claims: leases on the heads of outboxes, and what became of them."""

import itertools
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from webrtc_events.core.errors import DamagedRecord, Unavailable
from webrtc_events.core.model import Claim
from webrtc_events.core.settings import Settings
from webrtc_events.store.claim_script import ClaimAnswer, ClaimRequest
from webrtc_events.store.connection import Connection, reached
from webrtc_events.store.initial_events import InitialEvents
from webrtc_events.store.keys import Partition
from webrtc_events.store.records import UnreadableEntry, read_claim, reason_of_damage
from webrtc_events.store.redis.presence import which_exist
from webrtc_events.store.redis.scripts import Call, answers_of, store_errors
from webrtc_events.store.redis.wakeups import Wakeups
from webrtc_events.store.script_steps import Rest, ScriptStep
from webrtc_events.store.settlements import Settlement, SettleOutcome, may_be_long, settle_call

__all__ = ["ClaimLimits", "ClaimRound", "Claims"]


# Claims of a partition in one run of the script: a run holds up the store's other clients for a ms or two.
# One that may empty an outbox into dead letters has a run to itself.
_SETTLED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class ClaimLimits:
    """Bytes of events that one claim of a partition may take, and those of one subscription."""

    partition_bytes: int
    subscription_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> "ClaimLimits":
        return cls(settings.claim_bytes, settings.event_bytes)


@dataclass(frozen=True, slots=True)
class ClaimRound:
    """What some partitions gave.

    `due_in_ms`: by number, of those where more is due within a moment; 0: more may be due now.
    """

    claims: Sequence[Claim]
    due_in_ms: Mapping[int, int]


class Claims:
    """For one thread at a time."""

    def __init__(self, connection: Connection, limits: ClaimLimits, initial_events: InitialEvents) -> None:
        self._connection = connection
        self._limits = limits
        self._initial_events = initial_events
        # Who claims, how often, and the first claim of a partition whose answer did not come.
        self._claimer = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._unanswered: dict[int, int] = {}
        # Where the next claim of a partition begins, see claim.lua.
        self._passed: dict[int, str] = {}

    def claim(
        self, partitions: Sequence[Partition], *, subscriptions: int, events: int, size: int | None = None
    ) -> list[Claim]:
        """As `claim_round`: what was leased."""
        round_ = self.claim_round(partitions, subscriptions=subscriptions, events=events, size=size)
        return list(round_.claims)

    def claim_round(
        self, partitions: Sequence[Partition], *, subscriptions: int, events: int, size: int | None = None
    ) -> ClaimRound:
        """Leases up to `subscriptions` due ones of each partition, with up to `events` events each.

        Those of a partition have up to `size` bytes, or `claim_bytes`, those of a subscription `event_bytes`;
        a larger event is leased alone.

        What a partition gave and this store did not hear of, the next claim from it gives again.

        Raises:
            Unavailable: none of the partitions can be reached.
        """
        return self.claiming(partitions, subscriptions=subscriptions, events=events, size=size).run()

    def claiming(
        self, partitions: Sequence[Partition], *, subscriptions: int, events: int, size: int | None = None
    ) -> ScriptStep[ClaimRound]:
        """The same as a step; until it is taken, no other is begun."""
        request = ClaimRequest(
            max_subscriptions=subscriptions,
            max_events=events,
            claimer=self._claimer,
            number=next(self._numbers),
            max_bytes=self._limits.partition_bytes if size is None else size,
            max_subscription_bytes=self._limits.subscription_bytes,
        )
        calls = [
            request.call(
                partition,
                self._unanswered.get(partition.number, request.number),
                self._passed.get(partition.number, ""),
            )
            for partition in partitions
        ]
        take = partial(self._claimed, partitions, request.number)
        return ScriptStep(self._connection.scripts, calls, take, repeats=False)

    def _claimed(
        self, partitions: Sequence[Partition], number: int, answers: list[Any]
    ) -> tuple[ClaimRound, Rest | None]:
        for partition, answer in zip(partitions, answers, strict=True):
            if isinstance(answer, Unavailable):
                self._unanswered.setdefault(partition.number, number)
                # Its successor may lack what was claimed last, which is due as before then.
                self._passed.pop(partition.number, None)
            else:
                self._unanswered.pop(partition.number, None)
        found: list[Claim] = []
        due_in_ms: dict[int, int] = {}
        unreadable: list[UnreadableEntry] = []
        for partition, raw_answer in reached(partitions, answers):
            answer = ClaimAnswer.parse(raw_answer)
            self._passed[partition.number] = answer.passed
            if answer.due_in_ms >= 0:
                due_in_ms[partition.number] = answer.due_in_ms
            self._connection.report_damaged(answer.damaged)
            for raw in answer.claims:
                match read_claim(answer.now_ms, raw):
                    case Claim() as claim:
                        found.append(claim)
                    case UnreadableEntry() as entry:
                        unreadable.append(entry)
                    case DamagedRecord() as error:
                        # Its lease keeps it from coming back at once.
                        self._connection.damage.report(error.name, error.why)
            self._connection.skipped.report(answer.skipped)
            self._connection.unknown_channels.report(answer.unknown_channels)
            self._connection.given_up.report(answer.given_up)
        return ClaimRound(found, due_in_ms), partial(self._mend, unreadable) if unreadable else None

    def look(self, partitions: Sequence[Partition]) -> list[int]:
        """The numbers of those that may have something due; to claim in vain costs the store more.

        Raises:
            Unavailable: none of the partitions can be reached.
        """
        if not partitions:
            return []
        with store_errors():
            answers, _ = which_exist(self._connection.client, [[partition.due] for partition in partitions])
            if all(isinstance(answer, Exception) for answer in answers):
                raise answers[0]
        # If one cannot be looked at, a claim says why.
        looked_at = zip(partitions, answers, strict=True)
        return [partition.number for partition, answer in looked_at if answer is not False]

    def _mend(self, unreadable: Sequence[UnreadableEntry]) -> None:
        """Takes entries that cannot be read out of their outboxes."""
        calls = [
            _mend_call(self._connection.partition_of_known(entry.subscription_id), entry)
            for entry in unreadable
        ]
        for answer in self._connection.scripts.run_some(calls):
            if not isinstance(answer, Unavailable):
                damaged, given_up = answer
                self._connection.report_damaged(damaged)
                self._connection.given_up.report(given_up)

    def settle(self, settlements: Sequence[Settlement]) -> list[SettleOutcome]:
        """Writes what became of claims, each unless its lease went to another.

        Raises:
            Unavailable: none of the partitions can be reached.
        """
        return self.settling(settlements).run()

    def settling(self, settlements: Sequence[Settlement]) -> ScriptStep[list[SettleOutcome]]:
        """The same as a step."""
        runs = self._settle_runs(settlements)
        calls = [settle_call(partition, [settlements[index] for index in run]) for partition, run in runs]
        return ScriptStep(self._connection.scripts, calls, partial(self._settled, settlements, runs))

    def _settled(
        self,
        settlements: Sequence[Settlement],
        runs: Sequence[tuple[Partition, list[int]]],
        answers: list[Any],
    ) -> tuple[list[SettleOutcome], Rest | None]:
        found: dict[int, str] = {}
        for (_, run), answered in reached(runs, answers):
            found.update(zip(run, answered, strict=False))
            if given_up := answered[len(run) : len(run) + 1]:
                self._connection.given_up.report(given_up[0])
            if sinks := answered[len(run) + 1 :]:
                self._connection.long_failures.report(sinks[0])
        outcomes = []
        active = []
        for index, settlement in enumerate(settlements):
            subscription_id = settlement.claim.subscription_id
            outcomes.append(self._outcome(subscription_id, found.get(index)))
            if outcomes[-1] is SettleOutcome.ACTIVE:
                active.append(subscription_id)
        return outcomes, partial(self._initial_events.catch_up, active) if active else None

    def _settle_runs(self, settlements: Sequence[Settlement]) -> list[tuple[Partition, list[int]]]:
        """Which of them go into one run of the script: those of one partition, a bounded number of them."""
        runs: dict[tuple[int, int], list[int]] = {}
        met: Counter[int] = Counter()
        for index, settlement in enumerate(settlements):
            number = self._connection.partition_of_known(settlement.claim.subscription_id).number
            if may_be_long(settlement):
                runs[number, -1 - index] = [index]
            else:
                runs.setdefault((number, met[number] // _SETTLED_AT_ONCE), []).append(index)
                met[number] += 1
        return [(Partition(number), run) for (number, _), run in runs.items()]

    def _outcome(self, subscription_id: str, answer: str | None) -> SettleOutcome:
        if answer is None:
            return SettleOutcome.UNANSWERED
        why = reason_of_damage(answer)
        if why is not None:
            self._connection.damage.report(subscription_id, why)
            return SettleOutcome.DAMAGED
        return SettleOutcome(answer)

    def wake(self, partitions: Iterable[Partition]) -> list[int]:
        """Tells all workers that something is due in each of these; returns how many heard of each.

        Raises:
            Unavailable: the store cannot be reached.
        """
        with store_errors():
            pipe = self._connection.client.pipeline()
            for partition in partitions:
                pipe.spublish(partition.wakeup, "1")
            return answers_of(pipe)

    def wakeups(self) -> Wakeups:
        """A listener for partitions in which something became due."""
        return Wakeups(self._connection.client.nodes, self._connection.partition_count)


def _mend_call(partition: Partition, entry: UnreadableEntry) -> Call:
    """Source: lua/mend.lua."""
    subscription_id = entry.subscription_id
    keys = [partition.subscription(subscription_id), partition.outbox(subscription_id), partition.due]
    return Call("mend", keys, partition.tag, [subscription_id, entry.fence, entry.claimed_entries])
