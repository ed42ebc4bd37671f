"""`traceparent` and `tracestate`, as W3C Trace Context says: what is not valid is ignored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.core.trace_context import TraceContext

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01"


def test_a_traceparent_is_read_and_written_as_it_was() -> None:
    found = TraceContext.read(VALID, "a=1,b@c=2 3")
    assert found == TraceContext(TRACE, SPAN, 1, "a=1,b@c=2 3")
    assert found.sampled
    assert found.headers() == (("traceparent", VALID), ("tracestate", "a=1,b@c=2 3"))
    assert TraceContext.read(found.traceparent, found.state) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "x" * 10_240,
        VALID[:-1],
        VALID.upper(),
        f" {VALID}",
        f"{VALID}\n",
        f"{VALID}-more",
        f"{VALID}0",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-0g",
        f"00-{TRACE}-{SPAN}-٠١",
        f"cc-{TRACE}-{SPAN}-01x",
        None,
        7,
        [VALID],
        VALID.encode(),
        "\ud800" * 55,
    ],
)
def test_what_is_no_traceparent_is_none(text: object) -> None:
    assert TraceContext.read(text) is None


def test_a_later_version_is_read_as_the_first() -> None:
    for text in (
        f"cc-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be",
        f"01{VALID[2:]}-" + "x" * 9000,
    ):
        assert TraceContext.read(text) == TraceContext(TRACE, SPAN, 1)


def test_flags_without_a_meaning_are_not_passed_on() -> None:
    found = TraceContext.read(f"00-{TRACE}-{SPAN}-fe")
    assert found is not None
    assert (found.sampled, found.traceparent) == (False, f"00-{TRACE}-{SPAN}-02")


@pytest.mark.parametrize(
    "state",
    [
        "no-equals",
        "A=1",
        "a=1,a=2",
        "a=",
        "a=\x00",
        "a=é",
        "a=1\r\nx: y",
        "=1",
        "a@b@c=1",
        f"{'k' * 257}=1",
        f"a={'v' * 257}",
        ",".join(f"k{number}=1" for number in range(33)),
        "a=1," * 5000,
        7,
        ["a=1"],
    ],
)
def test_a_tracestate_that_is_not_valid_is_left_out_and_the_trace_stays(state: object) -> None:
    assert TraceContext.read(VALID, state) == TraceContext(TRACE, SPAN, 1)


def test_a_long_tracestate_loses_long_members_first_then_the_oldest() -> None:
    long = f"long={'v' * 200}"
    short = [f"k{number}={'v' * 30}" for number in range(20)]
    found = TraceContext.read(VALID, ",".join([short[0], long, *short[1:]]))
    assert found is not None
    assert len(found.state) <= 512
    kept = found.state.split(",")
    assert kept == short[: len(kept)]
    assert len(kept) > 10


def test_empty_members_and_spaces_are_passed_over() -> None:
    found = TraceContext.read(VALID, " a=1 ,\t, b=2,")
    assert found is not None
    assert found.state == "a=1,b=2"


def test_a_request_has_one_traceparent_and_any_number_of_tracestates() -> None:
    parent = (b"traceparent", VALID.encode())
    found = TraceContext.of_headers(
        [(b"host", b"x"), (b"tracestate", b"a=1"), parent, (b"tracestate", b"b=2")]
    )
    assert found == TraceContext(TRACE, SPAN, 1, "a=1,b=2")
    assert TraceContext.of_headers([parent, parent]) is None
    assert TraceContext.of_headers([(b"tracestate", b"a=1")]) is None
    assert TraceContext.of_headers([(b"traceparent", b"\xff" * 55)]) is None


@given(st.text(max_size=80), st.text(max_size=600))
def test_whatever_comes_what_goes_out_is_valid(parent: str, state: str) -> None:
    for text in (parent, VALID, VALID + parent):
        found = TraceContext.read(text, state)
        if found is not None:
            assert TraceContext.read(found.traceparent, found.state) == found
            assert all(value.isascii() and value.isprintable() for _, value in found.headers())
