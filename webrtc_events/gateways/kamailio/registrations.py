"""What Kamailio's registrar knows, as registrations of the service and their ends."""

import logging

import msgspec

from webrtc_events.core.log_limit import LineLimit
from webrtc_events.core.log_masking import PersonalData
from webrtc_events.gateways.call_signals import Mark
from webrtc_events.gateways.journal import Transaction
from webrtc_events.gateways.kamailio.records import Bindings, Contact, Expired
from webrtc_events.gateways.network_requests import NetworkRequest, PublishEvent
from webrtc_events.gateways.ownership import Endpoint, Owned, Ownership
from webrtc_events.gateways.registration_events import RegistrationEnd, registration_ends

__all__ = ["Registrations", "addresses", "forget", "owned_by"]

log = logging.getLogger(__name__)

_KIND = "aor"


class _Binding(msgspec.Struct, frozen=True):
    """As the journal keeps it."""

    registration_id: str
    expires_ms: int


_Bindings = dict[str, _Binding]


def owned_by(ownership: Ownership, uri: str, contact: Contact) -> Owned | None:
    """Whose registration a contact of an address is; None: nobody's."""
    return ownership.of(Endpoint(identity=uri, instance=contact.instance))


class Registrations:
    """`grace_ms`: how much longer than the registrar the service waits for a renewal.

    The registrar says when a registration ends. The service's own end is for the time in which Kamailio or
    the adapter is away, and must not come before a renewal that waits in a queue.
    """

    def __init__(self, ownership: Ownership, grace_ms: int, lines: LineLimit) -> None:
        self._ownership = ownership
        self._grace_ms = grace_ms
        self._lines = lines

    def bound(self, transaction: Transaction, record: Bindings, mark: Mark) -> list[NetworkRequest]:
        """What follows from all that is registered for an address now."""
        key = _key(record.uri)
        # A Kamailio that was asked may have restarted since: its silence ends nothing.
        known = _read(transaction, key)
        before = {} if record.asked else known
        now: _Bindings = {}
        owners: dict[str, Owned] = {}
        for contact in record.contacts:
            if 0 < contact.expires_ms <= record.time_ms:
                # It has run out, and Kamailio has not removed it yet.
                continue
            if (owned := owned_by(self._ownership, record.uri, contact)) is not None:
                now[contact.address] = _Binding(owned.registration_id, contact.expires_ms)
                owners[owned.registration_id] = owned
        if record.asked and now == known:
            # It was put when it was heard. Ten thousand are asked for after a loss.
            return []
        if record.contacts and not owners and (left_out := self._lines.admit("nobody")) is not None:
            log.warning(
                "%s belongs to nobody: no rule of --registrations fits, and it is not published (+%d)",
                PersonalData(record.uri),
                left_out,
            )
        if now or not record.asked:
            _write(transaction, key, now)
        requests: list[NetworkRequest] = []
        for registration_id, owned in owners.items():
            expires_ms = _end_ms(now, registration_id)
            requests.append(owned.put(expires_ms + self._grace_ms if expires_ms else None))
        for registration_id in dict.fromkeys(binding.registration_id for binding in before.values()):
            if registration_id not in owners:
                expired = 0 < _end_ms(before, registration_id) <= record.time_ms
                requests.append(_ended(registration_id, mark, expired=expired))
        return requests

    def expired(self, transaction: Transaction, record: Expired, mark: Mark) -> list[NetworkRequest]:
        """What follows from a binding that was not renewed."""
        key = _key(record.aor)
        bindings = _read(transaction, key)
        ended = bindings.get(record.contact.address)
        if ended is None or ended.expires_ms > record.time_ms:
            return []
        del bindings[record.contact.address]
        _write(transaction, key, bindings)
        if any(binding.registration_id == ended.registration_id for binding in bindings.values()):
            # Another contact of the same registration is still there.
            return []
        at_ms = min(ended.expires_ms or record.time_ms, record.time_ms)
        at_its_end = Mark(mark.source, mark.event_id, at_ms)
        return [_ended(ended.registration_id, at_its_end, expired=True)]


def _ended(registration_id: str, mark: Mark, *, expired: bool) -> PublishEvent:
    if expired:
        reason, words = RegistrationEnd.REGISTRATION_EXPIRED, "The registration was not renewed in time"
    else:
        reason, words = RegistrationEnd.NETWORK_TERMINATED, "The endpoint has unregistered"
    return PublishEvent(registration_ends(registration_id, reason, words, mark))


def _end_ms(bindings: _Bindings, registration_id: str) -> int:
    """The last of its contacts'. 0: nothing sets it."""
    ends = [found.expires_ms for found in bindings.values() if found.registration_id == registration_id]
    return 0 if 0 in ends else max(ends, default=0)


def _key(uri: str) -> str:
    """user@host of a URI, or of what usrloc calls an address."""
    head, _, rest = uri.partition(":")
    address = rest if head.lower() in ("sip", "sips") else uri
    user, at, host = address.partition(";")[0].rpartition("@")
    return f"{user}{at}{host.partition(':')[0].lower()}"


def _read(transaction: Transaction, key: str) -> _Bindings:
    found = transaction.get(_KIND, key)
    return {} if found is None else msgspec.json.decode(found, type=_Bindings)


def _write(transaction: Transaction, key: str, bindings: _Bindings) -> None:
    if bindings:
        transaction.put(_KIND, key, msgspec.json.encode(bindings))
    else:
        transaction.remove(_KIND, key)


def forget(transaction: Transaction, after_ms: int) -> None:
    """Addresses whose bindings ran out so long ago, of which Kamailio has not said so: it was killed, say."""
    for key, value in transaction.untouched(_KIND, after_ms):
        bindings = msgspec.json.decode(value, type=_Bindings)
        ends_ms = [binding.expires_ms for binding in bindings.values()]
        if 0 in ends_ms or max(ends_ms, default=0) > transaction.now_ms - after_ms:
            # It is looked at again after as long.
            transaction.put(_KIND, key, value)
        else:
            transaction.remove(_KIND, key)


def addresses(transaction: Transaction) -> list[str]:
    """All that something is registered for, as far as is known: user@host."""
    return [key for key, _ in transaction.items(_KIND)]
