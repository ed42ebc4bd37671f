"""Records of Kamailio's queue into the journal: a transaction for each batch, with the place in the queue."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from webrtc_events.core.log_limit import LineLimit
from webrtc_events.gateways.call_signals import Mark
from webrtc_events.gateways.journal import Journal, Transaction
from webrtc_events.gateways.kamailio.calls import Call, Calls
from webrtc_events.gateways.kamailio.records import Bindings, Expired, Gone, Malformed, Message, parse_record
from webrtc_events.gateways.kamailio.registrations import Registrations, addresses, forget
from webrtc_events.gateways.network_requests import NetworkRequest
from webrtc_events.gateways.receiver_figures import ReceiverFigures

__all__ = ["Batch", "Intake", "Position"]

log = logging.getLogger(__name__)

_KIND: Final = "kamailio"
_KEY: Final = "position"
_FORGET_MS: Final = 3600 * 1000
_FORGET_ADDRESS_MS: Final = 24 * 3600 * 1000


class Position(msgspec.Struct, frozen=True):
    """The last record that is in the journal. `boot` names a run of Kamailio; its records begin at 1.

    `incomplete`: the journal is new, or Kamailio had no room for some; nobody asked yet what is registered.
    """

    boot: str = ""
    number: int = 0
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """What Kamailio sent at once: the records from `first` to `last` by their number, but for lost ones."""

    boot: str
    first: int
    last: int
    records: Sequence[tuple[int, bytes]]


class Intake:
    """`source` is that of the events."""

    def __init__(
        self, journal: Journal, calls: Calls, registrations: Registrations, source: str, lines: LineLimit
    ) -> None:
        self._journal = journal
        self._calls = calls
        self._registrations = registrations
        self._source = source
        self._lines = lines
        self.figures = ReceiverFigures()

    def position(self) -> Position:
        with self._journal.transaction() as transaction:
            return _position(transaction)

    def take(self, batch: Batch) -> int:
        """Durable when it returns. Returns how many records Kamailio had no room for.

        A batch that was taken before changes nothing.

        Raises:
            QueueFull, JournalUnwritable: nothing was taken.
        """
        malformed = 0
        with self._journal.transaction() as transaction:
            before = _position(transaction)
            done = before.number if before.boot == batch.boot else 0
            new = [(number, data) for number, data in batch.records if done < number <= batch.last]
            # A journal that is new begins with what it finds; else what is missing is lost.
            begin = done + 1 if before.boot else batch.first
            lost = max(0, batch.last - begin + 1 - len(new))
            for number, data in new:
                requests = self._requests(transaction, batch.boot, number, data)
                malformed += requests is None
                transaction.append(requests or [])
            if batch.last > done or before.boot != batch.boot:
                incomplete = before.incomplete or lost > 0 or not before.boot
                position = Position(batch.boot, max(batch.last, done), incomplete)
                transaction.put(_KIND, _KEY, msgspec.json.encode(position))
        self.figures.taken += len(new) - malformed
        self.figures.repeated += len(batch.records) - len(new)
        self.figures.damaged += malformed
        self.figures.lost += lost
        return lost

    def complete(self) -> None:
        """What is registered was asked for."""
        with self._journal.transaction() as transaction:
            position = _position(transaction)
            transaction.put(_KIND, _KEY, msgspec.json.encode(Position(position.boot, position.number)))

    def open_calls(self) -> list[Call]:
        with self._journal.transaction() as transaction:
            return self._calls.open_calls(transaction)

    def addresses(self) -> list[str]:
        with self._journal.transaction() as transaction:
            return addresses(transaction)

    def end_calls(self, reason: str) -> int:
        """All that are open: nobody knows what became of them. Returns how many.

        Raises:
            QueueFull, JournalUnwritable: none has ended.
        """
        with self._journal.transaction() as transaction:
            boot = _position(transaction).boot
            calls = self._calls.open_calls(transaction)
            for call in calls:
                name = hashlib.sha256(call.call_id.encode("utf-8", "replace")).hexdigest()[:32]
                mark = Mark(self._source, f"{boot}-lost-{name}-{call.session.sequence}", transaction.now_ms)
                transaction.append(self._calls.lost(transaction, call.call_id, reason, mark))
        return len(calls)

    def forget(self) -> None:
        """Calls that are over, and addresses that have long run out. To be called now and then."""
        with self._journal.transaction() as transaction:
            self._calls.forget(transaction, _FORGET_MS)
            forget(transaction, _FORGET_ADDRESS_MS)

    def _requests(
        self, transaction: Transaction, boot: str, number: int, data: bytes
    ) -> list[NetworkRequest] | None:
        """None: the record is not one."""
        record = parse_record(data)
        if isinstance(record, Malformed):
            if (left_out := self._lines.admit("malformed")) is not None:
                log.error(
                    "record %d is left out: %s (%d such lines left out)", number, record.reason, left_out
                )
            return None
        mark = Mark(self._source, f"{boot}-{number}", record.time_ms)
        match record:
            case Bindings():
                return self._registrations.bound(transaction, record, mark)
            case Expired():
                return self._registrations.expired(transaction, record, mark)
            case Gone():
                return self._calls.gone(transaction, record, mark)
            case Message():
                return self._calls.heard(transaction, record, mark)


def _position(transaction: Transaction) -> Position:
    found = transaction.get(_KIND, _KEY)
    return Position() if found is None else msgspec.json.decode(found, type=Position)
