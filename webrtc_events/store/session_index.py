"""Which partitions hold subscriptions to a media session."""

from collections.abc import Sequence
from typing import Any

from webrtc_events.core.model import Subscription
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import Partition, session_key, set_aside_key
from webrtc_events.store.redis.scripts import WrongType, answers_of, store_errors

__all__ = ["TTL_S", "SessionIndex"]

# Counted from the latest subscription to the session or event of it: no call lasts that long.
TTL_S = 30 * 24 * 3600


class SessionIndex:
    """A set of partition numbers for each mediaSessionId. Every method may raise `errors.Unavailable`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._redis = connection.client

    def add(self, subscription: Subscription, partition: Partition) -> None:
        """Leads the session to the partition for as long as the subscription may need it.

        To be called before the subscription is there: a reader skips what does not exist, but would never
        find what nothing points at.
        """
        if subscription.session is None:
            return
        key = session_key(subscription.session)
        with store_errors():
            pipe = self._redis.pipeline()
            pipe.sadd(key, partition.number)
            pipe.expire(key, TTL_S, nx=True)
            pipe.expire(key, TTL_S, gt=True)
            if subscription.expires_at_ms is not None:
                pipe.pexpireat(key, subscription.expires_at_ms + TTL_S * 1000, gt=True)
            answers = answers_of(pipe)
        if any(isinstance(answer, WrongType) for answer in answers):
            # Of one that is made anew, every partition is among those it leads to.
            self._mend(subscription.session)

    def partitions_of(self, sessions: Sequence[str]) -> list[list[Partition]]:
        """For each mediaSessionId, the partitions that hold subscriptions to it."""
        if not sessions:
            return []
        with store_errors():
            pipe = self._redis.pipeline()
            for session in sessions:
                pipe.smembers(session_key(session))
                pipe.expire(session_key(session), TTL_S, gt=True)
            found = answers_of(pipe)[::2]
        return [self.read(session, numbers) for session, numbers in zip(sessions, found, strict=True)]

    def read(self, session: str, numbers: Any) -> list[Partition]:
        """The partitions that a session's index names. One that cannot be read is made anew."""
        if isinstance(numbers, Exception) or not all(number.isdecimal() for number in numbers):
            self._mend(session)
            return self._connection.partitions
        count = self._connection.partition_count
        return [Partition(number) for number in sorted(map(int, numbers)) if number < count]

    def _mend(self, session: str) -> None:
        """Of a session whose index cannot be read, every partition may hold subscriptions."""
        key = session_key(session)
        try:
            with store_errors():
                readable = all(number.isdecimal() for number in self._redis.smembers(key))
        except WrongType:
            readable = False
        if readable:
            return
        with store_errors():
            self._redis.rename(key, set_aside_key(key))
            self._redis.sadd(key, *range(self._connection.partition_count))
            self._redis.expire(key, TTL_S)
        self._connection.damage.report(key, "it is no set of partitions and was made anew")
