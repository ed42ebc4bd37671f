"""Calls through Kamailio: which legs a SIP message is of, and what it means for each."""

import logging
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from webrtc_events.core.log_masking import PersonalData
from webrtc_events.gateways.call_signals import (
    Acknowledged,
    Answered,
    Cancelled,
    Failed,
    HungUp,
    Invited,
    LegFacts,
    Lost,
    Mark,
    Provisional,
    Reanswered,
    Reoffered,
    Rerefused,
    Side,
    Signal,
)
from webrtc_events.gateways.journal import Transaction
from webrtc_events.gateways.kamailio.records import Contact, Gone, Message
from webrtc_events.gateways.kamailio.registrations import owned_by
from webrtc_events.gateways.media_session import MediaSession, advance, media_session_id
from webrtc_events.gateways.network_requests import NetworkRequest, PublishEvent
from webrtc_events.gateways.ownership import Ownership
from webrtc_events.gateways.sip_addresses import Party, party_of
from webrtc_events.gateways.sip_status import TRIED_AGAIN

__all__ = ["Call", "Calls"]

log = logging.getLogger(__name__)

# Apart, so that what is asked each minute does not grow with the calls of the last hour.
_OPEN: Final = "call"
_ENDED: Final = "ended-call"
_FORGOTTEN_AT_ONCE: Final = 1000
_CALLER: Final = "caller"
_ELSEWHERE: Final = "Answered elsewhere"


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As the journal keeps it. `invite` is the INVITE's CSeq; `legs`: which leg a ruid's contact rings."""

    call_id: str
    caller_tag: str
    callee_tag: str = ""
    invite: int
    session: MediaSession
    legs: Mapping[str, str] = {}

    @property
    def is_over(self) -> bool:
        return self.session.is_over


class Calls:
    """`domain` stands for hosts that the contract does not take."""

    def __init__(self, ownership: Ownership, domain: str) -> None:
        self._ownership = ownership
        self._domain = domain

    def heard(self, transaction: Transaction, message: Message, mark: Mark) -> list[NetworkRequest]:
        """What a SIP message makes of its call."""
        call = _read(transaction, message.call_id)
        if message.kind == "invite":
            return self._invited(transaction, call, message, mark)
        if call is None or call.is_over:
            return []
        if message.kind == "reply" and message.to_tag and 200 <= message.code < 300 and not call.callee_tag:
            call = msgspec.structs.replace(call, callee_tag=message.to_tag)
        return _advanced(transaction, call, _signals(call, message), mark)

    def gone(self, transaction: Transaction, record: Gone, mark: Mark) -> list[NetworkRequest]:
        return self.lost(transaction, record.call_id, "Kamailio no longer knows the call", mark)

    def lost(self, transaction: Transaction, call_id: str, reason: str, mark: Mark) -> list[NetworkRequest]:
        """Ends a call without having seen its end."""
        call = _read(transaction, call_id)
        if call is None or call.is_over:
            return []
        return _advanced(transaction, call, [(name, Lost(reason)) for name in call.session.legs], mark)

    def open_calls(self, transaction: Transaction) -> list[Call]:
        """Those that have not ended, as far as is known."""
        return [msgspec.json.decode(value, type=Call) for _, value in transaction.items(_OPEN)]

    def forget(self, transaction: Transaction, after_ms: int) -> None:
        """Calls that ended so long ago."""
        while found := transaction.untouched(_ENDED, after_ms, _FORGOTTEN_AT_ONCE):
            for key, _ in found:
                transaction.remove(_ENDED, key)

    def _invited(
        self, transaction: Transaction, before: Call | None, message: Message, mark: Mark
    ) -> list[NetworkRequest]:
        sequence = 0
        legs = self._legs(message)
        rings = {ruid: facts.name for ruid, facts in legs if ruid}
        if before is not None:
            again = before.caller_tag == message.from_tag
            if again and message.cseq <= before.invite:
                return []
            if again and not before.is_over:
                # The same INVITE once more, with what a response asked for.
                later = msgspec.structs.replace(before, invite=message.cseq, legs={**before.legs, **rings})
                return _advanced(transaction, later, [], mark)
            if not again and not before.is_over:
                # Somebody uses the Call-ID of a call of others: its subscribers are not theirs to reach.
                log.warning("an INVITE with the Call-ID of another call is left out: %s", _masked(message))
                return []
            sequence = before.session.sequence
        if not legs:
            return []
        call = Call(
            call_id=message.call_id,
            caller_tag=message.from_tag,
            invite=message.cseq,
            session=MediaSession(id=media_session_id(message.call_id), sequence=sequence),
            legs=rings,
        )
        facts_by_name = {facts.name: facts for _, facts in legs}
        signals = [(name, Invited(message.sdp)) for name in facts_by_name]
        return _advanced(transaction, call, signals, mark, facts_by_name)

    def _legs(self, message: Message) -> list[tuple[str, LegFacts]]:
        """The caller's, if it is registered here, then one for each registration called; each with a ruid."""
        originator = self._party(message.from_name, message.from_uri)
        receiver = self._party(message.to_name, message.to_uri)
        found: list[tuple[str, LegFacts]] = []
        if (caller := self._caller(message)) is not None:
            found.append(("", LegFacts(_CALLER, caller, Side.ORIGINATOR, originator, receiver)))
        for contact in message.contacts:
            if (owned := owned_by(self._ownership, message.to_uri, contact)) is not None:
                name = owned.registration_id
                facts = LegFacts(f"callee {name}", name, Side.RECEIVER, originator, receiver)
                found.append((contact.ruid, facts))
        return found

    def _caller(self, message: Message) -> str | None:
        """The registration that calls: the one of its contact, else the only one of its address."""
        own = message.contact.partition("<")[2].partition(">")[0] or message.contact
        exact = [contact for contact in message.callers if _same_contact(contact, own)]
        ids = {
            owned.registration_id
            for contact in exact or message.callers
            if (owned := owned_by(self._ownership, message.from_uri, contact)) is not None
        }
        return ids.pop() if len(ids) == 1 else None

    def _party(self, name: str, uri: str) -> Party:
        return party_of(f"{name} <{uri}>", self._domain)


