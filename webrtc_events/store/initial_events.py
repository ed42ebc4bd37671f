"""Initial events: the latest state, for a subscription that wishes it (config.initialEvent)."""

import json
import logging
from collections.abc import Mapping, Sequence

from webrtc_events.core.clock import parse_time
from webrtc_events.core.errors import DamagedRecord, Unavailable
from webrtc_events.core.model import EventType, InitialEvent, Subscription
from webrtc_events.store.connection import Connection
from webrtc_events.store.deadlines import Deadlines
from webrtc_events.store.keys import Partition
from webrtc_events.store.redis.scripts import Call, WrongType, store_errors
from webrtc_events.store.session_states import SessionStates
from webrtc_events.store.subscription_reads import read_subscriptions

__all__ = ["InitialEvents"]

log = logging.getLogger(__name__)

# Source: webrtc-events.yaml, MediaSession.status: the states in which the callee is still asked.
_BEFORE_ANSWER = frozenset({"Initial", "InProgress", "Ringing", "Proceeding", "Waiting"})
# What is damaged is deferred by this. Source: lua/shared/records.lua.
_DEFERRED_S = 60


class InitialEvents:
    """Every method may raise `errors.Unavailable`."""

    def __init__(self, connection: Connection, session_states: SessionStates, deadlines: Deadlines) -> None:
        self._connection = connection
        self._redis = connection.client
        self._session_states = session_states
        self._deadlines = deadlines

    def catch_up(self, active: Sequence[str]) -> None:
        """Appends what subscriptions missed until they became active; in an outage the sweeper does it."""
        try:
            for found in read_subscriptions(self._connection, active):
                self.complete(found)
        except Unavailable:
            # All are settled, which must not be done again for this.
            log.warning("what %d subscriptions missed is left to the sweeper", len(active))

    def complete(self, found: Subscription | DamagedRecord) -> None:
        """Appends what a create left pending; what is damaged is deferred."""
        try:
            if isinstance(found, DamagedRecord):
                raise found
            self.append(found)
        except DamagedRecord as error:
            name = found.name if isinstance(found, DamagedRecord) else found.id
            partition = self._connection.partition_of_known(name)
            self._connection.damage.report(name, error.why)
            with store_errors():
                seconds, _ = self._redis.time()
                self._redis.zadd(partition.initial, {name: (seconds + _DEFERRED_S) * 1000}, xx=True)

    def append(self, subscription: Subscription) -> None:
        """Appends the latest state, unless a newer event came first or none is wished. Safe to repeat.

        Raises:
            DamagedRecord: the subscription cannot be read.
        """
        if subscription.device is not None:
            # It begins with the next event.
            return
        partition = self._connection.partition_of_known(subscription.id)
        counted = ""
        try:
            latest = self._latest(subscription, partition)
            if latest is not None and not latest.numbered and latest.payload:
                counted = json.loads(latest.payload)["data"]["mediaSessionId"]
        except (KeyError, OverflowError, TypeError, ValueError, WrongType) as error:
            # As good as unknown: the next event replaces it.
            key = partition.registration_state(subscription.registration)
            self._connection.damage.report(key, type(error).__name__)
            latest = None
        deadline_ms = self._deadlines.ms[subscription.type]
        self._connection.run(_initial_call(partition, subscription, latest, counted, deadline_ms))

    def _latest(self, subscription: Subscription, partition: Partition) -> InitialEvent | None:
        if subscription.session is not None:
            session = self._session_states.get(subscription.session)
            # Meanwhile it may have become known as others'.
            return None if session.is_of_others(subscription.registration) else session.latest
        with store_errors():
            state = self._redis.hgetall(partition.registration_state(subscription.registration))
        if subscription.type is EventType.REGISTRATION_ENDS:
            if "end" not in state:
                return None
            return InitialEvent(
                state["end_name"] or "registration expired",
                state["end"],
                True,
                False,
                registration_ended=True,
            )
        return self._pending_invitation(state)

    def _pending_invitation(self, state: Mapping[str, str]) -> InitialEvent | None:
        """The registration's latest invitation, while its call is neither answered nor over."""
        if "invitation" not in state:
            return None
        until_ms = int(state["invitation_at"]) + self._deadlines.ms[EventType.SESSION_INVITATION]
        invited_ms = parse_time(json.loads(state["invitation"])["time"])
        if not self._rings(state["invitation_session"], invited_ms):
            return None
        return InitialEvent(
            state["invitation_name"],
            state["invitation"],
            state["invitation_count"] == "0",
            False,
            until_ms=until_ms,
        )

    def _rings(self, session: str, invited_ms: int) -> bool:
        latest = self._session_states.get(session).latest
        # Invited to a session that was over by then: it begins again.
        if latest is None or (latest.last and latest.time_ms < invited_ms):
            return True
        return json.loads(latest.payload)["data"]["status"] in _BEFORE_ANSWER


def _initial_call(
    partition: Partition,
    subscription: Subscription,
    latest: InitialEvent | None,
    counted_session: str,
    deadline_ms: int,
) -> Call:
    """Source: lua/initial.lua. `counted_session`: whose events get a sequence number here, or ''."""
    last = ""
    if latest is not None and subscription.type is EventType.SESSION_STATUS:
        last = str(int(latest.last))
    if not subscription.initial_event:
        latest = None
    event: list[str | int] = ["", deadline_ms, "", counted_session, last, 0, 0, ""]
    if latest is not None:
        event = [
            latest.name,
            deadline_ms,
            latest.payload,
            counted_session,
            last,
            latest.time_ms,
            int(latest.registration_ended),
            "" if latest.until_ms is None else latest.until_ms,
        ]
    key = partition.subscription(subscription.id)
    return Call("initial", [key], partition.tag, [subscription.id, *event])
