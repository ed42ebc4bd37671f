"""Where heads and bodies end in what comes over a connection: a parser is given one after the other."""

import re

__all__ = ["Framing", "InvalidFramingError"]

# Of a head, of the line that says how long a chunk is, of trailers.
_MAX_BYTES = 32 * 1024
_LINE_END = b"\r\n"
_END = _LINE_END * 2
# Of an end, what may have come with the piece before.
_OVERLAP = len(_END) - 1
# No request begins with less: control characters, a space, an empty line.
_FIRST_VISIBLE = 0x21
# RFC 9112, 7.1. The line may not be whole yet.
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,20})(?:;[^\r\n]*)?(?:\r\n|\r?\Z)")


class InvalidFramingError(Exception):
    """A head, or what is around chunks, is too long or not as RFC 9112 has it."""


class Framing:
    """What has come and is not parsed yet.

    Lines of heads end in CR LF. Where a bare LF does too, what is in front may see one line where there are
    two, and with it another request (RFC 9112, 2.2).
    """

    def __init__(self) -> None:
        self.in_body = False
        self._unparsed = bytearray()
        # How many bytes of a head that is not complete have been looked at.
        self._seen = 0
        self._is_chunked = False
        # Of the body, or of the chunk and the line end behind it.
        self._left = 0
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
        self._is_chunked = is_chunked
        self._left = 0 if is_chunked else length

    def end_body(self) -> None:
        self.in_body = False

    def piece(self) -> bytes:
        """What is to be parsed next: a head, or what there is of its body; nothing if more has to come.

        Of a chunked body, lines that are not whole stay here.

        Raises:
            InvalidFramingError: it begins no request, or no chunk.
        """
        if not self._unparsed:
            return b""
        if not self.in_body:
            return self._head()
        if self._is_chunked:
            return self._taken(self._end_of_chunks())
        taken = self._taken(self._left)
        self._left -= len(taken)
        return taken

    def _head(self) -> bytes:
        head = self._unparsed
        found = head.find(_END, max(0, self._seen - _OVERLAP))
        end = len(head) if found < 0 else found + len(_END)
        if head[0] < _FIRST_VISIBLE or end > _MAX_BYTES or self._has_bare_line_feed(end):
            raise InvalidFramingError
        self._seen = end if found < 0 else 0
        return b"" if found < 0 else self._taken(end)

    def _has_bare_line_feed(self, end: int) -> bool:
        """Before `end`, in what has not been looked at."""
        first = max(0, self._seen - 1)
        pairs = self._unparsed.count(b"\r\n", first, end)
        return self._unparsed.count(b"\n", max(first, self._seen), end) != pairs

    def _end_of_chunks(self) -> int:
        """Up to the end of the body, or as far as lines are whole. The parser checks what is between them."""
        at, come = 0, len(self._unparsed)
        while at < come and self._is_chunked:
            if not self._left:
                begin = self._begin_chunk(at)
                if begin == at:
                    break
                at = begin
            passed = min(self._left, come - at)
            self._left -= passed
            at += passed
        return at

    def _begin_chunk(self, at: int) -> int:
        """Where its data begins, or the trailers of the last one end; `at` itself if more has to come."""
        size = _CHUNK_SIZE.match(self._unparsed, at)
        if size is None:
            raise InvalidFramingError
        octets = int(size[1], 16)
        mark = _LINE_END if octets else _END
        found = self._unparsed.find(mark, size.end(1))
        end = len(self._unparsed) if found < 0 else found + len(mark)
        if end - at > _MAX_BYTES:
            raise InvalidFramingError
        if found < 0:
            return at
        self._is_chunked = octets > 0
        self._left = octets + len(_LINE_END) if octets else 0
        return end

    def _taken(self, count: int) -> bytes:
        taken = bytes(memoryview(self._unparsed)[:count])
        del self._unparsed[:count]
        return taken
