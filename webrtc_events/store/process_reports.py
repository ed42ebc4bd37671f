"""What the processes of the service say of themselves: kept for a while after the last word of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from webrtc_events.core.process_report import ProcessReport
from webrtc_events.store.activity_log import Minute, read_minutes
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import PROCESSES_KEY, activity_key, process_key
from webrtc_events.store.redis.scripts import WrongType, answers_of, store_errors

__all__ = ["KNOWN_MS", "MAX_PROCESSES", "ProcessReports", "Processes"]

KNOWN_MS: Final = 900_000
"""For how long a process that says nothing more is still known."""

MAX_PROCESSES: Final = 200
"""How many are read, those that spoke last."""

# An hour is shown; what an outage held back is written later.
_ACTIVITY_MS: Final = 7_500_000
_decode = msgspec.json.Decoder(ProcessReport).decode


@dataclass(frozen=True, slots=True)
class Processes:
    """By name, who spoke last first. `now_ms`: the store's time. `damaged`: how many cannot be read."""

    now_ms: int
    reports: Mapping[str, ProcessReport]
    damaged: int = 0


class ProcessReports:
    """No promise depends on these. A store that is full or takes no writes lacks them until it is mended."""

    def __init__(self, connection: Connection) -> None:
        self._client = connection.client

    def now_ms(self) -> int:
        """The store's time.

        Raises:
            Unavailable: the store cannot be reached.
        """
        with store_errors():
            return _ms(self._client.time())

    def say(self, name: str, report: ProcessReport, minutes: Mapping[int, Mapping[str, bytes]]) -> int:
        """Keeps the report, and values of `activity_key` by minute and field. Repeat it at will: it replaces.

        Returns the store's time.

        Raises:
            Unavailable: the store cannot be reached, or takes no writes. Some may be kept.
        """
        key = process_key(name)
        pipe = self._client.pipeline()
        pipe.set(key, msgspec.json.encode(report), px=KNOWN_MS)
        pipe.zadd(PROCESSES_KEY, {name: report.at_ms})
        pipe.zremrangebyscore(PROCESSES_KEY, "-inf", report.at_ms - KNOWN_MS)
        pipe.pexpire(PROCESSES_KEY, KNOWN_MS)
        keys = [key, *[PROCESSES_KEY] * 3]
        for minute, values in minutes.items():
            pipe.hset(activity_key(minute), mapping=dict(values))
            pipe.pexpire(activity_key(minute), _ACTIVITY_MS)
            keys += [activity_key(minute)] * 2
        pipe.time()
        with store_errors():
            *answers, time = answers_of(pipe)
            damaged = {at for at, answer in zip(keys, answers, strict=True) if isinstance(answer, WrongType)}
            for at in damaged:
                # A key of another type, and of no worth: the next report makes it anew.
                self._client.delete(at)
        return _ms(time)

    def minutes(self, last: int, minutes: int) -> list[Minute]:
        """What was counted in that many minutes up to `last`, the oldest first.

        Raises:
            Unavailable: the store cannot be reached.
        """
        return read_minutes(self._client, last, minutes)

    def leave(self, name: str) -> None:
        """The process ends as it should.

        Raises:
            Unavailable: the store cannot be reached, or takes no writes.
        """
        pipe = self._client.pipeline()
        pipe.delete(process_key(name))
        pipe.zrem(PROCESSES_KEY, name)
        with store_errors():
            answers_of(pipe)

    def read(self) -> Processes:
        """All that spoke within `KNOWN_MS`, at most `MAX_PROCESSES`.

        Raises:
            Unavailable: the store cannot be reached.
        """
        pipe = self._client.pipeline()
        pipe.zrange(PROCESSES_KEY, 0, MAX_PROCESSES - 1, desc=True)
        pipe.time()
        with store_errors():
            names, time = answers_of(pipe)
            if isinstance(names, WrongType):
                return Processes(_ms(time), {}, damaged=1)
            for name in names:
                pipe.get(process_key(name))
            texts = answers_of(pipe)
        found: dict[str, ProcessReport] = {}
        damaged = 0
        for name, text in zip(names, texts, strict=True):
            if text is None:
                continue
            try:
                found[name] = _decode(text)
            except (msgspec.MsgspecError, TypeError):
                # TypeError: a key of another type has no text.
                damaged += 1
        return Processes(_ms(time), found, damaged)


def _ms(time: Any) -> int:
    """Of an answer to TIME."""
    seconds, microseconds = time
    return int(seconds * 1000 + microseconds // 1000)
