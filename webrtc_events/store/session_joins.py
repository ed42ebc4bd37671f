"""A media session at a create: what is known of it, and that it leads to one partition more."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import SessionState, Subscription
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import (
    REGISTRATION_FIELD,
    Partition,
    session_state_key,
    shares_slot,
)
from webrtc_events.store.redis.scripts import Call, WrongType, answers_of, store_errors
from webrtc_events.store.session_index import SessionIndex
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
        self,
        connection: Connection,
        session_states: SessionStates,
        session_index: SessionIndex,
        *,
        must_be_known: bool,
    ) -> None:
        self._connection = connection
        self._session_states = session_states
        self._session_index = session_index
        self._must_be_known = must_be_known

    @property
    def must_be_known(self) -> bool:
        return self._must_be_known

    def calls(self, subscription: Subscription, partition: Partition) -> list[Call]:
        """What is to be run for `joined`; may be repeated. None where `joined` does it by itself."""
        session = subscription.session
        if session is None or not shares_slot(session):
            return []
        return [self._join_call(subscription, session, partition, session_state_key(session))]

    def joined(
        self, subscription: Subscription, partition: Partition, answers: Sequence[Any]
    ) -> JoinedSession | None:
        """`answers` are those of `calls`, or why there are none. None: the subscription is to no session."""
        session = subscription.session
        if session is None:
            return None
        if not answers:
            return self._joined_apart(subscription, session, partition)
        if isinstance(answers[0], Unavailable):
            raise answers[0]
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

    def run_create(self, subscription: Subscription, partition: Partition, create: Call) -> Any:
        """What `create` returned (lua/create.lua), run once its session leads to it for as long as it may be.

        Of one that is refused the session's index keeps nothing for long. Where the session cannot be led to
        it, it must not be: it would be without events.
        """
        session = subscription.session
        if session is None:
            return self._connection.run(create)
        prolong = self._session_index.prolong_call(subscription, session, partition)
        prolonged, answer = self._connection.scripts.run_some([prolong, create])
        if isinstance(answer, Unavailable):
            # It may be there.
            raise answer
        is_led = bool(prolonged) and not isinstance(prolonged, Unavailable)
        if answer[0] != "created":
            if is_led:
                # What is left otherwise goes in its time.
                with suppress(Unavailable):
                    self._session_index.shorten(session, prolonged)
        elif not is_led:
            # Its index is of another type, or its node went out meanwhile.
            try:
                self._session_index.add(subscription, partition)
            except Unavailable:
                key = partition.subscription(subscription.id)
                with suppress(Unavailable):
                    self._connection.run(Call("discard", [key], partition.tag, [subscription.id]))
                raise
        return answer

    def elsewhere(self, subscription: Subscription, partition: Partition, joined: JoinedSession) -> int:
        """How many subscriptions to its session other partitions hold."""
        session = subscription.session or ""
        others = [other for other in joined.partitions if other.number != partition.number]
        with store_errors():
            pipe = self._connection.client.pipeline()
            for other in others:
                pipe.scard(other.session(session))
            answers = answers_of(pipe) if others else []
        # One that cannot be read is made anew once an event meets it, and counts nothing until then.
        return sum(answer for answer in answers if isinstance(answer, int))

    def _joined_apart(self, subscription: Subscription, session: str, partition: Partition) -> JoinedSession:
        joined = JoinedSession(self._session_states.get(session), [])
        if self.refused(subscription, joined) is not None:
            return joined
        _, numbers = self._connection.run(self._join_call(subscription, session, partition, None))
        found = WrongType() if numbers == "WRONGTYPE" else numbers
        return replace(joined, partitions=self._session_index.read(session, found))

    def _join_call(
        self, subscription: Subscription, session: str, partition: Partition, state_key: str | None
    ) -> Call:
        return self._session_index.join_call(
            session,
            partition,
            state_key,
            f"{REGISTRATION_FIELD}{subscription.registration}",
            REGISTRATION_FIELD,
            int(self._must_be_known and state_key is not None),
        )
