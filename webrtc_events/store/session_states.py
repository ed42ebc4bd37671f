"""What is known of media sessions: the registrations they involve and their latest status."""

from collections.abc import Mapping, Sequence

from webrtc_events.core.model import EventType, NetworkEvent, SessionState
from webrtc_events.store.connection import Connection
from webrtc_events.store.event_runs import runs_of
from webrtc_events.store.keys import session_state_key
from webrtc_events.store.records import read_session_state
from webrtc_events.store.redis.scripts import Part, WrongType, store_errors

__all__ = ["SessionStates"]


class SessionStates:
    """A state is kept for a while after the session's latest event."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, events: Sequence[NetworkEvent]) -> list[tuple[str, ...]]:
        """Records what events say of their sessions; returns, for each, the registrations then known.

        Only events with a session are to be given. For one that names its registration nothing is returned:
        it is for that alone.

        Raises:
            Unavailable: nothing new is taken, or some may be recorded and some not.
        """
        self._connection.guard.check()
        runs = [[_record_part(event) for event in run] for run in runs_of(events, lambda event: [event])]
        answers = self._connection.scripts.run_parts("record_session_state", [], runs)
        return [tuple(registrations) for registrations in answers]

    def get(self, session: str) -> SessionState:
        """What is known of a media session. One that cannot be read is as good as unknown.

        Raises:
            Unavailable: the store does not answer.
        """
        try:
            with store_errors():
                return self.read(session, self._connection.client.hgetall(session_state_key(session)))
        except WrongType as error:
            return self.read(session, error)

    def read(self, session: str, fields: Mapping[str, str] | WrongType) -> SessionState:
        """The same, from the fields of its hash."""
        key = session_state_key(session)
        if isinstance(fields, WrongType):
            self._connection.damage.report(key, "it is a key of another type")
            fields = {}
        state, fault = read_session_state(fields)
        if fault is not None:
            self._connection.damage.report(key, f"its latest status cannot be read: {fault}")
        return state


def _record_part(event: NetworkEvent) -> Part:
    """Source: lua/record_session_state.lua."""
    return Part(
        session_state_key(event.session or ""),
        "",
        [
            event.registration or "",
            event.time_ms,
            event.name if event.type is EventType.SESSION_STATUS else "",
            event.payload,
            int(not event.numbered),
            int(event.last),
        ],
    )
