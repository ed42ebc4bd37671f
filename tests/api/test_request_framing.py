"""Where heads and bodies end: whatever pieces a request comes in, a parser is given the same."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.api.request_framing import _MAX_BYTES, Framing, InvalidFramingError

HEAD = b"POST /a HTTP/1.1\r\nHost: x\r\n\r\n"
CUTS = st.lists(st.integers(0, 80), max_size=8)


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[first:last] for first, last in pairwise(places)]


def parts_of(data: bytes, cuts: list[int], length: int | None) -> list[bytes]:
    """Heads, and bodies of `length` bytes; None: they are chunked, and have a trailer."""
    framing = Framing()
    parts: list[bytes] = []
    body = b""
    for come in pieces_of(data, cuts):
        framing.add(come)
        while piece := framing.piece():
            if not framing.in_body:
                parts.append(piece)
                framing.begin_body(length or 0, is_chunked=length is None)
                body = b""
            else:
                body += piece
            if len(body) == length or (length is None and body.endswith(b"0\r\nx: y\r\n\r\n")):
                parts.append(body)
                framing.end_body()
    assert not framing.has_begun
    return parts


@given(cuts=CUTS)
def test_a_body_of_known_length_ends_where_it_says(cuts: list[int]) -> None:
    body = b"\r\n\r\n{\n}"
    assert parts_of((HEAD + body) * 2, cuts, len(body)) == [HEAD, body] * 2


@given(cuts=CUTS)
def test_chunks_end_behind_their_trailers(cuts: list[int]) -> None:
    body = b"4\r\n\r\n\r\n\r\n5;a=b\r\n0\r\n\r\n\r\n02\r\n{}\r\n0\r\nx: y\r\n\r\n"
    assert parts_of((HEAD + body) * 2, cuts, None) == [HEAD, body] * 2


def chunked(*come: bytes) -> Framing:
    framing = Framing()
    framing.begin_body(0, is_chunked=True)
    for data in come:
        framing.add(data)
    return framing


def test_chunks_are_given_out_together_whatever_is_in_them() -> None:
    """A piece for each empty line in them would cost more than all else that is done with them."""
    data = b"\r\n\r\n" * 1000
    chunks = b"%x\r\n%b\r\n" % (len(data), data) * 3
    assert chunked(chunks).piece() == chunks


@pytest.mark.parametrize(
    "size", [b"x", b"+5", b"-0", b"0x5", b"5 ", b" 5", b"", b"5\n", b"5;a\n", b"5;a\rb", b"5\r\r", b"0" * 21]
)
def test_what_is_no_size_of_a_chunk_is_refused_as_soon_as_it_shows(size: bytes) -> None:
    framing = chunked(b"2\r\n{}\r\n", size or b"\r\n")
    with pytest.raises(InvalidFramingError):
        framing.piece()


@pytest.mark.parametrize("begin", [b"1;", b"0;", b"0\r\nx: ", b"0\r\n"])
@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n\r\n"])
def test_what_is_around_chunks_is_bounded(begin: bytes, end: bytes) -> None:
    framing = chunked(b"2\r\n{}\r\n", begin, (b"a: b\r\n" if begin.endswith(b"\n") else b"aaaaaa") * 6000)
    framing.add(end + (end and b"1"))
    with pytest.raises(InvalidFramingError):
        framing.piece()


@given(cuts=CUTS)
def test_requests_without_a_body_follow_each_other(cuts: list[int]) -> None:
    assert parts_of(HEAD * 3, cuts, 0) == [HEAD, b""] * 3


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\n\r\n",
        b"\r\nGET /",
        b"\nGET",
        b"\x16\x03",
        b" GET",
    ],
)
@given(cuts=CUTS)
def test_what_begins_no_request_is_refused_as_soon_as_it_shows(head: bytes, cuts: list[int]) -> None:
    with pytest.raises(InvalidFramingError):
        parts_of(head, cuts, 0)


@pytest.mark.parametrize("rest", [b"", b"\r\n\r\n"])
def test_a_head_is_bounded(rest: bytes) -> None:
    framing = Framing()
    framing.add(HEAD[:-4] + b"\r\nx: " + b"x" * _MAX_BYTES + rest)
    with pytest.raises(InvalidFramingError):
        framing.piece()


def test_behind_the_last_request_nothing_is_kept() -> None:
    framing = Framing()
    framing.add(HEAD)
    framing.close()
    framing.add(HEAD)
    assert framing.piece() == b""
    assert not framing.has_begun
