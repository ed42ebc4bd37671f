"""What a receiver remembers: which events it has handled, and how far each session is."""

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from webrtc_events_client.types import Notification, RegistrationEnds, SessionInvitation, SessionStatus

__all__ = ["AsyncMemory", "Claim", "ClaimState", "Event", "Memory", "check_times", "event_of"]

_MIN_REMEMBER_S = 600
# 0.3 cuts a longer one. Source: webrtc-events-subscriptions.yaml, MediaSession.
_MAX_REASON = 2048


@dataclass(frozen=True, slots=True)
class Event:
    """A notification as memories know it.

    key: a digest of source and id, or of what happened; so neither its length nor what is in it matters.
    line: a digest of what has an order, a session of a subscription; empty if there is none.
    number: its sequence number in that line.
    """

    key: str
    line: str = ""
    number: int = 0


class ClaimState(Enum):
    NEW = "new"
    """It is yours: settle it with `done` or `abandon`."""
    RUNNING = "running"
    """Somebody else handles it."""
    DONE = "done"
    """It has been handled."""


@dataclass(frozen=True, slots=True)
class Claim:
    """`is_stale`: a later event of the same line was handled. `ticket` tells claims of one event apart."""

    event: Event
    state: ClaimState
    ticket: str = ""
    is_stale: bool = False


class Memory(Protocol):
    """To be shared by all processes that receive for one URL. Each method is one atomic step.

    Times are seconds since 1970. A claim that is neither done nor abandoned is free again after some time:
    its process has died. What is done is remembered for two days or so: the service repeats for one day at
    most, and signatures hold for minutes.
    """

    def begin(self, event: Event, now: float) -> Claim: ...

    def done(self, claim: Claim, now: float) -> None:
        """Remembers the event, and its number if that is the highest of its line."""

    def abandon(self, claim: Claim) -> None:
        """The event may be claimed at once, unless somebody else has claimed it meanwhile."""


class AsyncMemory(Protocol):
    """The same for asyncio."""

    async def begin(self, event: Event, now: float) -> Claim: ...

    async def done(self, claim: Claim, now: float) -> None: ...

    async def abandon(self, claim: Claim) -> None: ...


def event_of(notification: Notification, *, across_subscriptions: bool = False) -> Event:
    """`across_subscriptions`: an event is the same, whichever subscription it comes by."""
    key = _digest(notification.source, notification.id)
    if across_subscriptions and (told := _told(notification)) is not None:
        key = _digest(notification.source, *told)
    if isinstance(notification, SessionInvitation | SessionStatus):
        session = notification.session
        if session.sequence_number is not None:
            line = _digest(notification.source, session.subscription_id or "", session.media_session_id)
            return Event(key, line, session.sequence_number)
    return Event(key)


def _told(notification: Notification) -> tuple[str, ...] | None:
    """What happened, and when; None where the event is about the subscription, or not known.

    Ids and sequence numbers are those of a subscription, and a version may leave members out.
    """
    at = (str(notification.kind), notification.time.isoformat())
    match notification:
        case SessionInvitation(session=session) | SessionStatus(session=session):
            reason = (session.reason or "")[:_MAX_REASON]
            texts = (session.media_session_id, session.status, session.offer, session.answer, reason)
            return (*at, *(text or "" for text in texts))
        case RegistrationEnds():
            return (*at, notification.registration_id, notification.reason)
    return None


def _digest(*parts: str) -> str:
    # With their lengths, so that ("a", "bc") is not ("ab", "c").
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()


def check_times(remember_s: float) -> None:
    if remember_s < _MIN_REMEMBER_S:
        raise ValueError(f"remember_s must be {_MIN_REMEMBER_S} or more, or a replay could come in again")
