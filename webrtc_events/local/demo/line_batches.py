"""Reads the lines of a stream in batches."""

from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Thread
from typing import BinaryIO

from webrtc_events.local.local_error import LocalError

__all__ = ["Line", "batches"]

_MAX_EVENTS = 100
_MAX_BYTES = 512 * 1024
_READ_AHEAD = 1000


@dataclass(frozen=True, slots=True)
class Line:
    """`fault`: why the line cannot be sent at all. `size` counts its bytes in the file."""

    number: int
    size: int
    text: bytes
    fault: str | None = None


_Read = Callable[[int, bytes], Line]


def batches(stream: BinaryIO, read: _Read) -> Iterator[list[Line]]:
    """What has been read so far, up to a full batch: events of a live pipe do not wait for it to fill.

    `read` makes a `Line` of a line's number, from 1, and its bytes.
    """
    waiting: Queue[Line | BaseException | None] = Queue(_READ_AHEAD)
    Thread(target=_fill, args=(stream, read, waiting), name="reader", daemon=True).start()
    carried: Line | None = None
    while True:
        first = carried or waiting.get()
        carried = None
        if first is None:
            return
        if isinstance(first, BaseException):
            raise LocalError(f"cannot read the events: {first}") from first
        batch, size = [first], first.size
        while len(batch) < _MAX_EVENTS:
            try:
                following = waiting.get_nowait()
            except Empty:
                break
            if not isinstance(following, Line):
                waiting.put(following)  # The last of all: it is seen again when this batch is sent.
                break
            if size + following.size > _MAX_BYTES:
                carried = following
                break
            batch.append(following)
            size += following.size
        yield batch


def _fill(stream: BinaryIO, read: _Read, waiting: "Queue[Line | BaseException | None]") -> None:
    try:
        for number, line in enumerate(stream, start=1):
            # Some editors begin a file with a byte order mark.
            raw = line.removeprefix(BOM_UTF8) if number == 1 else line
            if raw.strip():
                waiting.put(read(number, raw))
    except (OSError, ValueError) as error:
        waiting.put(error)
    else:
        waiting.put(None)
