"""Frames out of the pieces in which they come."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.gateways.kamailio.netstrings import (
    MAX_FRAME,
    FrameReader,
    NotNetstrings,
    netstring,
    netstrings,
)


def read(pieces: Iterable[bytes]) -> list[bytes]:
    reader = FrameReader()
    return [frame for piece in pieces for frame in reader.frames(piece)]


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 9))
def test_frames_come_out_as_they_went_in_whatever_the_pieces(payloads: list[bytes], size: int) -> None:
    data = b"".join(map(netstring, payloads))
    assert read(data[at : at + size] for at in range(0, len(data), size)) == payloads
    assert netstrings(data) == payloads


@given(st.binary(max_size=200))
def test_anything_is_either_frames_or_refused(data: bytes) -> None:
    try:
        found = netstrings(data)
    except NotNetstrings:
        return
    assert sum(map(len, found)) < max(1, len(data))


@pytest.mark.parametrize(
    "data",
    [b"x", b":", b":,", b"-1:,", b"1x:a,", b"1:ab,", b"+3:abc,", b" 1:a,", b"99999999:", b"99999999"],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(NotNetstrings):
        read([data])


def test_a_frame_that_would_be_too_long_is_refused_before_it_comes() -> None:
    with pytest.raises(NotNetstrings, match="too long"):
        read([b"%d:" % (MAX_FRAME + 1)])


def test_a_frame_that_is_not_whole_is_no_list() -> None:
    with pytest.raises(NotNetstrings, match="not whole"):
        netstrings(b"3:ab")
