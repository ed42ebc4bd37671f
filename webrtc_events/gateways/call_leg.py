"""A leg of a call as a pure state machine: what a signal makes of it, and which changes of status that is."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from webrtc_events.gateways.call_signals import (
    Acknowledged,
    Answered,
    Cancelled,
    Failed,
    HungUp,
    Invited,
    LegFacts,
    Lost,
    Provisional,
    Reanswered,
    Reoffered,
    Rerefused,
    Side,
    Signal,
)
from webrtc_events.gateways.sdp import is_held
from webrtc_events.gateways.sip_addresses import UNKNOWN, Party
from webrtc_events.gateways.sip_status import SessionStatus, failure_status, provisional_status

__all__ = ["Change", "Leg", "LegState", "advance_leg"]


class LegState(StrEnum):
    """Where a leg stands; it never goes back."""

    SETTING_UP = "setting-up"
    CONNECTED = "connected"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Change:
    """A status to publish. `is_invitation`: as a session-invitation."""

    status: SessionStatus
    reason: str | None = None
    offer: str | None = None
    answer: str | None = None
    is_invitation: bool = False


class Leg(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As it is kept. `offer` waits for an answer; `held_by`: who holds; `reoffered_by`: whose offer waits."""

    registration: str | None = None
    side: Side | None = None
    originator: Party = UNKNOWN
    receiver: Party = UNKNOWN
    state: LegState = LegState.SETTING_UP
    status: SessionStatus | None = None
    invited: bool = False
    alerted: bool = False
    offer: str | None = None
    held_by: tuple[str, ...] = ()
    reoffered_by: str | None = None

    @property
    def is_over(self) -> bool:
        return self.state is LegState.OVER

    def knowing(self, facts: LegFacts) -> "Leg":
        """With what the facts add; what is known stays."""
        return _with(
            self,
            registration=self.registration or facts.registration,
            side=self.side or facts.side,
            originator=_completed(self.originator, facts.originator),
            receiver=_completed(self.receiver, facts.receiver),
        )


_Step = tuple[Leg, tuple[Change, ...]]

# How far a call has come before its answer: a later response says nothing new where it is less.
_PROGRESS: Final = {
    None: 0,
    SessionStatus.INITIAL: 1,
    SessionStatus.IN_PROGRESS: 2,
    SessionStatus.PROCEEDING: 3,
    SessionStatus.WAITING: 4,
    SessionStatus.RINGING: 5,
}
_UNKNOWN_SIDE: Final = "somebody"
# Characters. Who answers a call chooses them.
_MAX_REASON: Final = 512


def advance_leg(leg: Leg, signal: Signal) -> _Step:
    """The leg after the signal, and what changed for who subscribes, in order."""
    if leg.is_over:
        return leg, ()
    step = _STEPS[type(signal)]
    return step(leg, signal)


def _invited(leg: Leg, signal: Invited) -> _Step:
    if leg.invited or leg.state is not LegState.SETTING_UP:
        return leg, ()
    incoming = leg.side is Side.RECEIVER and leg.registration is not None
    reason = "Incoming call" if incoming else "Call placed"
    change = Change(SessionStatus.INITIAL, reason, offer=signal.offer, is_invitation=incoming)
    status = leg.status or SessionStatus.INITIAL
    return _with(leg, invited=True, status=status, offer=signal.offer), (change,)


def _provisional(leg: Leg, signal: Provisional) -> _Step:
    status = provisional_status(signal.code)
    if status is None or leg.state is not LegState.SETTING_UP:
        return leg, ()
    if _PROGRESS[status] <= _PROGRESS[leg.status] and (signal.answer is None or leg.status is None):
        return leg, ()
    if _PROGRESS[status] < _PROGRESS[leg.status]:
        # Early media after the ringing: a status does not go back.
        status = leg.status or status
    reason = _PROVISIONAL_REASONS[status]
    alerted = leg.alerted or status is SessionStatus.RINGING
    return _with(leg, status=status, alerted=alerted), (Change(status, reason, answer=signal.answer),)


def _answered(leg: Leg, signal: Answered) -> _Step:
    if leg.state is not LegState.SETTING_UP:
        return leg, ()
    late_offer = leg.invited and leg.offer is None
    offer = signal.sdp if late_offer else leg.offer
    answer = None if late_offer else signal.sdp
    # An offer that is not answered yet is kept: the ACK answers it.
    waiting = offer if answer is None else None
    leg = _with(leg, state=LegState.CONNECTED, status=SessionStatus.CONNECTED, offer=waiting)
    return leg, (Change(SessionStatus.CONNECTED, "Answered", offer=offer, answer=answer),)


