"""Whether a sink agrees to be sent notifications."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.core.outcomes import Agreed, Refused, Retry, SinkAnswer, SinkFailure, SinkReply
from webrtc_events.delivery.sink_validation import decide_agreement, origin_header

ORIGIN = "events.operator.example"
HOUR_MS = 3_600_000
LATER = {408, 425, 429, *range(500, 600)} - {501}


def decided(
    reply: SinkReply, *, attempt: int = 1, remaining_ms: int = HOUR_MS, random: float = 0.5
) -> Agreed | Refused | Retry:
    return decide_agreement(
        reply,
        origin=ORIGIN,
        attempt=attempt,
        remaining_ms=remaining_ms,
        random=lambda: random,
        now_s=1_800_000_000.0,
    )


def answer(origin: str | None = ORIGIN, rate: str | None = None, status: int = 200) -> SinkAnswer:
    return SinkAnswer(status, None, 5, allowed_origin=origin, allowed_rate=rate)


def test_the_question_names_the_origin() -> None:
    assert origin_header(ORIGIN) == {"webhook-request-origin": ORIGIN}


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize("origin", [ORIGIN, "*"])
def test_a_sink_that_allows_our_origin_or_any_agrees(status: int, origin: str) -> None:
    assert decided(answer(origin, status=status)) == Agreed(None)


@pytest.mark.parametrize(
    "origin",
    [
        "operator.example",
        f"x{ORIGIN}",
        f"x.{ORIGIN}",
        f"{ORIGIN}.",
        f"{ORIGIN}.evil.example",
        ORIGIN[:-1],
        ORIGIN.upper(),
        ORIGIN.title(),
        f"https://{ORIGIN}",
        f'"{ORIGIN}"',
        f"{ORIGIN}:443",
        f"{ORIGIN}, {ORIGIN}",
        f"{ORIGIN}, *",
        f"other.example, {ORIGIN}",
        f"{ORIGIN} ",
        f"\xa0{ORIGIN}",
        f"{ORIGIN}\x85",
        "*.operator.example",
        "**",
        "null",
        "",
    ],
)
def test_any_other_origin_is_a_refusal(origin: str) -> None:
    assert decided(answer(origin)) == Refused("other_origin")


def test_a_status_alone_is_no_consent() -> None:
    assert decided(answer(None)) == Refused("no_origin")
    assert decided(answer(None, rate="100")) == Refused("no_origin")


@pytest.mark.parametrize(
    ("rate", "agreed"),
    [("1", 1), ("120", 120), ("0120", 120), ("999999999", 999_999_999), ("9" * 40, None), ("*", None)],
)
def test_the_allowed_rate_is_read(rate: str, agreed: int | None) -> None:
    assert decided(answer(rate=rate)) == Agreed(agreed)


@pytest.mark.parametrize(
    "rate", ["0", "00", "-1", "+1", "1.5", "1e3", "", "ten", "100/min", "100, 100", "*, 5", " 5", "٧", "1_0"]
)
def test_a_rate_that_cannot_be_kept_is_no_agreement(rate: str) -> None:
    assert decided(answer(rate=rate)) == Refused("bad_rate")


def test_every_status_has_its_outcome_whatever_the_headers_say() -> None:
    for status in range(200, 600):
        found = decided(answer("*", "5", status))
        if status < 300:
            assert found == Agreed(5), status
        elif status in LATER:
            assert found == Retry(500, f"http_{status}"), status
        else:
            assert found == Refused(f"http_{status}"), status


@pytest.mark.parametrize("reason", ["dns", "connect", "tls", "timeout", "address_refused", "too_large"])
def test_a_sink_that_cannot_be_asked_is_asked_again(reason: str) -> None:
    assert decided(SinkFailure(reason, "why", 5), attempt=3) == Retry(2_000, reason, "why")


@pytest.mark.parametrize(
    ("reply", "retry", "detail"),
    [
        (answer(status=503), Retry(1, "http_503"), "http_503"),
        (SinkFailure("timeout", "10 s", 5), Retry(1, "timeout", "10 s"), "timeout: 10 s"),
        (SinkFailure("timeout", "", 5), Retry(1, "timeout"), "timeout"),
    ],
)
def test_when_no_time_is_left_no_answer_is_a_refusal(reply: SinkReply, retry: Retry, detail: str) -> None:
    assert decided(reply, remaining_ms=1) == retry
    assert decided(reply, remaining_ms=0) == Refused("no_agreement", detail)


def test_an_agreement_counts_also_when_it_comes_late() -> None:
    assert decided(answer(), remaining_ms=-5) == Agreed(None)


def test_retry_after_is_heeded() -> None:
    assert decided(SinkAnswer(429, "120", 5)) == Retry(120_000, "http_429")


@given(st.text(max_size=80))
def test_no_other_text_passes_for_our_origin(text: str) -> None:
    assert isinstance(decided(answer(text)), Agreed) == (text in (ORIGIN, "*"))


def test_a_date_to_ask_again_at_is_kept() -> None:
    reply = msgspec.structs.replace(answer(status=503), retry_after="Fri, 15 Jan 2027 08:00:20 GMT")
    assert decided(reply) == Retry(20_000, "http_503")
