"""To which devices there may be subscriptions: the same bits in every partition, where appends look."""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from webrtc_events.core.clock import Clock
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import Partition
from webrtc_events.store.redis.client import Batch
from webrtc_events.store.redis.scripts import answers_of, is_wrong_type, store_errors

__all__ = ["DeviceMarks", "mark_of"]

# A part of the store may lose its latest writes, and marks with them: so the sweeper compares.
_AGAIN_AFTER_S = 30.0
# Two parts may have lost different marks, equally many.
_LEVEL_AFTER_S = 3600.0
# For how long a worker that is killed meanwhile leaves a copy of them, 8 kB, behind.
_PASSING_MS = 60_000
# Of the hash of a deviceId: 8 kB a partition at most. lua/append.lua takes as many.
_HEX_DIGITS: Final = 4
_WORD: Final = 32
_WORDS: Final = 16**_HEX_DIGITS // _WORD


def mark_of(device: str) -> int:
    """The bit of a deviceId in lower case. Devices may share one, which costs a look at an index."""
    return int(hashlib.sha1(device.encode(), usedforsecurity=False).hexdigest()[:_HEX_DIGITS], 16)


class DeviceMarks:
    """Every method may raise `errors.Unavailable`. Threads may share it. A mark is never removed."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        # By the monotonic clock.
        self._look_again_s = 0.0
        self._level_again_s = clock.monotonic() + _LEVEL_AFTER_S

    def set(self, device: str) -> None:
        """To be called before a subscription to a device is there: what is appended from then on finds it."""
        # Each time: a process cannot know what the store has lost since the last.
        with store_errors():
            pipe = self._connection.client.pipeline()
            for partition in self._connection.partitions:
                pipe.setbit(partition.devices, mark_of(device), 1)
            answers_of(pipe)

    def exist(self) -> bool:
        """Whether one to a device was ever made. A part of the store may have lost its marks."""
        with store_errors():
            pipe = self._connection.client.pipeline()
            for partition in self._connection.partitions:
                pipe.exists(partition.devices)
            return any(answers_of(pipe))

    def restore(self) -> None:
        """Sets what a part of the store has lost, now and then: another part has it still.

        Every 30 s the marks are counted; where the counts differ, and once an hour, they are compared. A part
        that does not answer is left for the next time: it holds up no other, and nobody asks it each second.
        """
        now_s = self._clock.monotonic()
        if now_s < self._look_again_s:
            return
        self._look_again_s = now_s + _AGAIN_AFTER_S
        with store_errors():
            pipe = self._connection.client.pipeline()
            for partition in self._connection.partitions:
                pipe.bitcount(partition.devices)
            counts = [count for count in _given(pipe) if count is not None]
        is_time = any(counts) and now_s >= self._level_again_s
        if is_time or len(set(counts)) > 1:
            self._level()
            self._level_again_s = now_s + _LEVEL_AFTER_S

    def _level(self) -> None:
        """Sets in each partition what any has. Read as numbers: the bits are no text."""
        words = [part for word in range(_WORDS) for part in ("GET", f"u{_WORD}", f"#{word}")]
        with store_errors():
            pipe = self._connection.client.pipeline()
            for partition in self._connection.partitions:
                pipe.execute_command("BITFIELD_RO", partition.devices, *words)
            answers = _given(pipe)
        of_any = [0] * _WORDS
        for answer in answers:
            if answer is not None:
                of_any = [had | has for had, has in zip(of_any, answer, strict=True)]
        lacking = [
            partition
            for partition, answer in zip(self._connection.partitions, answers, strict=True)
            if answer is not None and answer != of_any
        ]
        self._add(lacking, b"".join(word.to_bytes(_WORD // 8, "big") for word in of_any))

    def _add(self, partitions: Iterable[Partition], marks: bytes) -> None:
        """All at once, however many. What is set meanwhile stays."""
        with store_errors():
            pipe = self._connection.client.pipeline()
            for partition in partitions:
                pipe.set(partition.devices_elsewhere, marks, px=_PASSING_MS)
                pipe.execute_command(
                    "BITOP", "OR", partition.devices, partition.devices, partition.devices_elsewhere
                )
                pipe.delete(partition.devices_elsewhere)
            _given(pipe)


def _given(pipe: Batch) -> list[Any]:
    """What each command is answered; None where the key is of another type, or its part does not answer."""
    answers = pipe.execute(raise_on_error=False)
    if answers and all(isinstance(answer, Exception) and not is_wrong_type(answer) for answer in answers):
        raise answers[0]
    return [None if isinstance(answer, Exception) else answer for answer in answers]
