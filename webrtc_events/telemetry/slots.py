"""One file without a name, which several processes share: a slot for what each of them says of itself.

Nothing of it is left when they have ended, and no other process finds it. A slot has two halves, which are
written in turns: while one is written, the other is whole.
"""

import logging
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from struct import Struct
from typing import Final

import msgspec

from webrtc_events.telemetry.snapshot import Snapshot, ended

__all__ = ["MAX_SLOTS", "SlotTooSmall", "Slots"]

log = logging.getLogger(__name__)

MAX_SLOTS: Final = 512

_HALF_BYTES: Final = 64 * 1024
# Number of the write, length and checksum of what follows.
_HEAD: Final = Struct("<QII")
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Snapshot)


class SlotTooSmall(Exception):
    """What a process says of itself does not fit."""


class Slots:
    """`descriptor`: of the file, which children inherit. One process writes to a slot at a time."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._written: dict[int, int] = {}
        self._unread: set[int] = set()

    @classmethod
    def make(cls) -> "Slots":
        """A file that is in memory, where the system has such, and else in the folder for temporary files.

        Raises:
            OSError: there is no room for it.
        """
        if hasattr(os, "memfd_create"):
            with suppress(OSError):
                return cls(os.memfd_create("webrtc-events metrics"))
        with tempfile.TemporaryFile(prefix="webrtc-events-metrics-") as file:
            return cls(os.dup(file.fileno()))

    def write(self, number: int, snapshot: Snapshot) -> None:
        """
        Raises:
            SlotTooSmall: what was in the slot stays.
            OSError: it could not be written.
        """
        content = _ENCODER.encode(snapshot)
        if len(content) > _HALF_BYTES - _HEAD.size:
            raise SlotTooSmall(f"{len(content)} bytes of metrics do not fit into {_HALF_BYTES}")
        if number not in self._written:
            self._written[number] = max((count for count, _ in self._halves(number)), default=0)
        count = self._written[number] + 1
        head = _HEAD.pack(count, len(content), zlib.crc32(content))
        place = _place(number, count % 2)
        os.pwrite(self.descriptor, head + content, place)
        self._written[number] = count

    def read(self, number: int) -> Snapshot | None:
        """What was written last; None: nothing was, or it is damaged."""
        for _, content in sorted(self._halves(number), reverse=True):
            try:
                return _DECODER.decode(content)
            except msgspec.MsgspecError as error:
                # It came whole: its writer is of another release.
                if number not in self._unread:
                    self._unread.add(number)
                    log.warning("the metrics of a process are not as they should be: %s", error)
        return None

    def read_all(self) -> list[Snapshot]:
        """Of all that was ever written to."""
        count = min(MAX_SLOTS, -(-os.fstat(self.descriptor).st_size // _place(1, 0)))
        return [snapshot for number in range(count) if (snapshot := self.read(number)) is not None]

    def note_end(self, number: int) -> None:
        """The process that wrote to the slot has ended: what it counted stays.

        Raises:
            OSError: see `write`.
        """
        snapshot = self.read(number)
        # Another process wrote to it since this one did.
        self._written.pop(number, None)
        if snapshot is not None:
            self.write(number, ended(snapshot))

    def close(self) -> None:
        os.close(self.descriptor)

    def _halves(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Those that are whole: the number of the write, and what was written."""
        for half in range(2):
            raw = os.pread(self.descriptor, _HALF_BYTES, _place(number, half))
            if len(raw) < _HEAD.size:
                continue
            count, length, checksum = _HEAD.unpack_from(raw)
            content = raw[_HEAD.size : _HEAD.size + length]
            if count and len(content) == length and zlib.crc32(content) == checksum:
                yield count, content


def _place(number: int, half: int) -> int:
    return (2 * number + half) * _HALF_BYTES
