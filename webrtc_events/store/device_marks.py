"""That there are subscriptions to devices: every partition says so, and only then appends answer devices."""

from webrtc_events.core.clock import Clock
from webrtc_events.store.connection import Connection
from webrtc_events.store.redis.scripts import answers_of, store_errors

__all__ = ["DeviceMarks"]

# A store may lose its latest writes, and a mark with them: so creates and the sweeper set it again.
_AGAIN_AFTER_S = 30.0


class DeviceMarks:
    """Every method may raise `errors.Unavailable`. May be used by several threads."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        # By the monotonic clock.
        self._set_again_s = self._look_again_s = 0.0

    def set(self) -> None:
        """To be called before a subscription to a device is there: what is appended from then on finds it."""
        now_s = self._clock.monotonic()
        if now_s >= self._set_again_s:
            self._set_all()
            self._set_again_s = now_s + _AGAIN_AFTER_S

    def exist(self) -> bool:
        """Whether some subscription to a device was ever made."""
        with store_errors():
            return bool(self._connection.client.exists(self._connection.partitions[0].devices))

    def restore(self) -> None:
        """Sets what a part of the store has lost, now and then: another part has it still."""
        now_s = self._clock.monotonic()
        if now_s < self._look_again_s:
            return
        with store_errors():
            pipe = self._connection.client.pipeline()
            for partition in self._connection.partitions:
                pipe.exists(partition.devices)
            found = answers_of(pipe)
        if any(found) and not all(found):
            self._set_all()
        self._look_again_s = now_s + _AGAIN_AFTER_S

    def _set_all(self) -> None:
        with store_errors():
            pipe = self._connection.client.pipeline()
            for partition in self._connection.partitions:
                pipe.set(partition.devices, "1")
            answers_of(pipe)
