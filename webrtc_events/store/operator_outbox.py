"""What is reported to operators: the conditions that have begun, and an outbox of events.

It is none of those that subscriptions are in, so nothing that goes through these meets it: no list, quota,
erasure or key rotation, and no worker of a release that knows nothing of it. Its scripts are those of every
outbox.
"""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from webrtc_events.core.errors import DamagedRecord
from webrtc_events.core.model import Claim
from webrtc_events.core.one_line import one_line
from webrtc_events.store.attempt_records import read_attempts
from webrtc_events.store.claim_script import ClaimAnswer, ClaimRequest
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import OPERATOR, OPERATOR_CONDITIONS
from webrtc_events.store.outbox_entries import parse_entry
from webrtc_events.store.records import UnreadableEntry, read_claim, reason_of_damage
from webrtc_events.store.redis.scripts import Call, answers_of, store_errors
from webrtc_events.store.settlements import Settlement, SettleOutcome, settle_call

__all__ = ["KeptConditions", "OperatorOutbox", "OperatorOutboxStatus"]

log = logging.getLogger(__name__)

_ID: Final = "operator"
_DAY_MS: Final = 86_400_000
# After its deadline an entry is of no use, and a condition that nobody looks at any more is none.
_KEPT_MS: Final = _DAY_MS + 3_600_000
_EVENTS_AT_ONCE: Final = 16
_CLAIM_BYTES: Final = 262_144
_LATEST: Final = 5


@dataclass(frozen=True, slots=True)
class KeptConditions:
    """`state`: as it was written; empty for none. `now_ms` is the store's time."""

    now_ms: int
    version: int
    state: str


@dataclass(frozen=True, slots=True)
class OperatorOutboxStatus:
    """`waiting`: events; `oldest_ms`: when the first was written, if that can be read.

    `given_up`: dead letters that are kept. `attempts`: the latest few, oldest first.
    """

    waiting: int
    oldest_ms: int | None
    given_up: int
    attempts: Sequence[dict[str, Any]]
    now_ms: int


class OperatorOutbox:
    """`claim` and `settle` are for one thread. Any process may write."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._claimer = secrets.token_hex(8)
        self._number = 0

    def conditions(self) -> KeptConditions:
        """
        Raises:
            Unavailable: the store cannot be reached.
        """
        call = Call("operator_state", [OPERATOR_CONDITIONS], OPERATOR.tag, [_KEPT_MS])
        now_ms, version, state = self._connection.run(call)
        return KeptConditions(int(now_ms), int(version), state)

    def write(self, version: int, state: str, events: Sequence[str]) -> int | None:
        """The conditions, and the events that follow; None, and nothing, if their version is another by now.

        Returns how many older events it gave up, as the outbox had no room for more.

        Raises:
            Unavailable: the store cannot be reached; it may be written.
        """
        return self._write([version, state], events)

    def append(self, event: str) -> int:
        """One event, whatever the conditions are. Returns, and raises, as `write`."""
        return self._write(["", ""], [event]) or 0

    def _write(self, condition: Sequence[str | int], events: Sequence[str]) -> int | None:
        args = [*condition, _DAY_MS, _KEPT_MS, *events]
        call = Call("operator_events", [OPERATOR_CONDITIONS], OPERATOR.tag, args)
        written, damaged, given_up = self._connection.run(call)
        _log_damage(damaged)
        return len(given_up) if written else None

    def may_be_due(self) -> bool:
        """Whether anything waits, now or for a retry. It costs the store less than a claim in vain.

        Raises:
            Unavailable: the store cannot be reached.
        """
        with store_errors():
            return bool(self._connection.client.exists(OPERATOR.due))

    def claim(self) -> tuple[Claim | None, int]:
        """Leases the next few events; None: nothing is due now. Also how many the store gave up by itself.

        The claim's sink is none.

        Raises:
            Unavailable: the store cannot be reached. What was leased comes back when the lease is over.
        """
        self._number += 1
        request = ClaimRequest(
            max_subscriptions=1,
            max_events=_EVENTS_AT_ONCE,
            claimer=self._claimer,
            number=self._number,
            max_bytes=_CLAIM_BYTES,
            max_subscription_bytes=_CLAIM_BYTES,
        )
        # A claim whose answer did not come is over with its lease.
        answer = ClaimAnswer.parse(self._connection.run(request.call(OPERATOR, self._number, passed="")))
        if answer.damaged:
            _log_damage(answer.damaged)
            self._write(["", ""], [])
        for raw in answer.claims:
            match read_claim(answer.now_ms, raw):
                case Claim() as claim:
                    return claim, len(answer.given_up)
                case UnreadableEntry() as entry:
                    self._mend(entry)
                case DamagedRecord() as error:
                    _log_damage([(error.name, error.why)])
        return None, len(answer.given_up)

    def _mend(self, entry: UnreadableEntry) -> None:
        keys = [OPERATOR.subscription(_ID), OPERATOR.outbox(_ID), OPERATOR.due]
        damaged, _ = self._connection.run(
            Call("mend", keys, OPERATOR.tag, [_ID, entry.fence, entry.claimed_entries])
        )
        _log_damage(damaged)

    def settle(self, settlement: Settlement) -> SettleOutcome:
        """Writes what became of a claim, unless its lease went to another.

        Raises:
            Unavailable: the store cannot be reached; the events come again when the lease is over.
        """
        answer = self._connection.run(settle_call(OPERATOR, [settlement]))[0]
        why = reason_of_damage(answer)
        if why is not None:
            _log_damage([(_ID, why)])
            return SettleOutcome.DAMAGED
        return SettleOutcome(answer)

    def status(self) -> OperatorOutboxStatus:
        """
        Raises:
            Unavailable: the store cannot be reached.
            WrongType: a key is of another type.
        """
        with store_errors():
            pipe = self._connection.client.pipeline()
            pipe.llen(OPERATOR.outbox(_ID))
            pipe.lindex(OPERATOR.outbox(_ID), 0)
            pipe.xlen(OPERATOR.dead)
            pipe.xrevrange(OPERATOR.attempts, count=_LATEST)
            waiting, first, dead, entries = answers_of(pipe)
        attempts = [attempt for _, fields in reversed(entries) for attempt in read_attempts(fields)]
        oldest_ms = _accepted_ms(first) if first else None
        return OperatorOutboxStatus(waiting, oldest_ms, dead, attempts, self.conditions().now_ms)


def _accepted_ms(entry: str) -> int | None:
    try:
        return parse_entry(entry).accepted_ms
    except ValueError:
        # A worker takes it out when it claims it.
        return None


def _log_damage(damaged: Sequence[Sequence[str]]) -> None:
    """The next write, or claim, makes the record anew, so there is nothing for anybody to do."""
    for name, why in damaged:
        log.error("damaged record=%s of events for operators: %s. They go on", name, one_line(why))
