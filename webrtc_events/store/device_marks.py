"""To which devices there may be subscriptions: the same bits in every partition, where appends look."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from webrtc_events.core.clock import Clock
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import Partition
from webrtc_events.store.redis.scripts import answers_of, store_errors

__all__ = ["DeviceMarks", "mark_of"]

# A part of the store may lose its latest writes, and marks with them: so the sweeper compares.
_AGAIN_AFTER_S = 30.0
# Two parts may have lost different marks, equally many.
_LEVEL_AFTER_S = 3600.0
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
        self._mark(self._connection.partitions, [mark_of(device)])

    def exist(self) -> bool:
        """Whether one to a device was ever made. A part of the store may have lost its marks."""
        with store_errors():
            pipe = self._connection.client.pipeline()
            for partition in self._connection.partitions:
                pipe.exists(partition.devices)
            return any(answers_of(pipe))

    def restore(self) -> None:
        """Sets what a part of the store has lost, now and then: another part has it still.

        Every 30 s the marks are counted; where the counts differ, and once an hour, they are compared.
        """
        now_s = self._clock.monotonic()
        if now_s < self._look_again_s:
            return
        with store_errors():
            pipe = self._connection.client.pipeline()
            for partition in self._connection.partitions:
                pipe.bitcount(partition.devices)
            counts = [count for count in answers_of(pipe) if not isinstance(count, Exception)]
        is_time = any(counts) and now_s >= self._level_again_s
        if is_time or len(set(counts)) > 1:
            self._level()
            self._level_again_s = now_s + _LEVEL_AFTER_S
        self._look_again_s = now_s + _AGAIN_AFTER_S

    def _level(self) -> None:
        """Sets in each partition what any has. Read as numbers: the bits are no text."""
        words = [part for word in range(_WORDS) for part in ("GET", f"u{_WORD}", f"#{word}")]
        with store_errors():
            pipe = self._connection.client.pipeline()
            for partition in self._connection.partitions:
                pipe.execute_command("BITFIELD_RO", partition.devices, *words)
            answers = answers_of(pipe)
        of_any = [0] * _WORDS
        for answer in answers:
            if not isinstance(answer, Exception):
                of_any = [had | has for had, has in zip(of_any, answer, strict=True)]
        for partition, answer in zip(self._connection.partitions, answers, strict=True):
            if not isinstance(answer, Exception):
                self._mark([partition], _lacking(of_any, answer))

    def _mark(self, partitions: Iterable[Partition], marks: Sequence[int]) -> None:
        with store_errors():
            pipe = self._connection.client.pipeline()
            for partition in partitions:
                for mark in marks:
                    pipe.setbit(partition.devices, mark, 1)
            answers_of(pipe)


def _lacking(wanted: Sequence[int], found: Sequence[int]) -> list[int]:
    """The marks in the words of one and not in those of the other."""
    missing = [want & ~have for want, have in zip(wanted, found, strict=True)]
    return [
        number * _WORD + bit
        for number, word in enumerate(missing)
        for bit in range(_WORD)
        if word >> (_WORD - 1 - bit) & 1
    ]