def _acknowledged(leg: Leg, signal: Acknowledged) -> _Step:
    if leg.state is not LegState.CONNECTED or leg.offer is None or signal.answer is None:
        return leg, ()
    change = Change(SessionStatus.CONNECTED, "Answered", offer=leg.offer, answer=signal.answer)
    return _with(leg, offer=None), (change,)


def _reoffered(leg: Leg, signal: Reoffered) -> _Step:
    if leg.state is not LegState.CONNECTED:
        return leg, ()
    return _with(leg, offer=signal.offer, reoffered_by=signal.by or _UNKNOWN_SIDE), ()


def _reanswered(leg: Leg, signal: Reanswered) -> _Step:
    if leg.reoffered_by is None or leg.state is not LegState.CONNECTED:
        return leg, ()
    by, offer = leg.reoffered_by, leg.offer
    if offer is None:
        # A re-INVITE without an offer: the response has it.
        return _with(leg, reoffered_by=None), ()
    holds = is_held(offer)
    held_by = tuple(sorted({*leg.held_by, by} if holds else {*leg.held_by} - {by}))
    who = "A party" if by == _UNKNOWN_SIDE else f"The {by}"
    match (by in leg.held_by, holds):
        case (False, True):
            status, reason = SessionStatus.HOLD, f"{who} holds the call"
        case (True, False) if held_by:
            status, reason = SessionStatus.HOLD, f"{who} resumes the call, which is still held"
        case (True, False):
            status, reason = SessionStatus.RESUME, f"{who} resumes the call"
        case _:
            status = SessionStatus.HOLD if held_by else SessionStatus.CONNECTED
            reason = f"{who} changes the media"
    change = Change(status, reason, offer=offer, answer=signal.answer)
    return _with(leg, offer=None, reoffered_by=None, held_by=held_by, status=status), (change,)


def _rerefused(leg: Leg, _signal: Rerefused) -> _Step:
    if leg.reoffered_by is None:
        return leg, ()
    return _with(leg, offer=None, reoffered_by=None), ()


def _cancelled(leg: Leg, _signal: Cancelled) -> _Step:
    # A CANCEL that crosses the answer does nothing (RFC 3261, 9.1).
    if leg.state is not LegState.SETTING_UP:
        return leg, ()
    return _ended(leg, SessionStatus.SESSION_CANCELLED, "Cancelled by the originator")


def _failed(leg: Leg, signal: Failed) -> _Step:
    if leg.state is not LegState.SETTING_UP:
        return leg, ()
    status = failure_status(signal.code, alerted=leg.alerted)
    words = f"{signal.code} {signal.phrase}".strip()
    return _ended(leg, status, words)


def _hung_up(leg: Leg, signal: HungUp) -> _Step:
    if leg.state is LegState.SETTING_UP and leg.status is not None:
        # A BYE in an early dialog ends what was never answered (RFC 3261, 15).
        return _ended(leg, SessionStatus.SESSION_CANCELLED, signal.reason or "Ended before an answer")
    who = "" if signal.by is None else f" by the {signal.by}"
    return _ended(leg, SessionStatus.TERMINATED, signal.reason or f"Hung up{who}")


def _lost(leg: Leg, signal: Lost) -> _Step:
    if leg.state is LegState.SETTING_UP:
        return _ended(leg, SessionStatus.FAILED, signal.reason)
    return _ended(leg, SessionStatus.TERMINATED, signal.reason)


def _ended(leg: Leg, status: SessionStatus, reason: str) -> _Step:
    leg = _with(leg, state=LegState.OVER, status=status, offer=None, reoffered_by=None, held_by=())
    return leg, (Change(status, reason[:_MAX_REASON]),)


_PROVISIONAL_REASONS: Final = {
    SessionStatus.IN_PROGRESS: "The call is being set up",
    SessionStatus.PROCEEDING: "Session progress",
    SessionStatus.WAITING: "The call waits",
    SessionStatus.RINGING: "The receiver is alerted",
}

_STEPS: Final[dict[type[Any], Callable[[Leg, Any], _Step]]] = {
    Invited: _invited,
    Provisional: _provisional,
    Answered: _answered,
    Acknowledged: _acknowledged,
    Reoffered: _reoffered,
    Reanswered: _reanswered,
    Rerefused: _rerefused,
    Cancelled: _cancelled,
    Failed: _failed,
    HungUp: _hung_up,
    Lost: _lost,
}


def _with(leg: Leg, **changes: Any) -> Leg:
    return msgspec.structs.replace(leg, **changes)


def _completed(known: Party, more: Party) -> Party:
    return Party(known.address or more.address, known.name or more.name)
