"""A media session at a create: what is known of it, and that it leads to one partition more."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from webrtc_events.core.model import SessionState, Subscription
from webrtc_events.store.keys import (
    REGISTRATION_FIELD,
    Partition,
    session_key,
    session_state_key,
    shares_slot,
)
from webrtc_events.store.redis.scripts import Call, WrongType
from webrtc_events.store.session_index import TTL_S, SessionIndex
from webrtc_events.store.session_states import SessionStates

__all__ = ["JoinRefusal", "JoinedSession", "SessionJoins"]


class JoinRefusal(Enum):
    """The session is known to involve other registrations only, or it is not known."""

    OF_OTHERS = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class JoinedSession:
    """`partitions` had subscriptions to it before, as far as is known."""

    state: SessionState
    partitions: Sequence[Partition]


class SessionJoins:
    """A session is joined unless it is known to involve other registrations only: nobody listens in.

    With `must_be_known` also not if it is not known at all. Every method may raise `errors.Unavailable`.
    """

    def __init__(
        self, session_states: SessionStates, session_index: SessionIndex, *, must_be_known: bool
    ) -> None:
        self._session_states = session_states
        self._session_index = session_index
        self._must_be_known = must_be_known

    def calls(self, subscription: Subscription, partition: Partition) -> list[Call]:
        """What is to be run for `joined`; may be repeated. None where `joined` does it by itself."""
        session = subscription.session
        if session is None or not shares_slot(session):
            return []
        return [_join_call(subscription, session, partition, must_be_known=self._must_be_known)]

    def joined(
        self, subscription: Subscription, partition: Partition, answers: Sequence[Any]
    ) -> JoinedSession | None:
        """`answers` are those of `calls`. None: the subscription is to no session."""
        session = subscription.session
        if session is None:
            return None
        if not answers:
            return self._joined_apart(subscription, session, partition)
        fields, numbers = (WrongType() if part == "WRONGTYPE" else part for part in answers[0])
        if not isinstance(fields, WrongType):
            fields = dict(zip(fields[::2], fields[1::2], strict=True))
        return JoinedSession(
            self._session_states.read(session, fields), self._session_index.read(session, numbers)
        )

    def refused(self, subscription: Subscription, joined: JoinedSession) -> JoinRefusal | None:
        """Why the subscription must not be."""
        if joined.state.is_of_others(subscription.registration):
            return JoinRefusal.OF_OTHERS
        if self._must_be_known and not joined.state.registrations:
            return JoinRefusal.UNKNOWN
        return None

    def _joined_apart(self, subscription: Subscription, session: str, partition: Partition) -> JoinedSession:
        (partitions,) = self._session_index.partitions_of([session])
        joined = JoinedSession(self._session_states.get(session), partitions)
        if self.refused(subscription, joined) is None:
            self._session_index.add(subscription, partition)
        return joined


def _join_call(
    subscription: Subscription, session: str, partition: Partition, *, must_be_known: bool
) -> Call:
    """Source: lua/join_session.lua."""
    until_ms = None if subscription.expires_at_ms is None else subscription.expires_at_ms + TTL_S * 1000
    args: list[str | int] = [
        partition.number,
        f"{REGISTRATION_FIELD}{subscription.registration}",
        REGISTRATION_FIELD,
        int(must_be_known),
        TTL_S,
        "" if until_ms is None else until_ms,
    ]
    return Call("join_session", [session_key(session), session_state_key(session)], "", args)