def _signals(call: Call, message: Message) -> Iterable[tuple[str, Signal]]:
    by = Side.ORIGINATOR if message.from_tag == call.caller_tag else Side.RECEIVER
    everybody = list(call.session.legs)
    initial = message.method == "INVITE" and message.cseq == call.invite and by is Side.ORIGINATOR
    if message.code in TRIED_AGAIN and initial:
        return []
    if message.kind == "reply":
        if initial:
            return _replied(call, message)
        return [(name, signal) for name in everybody for signal in _rereplied(message)]
    if message.kind in ("failure", "refused"):
        failed = Failed(message.code, message.phrase)
        return [(name, failed) for name in everybody] if initial else []
    signal: Signal
    match message.method:
        case "INVITE" | "UPDATE":
            signal = Reoffered(by, message.sdp)
        case "ACK":
            signal = Acknowledged(message.sdp)
        case "BYE":
            signal = HungUp(by)
        case "CANCEL":
            signal = Cancelled()
        case _:
            return []
    return [(name, signal) for name in everybody]


def _replied(call: Call, message: Message) -> Iterable[tuple[str, Signal]]:
    """A response to the INVITE: of the leg that its contact rings, and of the caller's."""
    own = call.legs.get(message.ruid)
    callees = [name for name in call.session.legs if name != _CALLER]
    if own is None and len(callees) == 1:
        own = callees[0]
    names = [name for name in (_CALLER, own) if name in call.session.legs and name is not None]
    if message.code < 200:
        return [(name, Provisional(message.code, message.sdp)) for name in names]
    if message.code < 300:
        others = [(name, HungUp(None, _ELSEWHERE)) for name in callees if name != own]
        return [*((name, Answered(message.sdp)) for name in names), *others]
    # Of one branch. The caller's leg waits for the response that the caller gets, as one that rings twice.
    alone = own is not None and list(call.legs.values()).count(own) == 1
    return [(own, Failed(message.code, message.phrase))] if alone and own is not None else []


def _rereplied(message: Message) -> list[Signal]:
    if message.code < 200:
        return []
    return [Reanswered(message.sdp) if message.code < 300 else Rerefused()]


def _advanced(
    transaction: Transaction,
    call: Call,
    signals: Iterable[tuple[str, Signal]],
    mark: Mark,
    facts: Mapping[str, LegFacts] | None = None,
) -> list[NetworkRequest]:
    session = call.session
    requests: list[NetworkRequest] = []
    for number, (name, signal) in enumerate(signals):
        leg_mark = Mark(mark.source, f"{mark.event_id}-{number}", mark.time_ms)
        leg_facts = LegFacts(name) if facts is None else facts[name]
        made = advance(session, leg_facts, signal, leg_mark)
        session = made.session
        requests += [PublishEvent(event) for event in made.events]
    call = msgspec.structs.replace(call, session=session)
    now, before = (_ENDED, _OPEN) if call.is_over else (_OPEN, _ENDED)
    transaction.put(now, session.id, msgspec.json.encode(call))
    transaction.remove(before, session.id)
    return requests


def _read(transaction: Transaction, call_id: str) -> Call | None:
    key = media_session_id(call_id)
    found = transaction.get(_OPEN, key) or transaction.get(_ENDED, key)
    return None if found is None else msgspec.json.decode(found, type=Call)


def _same_contact(contact: Contact, uri: str) -> bool:
    return contact.address.partition(";")[0] == uri.partition(";")[0]


def _masked(message: Message) -> PersonalData:
    return PersonalData(message.call_id)
