"""Netstrings, `length:bytes,`: the frames of Kamailio's evapi, and the fields within them. Pure.

Source: D. J. Bernstein, Netstrings, 1997.
"""

from collections.abc import Iterator
from typing import Final

__all__ = ["MAX_FRAME", "FrameReader", "NotNetstrings", "netstring", "netstrings"]

MAX_FRAME: Final = 1 << 20
"""In bytes. The largest record has a body of WEBRTC_EVENTS_MAX_BODY, and the contacts of two addresses."""

_MAX_DIGITS: Final = len(str(MAX_FRAME))


class NotNetstrings(ValueError):
    """The bytes are something else."""


def netstring(payload: bytes) -> bytes:
    return b"%d:%b," % (len(payload), payload)


def netstrings(data: bytes) -> list[bytes]:
    """All of them.

    Raises:
        NotNetstrings: there is something else, or the last one is not whole.
    """
    reader = FrameReader()
    found = list(reader.frames(data))
    if reader.unread:
        raise NotNetstrings("the last netstring is not whole")
    return found


class FrameReader:
    """Frames out of the pieces in which they arrive. After an error it is not to be used again."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def unread(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._buffer)

    def frames(self, piece: bytes) -> Iterator[bytes]:
        """
        Raises:
            NotNetstrings: these are no frames, or one is longer than MAX_FRAME.
        """
        self._buffer += piece
        start = 0
        try:
            while (span := self._next(start)) is not None:
                first, end = span
                yield bytes(self._buffer[first:end])
                start = end + 1
        finally:
            del self._buffer[:start]

    def _next(self, start: int) -> tuple[int, int] | None:
        """Where the payload of the next frame begins and ends; None: it is not whole yet."""
        colon = self._buffer.find(b":", start, start + _MAX_DIGITS + 1)
        digits = bytes(self._buffer[start : colon if colon >= 0 else start + _MAX_DIGITS + 1])
        if (digits and not digits.isdigit()) or (colon >= 0 and not digits):
            raise NotNetstrings("a length was expected")
        if colon < 0:
            if len(digits) > _MAX_DIGITS:
                raise NotNetstrings("a length was expected")
            return None
        size = int(digits)
        if size > MAX_FRAME:
            raise NotNetstrings(f"a frame of {size} bytes is too long")
        end = colon + 1 + size
        if end >= len(self._buffer):
            return None
        if self._buffer[end] != ord(","):
            raise NotNetstrings("a frame does not end where it should")
        return colon + 1, end
