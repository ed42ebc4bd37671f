import re
import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.core.model import TerminationReason
from webrtc_events.core.outcomes import (
    Delivered,
    Drop,
    End,
    Outcome,
    Retry,
    SinkAnswer,
    SinkFailure,
    SinkReply,
)
from webrtc_events.delivery.retry_policy import decide

NOW_S = 1_800_000_000.0
HOUR_MS = 3_600_000


def outcome(
    reply: SinkReply,
    *,
    attempt: int = 1,
    remaining_ms: int = HOUR_MS,
    credentialed: bool = False,
    random: float = 0.5,
    now_s: float = NOW_S,
) -> Outcome:
    return decide(
        reply,
        attempt=attempt,
        remaining_ms=remaining_ms,
        credentialed=credentialed,
        random=lambda: random,
        now_s=now_s,
    )


def answer(status: int, retry_after: str | None = None) -> SinkAnswer:
    return SinkAnswer(status, retry_after, elapsed_ms=5)


def expected(status: int, *, credentialed: bool) -> Outcome:
    """The policy, written a second time and in another way."""
    match status:
        case _ if status // 100 == 2:
            return Delivered()
        case 410:
            return End(TerminationReason.NETWORK_TERMINATED, notify=False)
        case 401 if credentialed:
            return End(TerminationReason.ACCESS_TOKEN_EXPIRED, notify=True)
        case 404 | 408 | 425 | 429:
            return Retry(500, f"http_{status}")
        case _ if status // 100 == 5:
            return Retry(500, f"http_{status}")
        case _:
            return Drop("refused", f"HTTP {status}")


@pytest.mark.parametrize("credentialed", [False, True])
@pytest.mark.parametrize("remaining_ms", [HOUR_MS, 1])
def test_every_status_has_its_outcome(remaining_ms: int, credentialed: bool) -> None:
    for status in range(100, 1000):
        wanted = expected(status, credentialed=credentialed)
        if isinstance(wanted, Retry):
            wanted = Retry(min(wanted.delay_ms, remaining_ms), wanted.reason)
        assert outcome(answer(status), credentialed=credentialed, remaining_ms=remaining_ms) == wanted


@pytest.mark.parametrize(
    "reason", ["dns", "connect", "timeout", "tls", "address_refused", "protocol", "too_large", "other"]
)
def test_failure_is_retried_under_its_own_reason(reason: str) -> None:
    assert outcome(SinkFailure(reason, "detail", 5)) == Retry(500, reason, "detail")


@pytest.mark.parametrize("remaining_ms", [0, -1, -HOUR_MS])
def test_retryable_reply_after_the_deadline_drops_the_event(remaining_ms: int) -> None:
    failed = outcome(SinkFailure("dns", "no such host", 5), remaining_ms=remaining_ms)
    assert failed == Drop("deadline_exceeded", "dns: no such host")
    assert outcome(answer(503, "5"), remaining_ms=remaining_ms) == Drop("deadline_exceeded", "http_503")


@pytest.mark.parametrize("status", [204, 400, 410, 401])
def test_final_answer_counts_even_after_the_deadline(status: int) -> None:
    late = outcome(answer(status), remaining_ms=-1, credentialed=True)
    assert late == expected(status, credentialed=True)


@pytest.mark.parametrize(
    ("attempt", "longest_ms"),
    [(1, 1_000), (2, 2_000), (3, 4_000), (6, 32_000), (7, 60_000), (8, 60_000), (10**9, 60_000)],
)
def test_backoff_doubles_up_to_a_minute_with_full_jitter(attempt: int, longest_ms: int) -> None:
    def delay_ms(random: float) -> int:
        result = outcome(answer(500), attempt=attempt, random=random)
        assert isinstance(result, Retry)
        return result.delay_ms

    assert delay_ms(0.0) == 0
    assert delay_ms(0.25) == longest_ms // 4
    assert delay_ms(1 - 2**-53) == longest_ms


def date(offset_s: int) -> str:
    return format_datetime(datetime.fromtimestamp(NOW_S + offset_s, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("retry_after", "delay_ms"),
    [
        (None, 500),
        ("", 500),
        ("0", 500),
        ("7", 7_000),
        (" 7 ", 7_000),
        ("007", 7_000),
        ("0000000007", 7_000),
        ("3600", HOUR_MS),
        ("3601", HOUR_MS),
        ("9" * 5000, HOUR_MS),
        ("-7", 500),
        ("+7", 500),
        ("7.5", 500),
        ("7s", 500),
        ("\u0667", 500),
        ("soon", 500),
        (date(30), 30_000),
        (date(-30), 500),
        (date(10**6), HOUR_MS),
        ("Friday, 15-Jan-27 08:00:20 GMT", 20_000),
        ("Fri Jan 15 08:00:20 2027", 20_000),
        ("Fri, 32 Jan 2027 08:00:20 GMT", 500),
        ("Fri, 15 Jan 2027", 500),
        ("Fri", 500),
        ("15 Jan 2027 08:00:20 GMT", 500),
        ("Fri, 15 Jan 2027 10:00:20 +0200", 20_000),
    ],
)
def test_retry_after_is_the_least_delay(retry_after: str | None, delay_ms: int) -> None:
    for status in (429, 503, 404):
        assert outcome(answer(status, retry_after)) == Retry(delay_ms, f"http_{status}"), status


def test_a_date_is_in_gmt_wherever_the_process_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        assert outcome(answer(503, "Fri Jan 15 08:00:20 2027")) == Retry(20_000, "http_503")
    time.tzset()


def test_backoff_longer_than_retry_after_stands() -> None:
    assert outcome(answer(503, "2"), attempt=4, random=0.5) == Retry(4_000, "http_503")


replies = st.one_of(
    st.builds(
        SinkAnswer,
        st.integers(100, 999),
        st.none() | st.text() | st.integers().map(str) | st.from_regex(re.compile("(Mon|Fri).*")),
        st.integers(0, 10_000),
    ),
    st.builds(SinkFailure, st.sampled_from(["dns", "timeout"]), st.text(), st.integers(0, 10_000)),
)


@given(
    reply=replies,
    attempt=st.integers(1, 10**6),
    remaining_ms=st.integers(-(10**6), 10**9),
    credentialed=st.booleans(),
    random=st.floats(0, 1, exclude_max=True),
    now_s=st.floats(0, 4e9),
)
def test_delay_never_leaves_the_remaining_time(
    reply: SinkReply, attempt: int, remaining_ms: int, credentialed: bool, random: float, now_s: float
) -> None:
    result = outcome(
        reply,
        attempt=attempt,
        remaining_ms=remaining_ms,
        credentialed=credentialed,
        random=random,
        now_s=now_s,
    )
    if isinstance(result, Retry):
        assert 0 <= result.delay_ms <= remaining_ms
    if remaining_ms <= 0:
        assert not isinstance(result, Retry)
