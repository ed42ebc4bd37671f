"""Which partitions hold subscriptions to a media session."""

from collections.abc import Sequence
from typing import Any

from webrtc_events.core.model import Subscription
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import Partition, session_key, set_aside_key
from webrtc_events.store.redis.scripts import Call, WrongType, answers_of, checked_answers, store_errors

__all__ = ["SessionIndex"]

# Counted from the latest subscription to the session or event of it: no call lasts that long.
_TTL_S = 30 * 24 * 3600
# From when a create joins a session to when the subscription is there. One that is refused leaves no more.
_CREATE_TAKES_S = 120


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
        call = self.prolong_call(subscription, subscription.session, partition)
        if not self._connection.run(call):
            self._mend(subscription.session)
            self._connection.run(call)

    def join_call(
        self, session: str, partition: Partition, state_key: str | None, *judged: str | int
    ) -> Call:
        """Leads the session to the partition for as long as a create may take; `judged` by its state.

        Source: lua/join_session.lua.
        """
        keys = [session_key(session)] if state_key is None else [session_key(session), state_key]
        return Call("join_session", keys, "", [partition.number, *judged, _CREATE_TAKES_S])

    def prolong_call(self, subscription: Subscription, session: str, partition: Partition) -> Call:
        """Does what `add` does, unless the index is of another type: then it answers nothing.

        Source: lua/prolong_session.lua.
        """
        args = self.prolong_args(subscription, partition)
        return Call("prolong_session", [session_key(session)], "", args)

    def prolong_args(self, subscription: Subscription, partition: Partition) -> list[str | int]:
        """Where a session is to lead, and for how long."""
        until_ms = None if subscription.expires_at_ms is None else subscription.expires_at_ms + _TTL_S * 1000
        return [partition.number, _TTL_S, "" if until_ms is None else until_ms]

    def shorten(self, session: str, prolonged: Sequence[int]) -> None:
        """The subscription was not made that the index was prolonged for, which was answered `prolonged`.

        Source: lua/shorten_session.lua.
        """
        if prolonged:
            args = [*prolonged, _CREATE_TAKES_S]
            self._connection.run(Call("shorten_session", [session_key(session)], "", args))

    def partitions_of(self, sessions: Sequence[str]) -> list[list[Partition]]:
        """For each mediaSessionId, the partitions that hold subscriptions to it."""
        return self.routes_of(sessions)[0]

    def routes_of(self, sessions: Sequence[str]) -> tuple[list[list[Partition]], bool]:
        """The same, and whether there may be subscriptions to devices; False if no session is asked for.

        The node that would say so may be another one, and need not be there: then there may be some.
        """
        if not sessions:
            return [], False
        with store_errors():
            pipe = self._redis.pipeline()
            for session in sessions:
                pipe.smembers(session_key(session))
                pipe.expire(session_key(session), _TTL_S, gt=True)
            pipe.exists(self._connection.partitions[0].devices)
            *answers, has_devices = pipe.execute(raise_on_error=False)
            found = checked_answers(answers)
        read = [self.read(session, numbers) for session, numbers in zip(sessions, found[::2], strict=True)]
        return read, isinstance(has_devices, Exception) or bool(has_devices)

    def subscriptions_of(self, session: str, limit: int) -> list[str]:
        """Ids of subscriptions to the session, at most about `limit`; writes nothing, whatever it finds.

        Of an index that cannot be read, every partition is looked into.
        """
        with store_errors():
            pipe = self._redis.pipeline()
            pipe.smembers(session_key(session))
            (numbers,) = answers_of(pipe)
            count = self._connection.partition_count
            legible = not isinstance(numbers, WrongType) and all(map(_is_number, numbers))
            partitions = sorted(map(int, numbers)) if legible else range(count)
            for number in partitions:
                if number < count:
                    pipe.sscan(Partition(number).session(session), count=limit)
            answers = answers_of(pipe)
        found = [answer[1] for answer in answers if not isinstance(answer, WrongType)]
        return sorted({member for members in found for member in members})[:limit]

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
            self._redis.expire(key, _TTL_S)
        self._connection.damage.report(key, "it is no set of partitions and was made anew")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
