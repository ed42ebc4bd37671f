"""Where heads and bodies end in what comes over a connection: a parser is given one after the other."""

__all__ = ["Framing", "InvalidFramingError"]

_MAX_HEAD_BYTES = 32 * 1024
_END = b"\r\n\r\n"
# Of an end, what may have come with the piece before.
_OVERLAP = len(_END) - 1
# No request begins with less: control characters, a space, an empty line.
_FIRST_VISIBLE = 0x21


class InvalidFramingError(Exception):
    """A head is too long, or not as RFC 9112 has it."""


class Framing:
    """What has come and is not parsed yet.

    Lines of heads end in CR LF. Where a bare LF does too, what is in front may see one line where there are
    two, and with it another request (RFC 9112, 2.2).
    """

    def __init__(self) -> None:
        self.in_body = False
        self._unparsed = bytearray()
        # Of a head that is not complete, so many bytes have been looked at.
        self._seen = 0
        # Of the body. None: it is chunked.
        self._left: int | None = 0
        # The last bytes of chunks that were given out.
        self._tail = b""
        self._closed = False

    @property
    def has_begun(self) -> bool:
        """Whether some of the next head, or body, has come."""
        return bool(self._unparsed)

    def add(self, data: bytes) -> None:
        if not self._closed:
            self._unparsed += data

    def close(self) -> None:
        """Whatever comes from now on is of no request."""
        self._closed = True
        self._unparsed.clear()

    def begin_body(self, length: int, *, is_chunked: bool) -> None:
        """A head was complete; its body has `length` bytes unless it is chunked."""
        self.in_body = True
        self._left = None if is_chunked else length
        self._tail = b""

    def end_body(self) -> None:
        self.in_body = False

    def piece(self) -> bytes:
        """What is to be parsed next: a head, or what there is of its body; nothing if more has to come.

        Raises:
            InvalidFramingError: it begins no request.
        """
        if not self._unparsed:
            return b""
        if not self.in_body:
            return self._head()
        if self._left is None:
            return self._taken(self._end_of_chunks())
        taken = self._taken(self._left)
        self._left -= len(taken)
        return taken

    def _head(self) -> bytes:
        head = self._unparsed
        found = head.find(_END, max(0, self._seen - _OVERLAP))
        end = len(head) if found < 0 else found + len(_END)
        if head[0] < _FIRST_VISIBLE or end > _MAX_HEAD_BYTES or self._has_bare_line_feed(end):
            raise InvalidFramingError
        self._seen = end if found < 0 else 0
        return b"" if found < 0 else self._taken(end)

    def _has_bare_line_feed(self, end: int) -> bool:
        """Before `end`, in what has not been looked at."""
        first = max(0, self._seen - 1)
        pairs = self._unparsed.count(b"\r\n", first, end)
        return self._unparsed.count(b"\n", max(first, self._seen), end) != pairs

    def _end_of_chunks(self) -> int:
        """Up to what may be their end: if it is, the parser says so, and what follows is another request."""
        found = (self._tail + self._unparsed).find(_END)
        end = len(self._unparsed) if found < 0 else found + len(_END) - len(self._tail)
        self._tail = b"" if found >= 0 else bytes(self._tail + self._unparsed[:end])[-_OVERLAP:]
        return end

    def _taken(self, count: int) -> bytes:
        taken = bytes(memoryview(self._unparsed)[:count])
        del self._unparsed[:count]
        return taken
