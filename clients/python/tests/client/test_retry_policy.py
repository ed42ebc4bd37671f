"""Delays, for any failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events_client.client import RetryPolicy, errors
from webrtc_events_client.client.retry_after import retry_after_s

SECONDS = st.floats(0, 1e12)
POLICIES = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 10**6),
    base_s=st.floats(0, 1e3),
    max_delay_s=st.floats(0, 1e5),
    max_elapsed_s=SECONDS,
)


@given(
    policy=POLICIES,
    retry_after=st.none() | SECONDS,
    uncertain=st.booleans(),
    transient=st.booleans(),
    repeatable=st.booleans(),
    attempt=st.integers(1, 10**6),
    elapsed_s=SECONDS,
    random=st.floats(0, 1, exclude_max=True),
)
def test_a_delay_keeps_every_bound(
    policy: RetryPolicy,
    retry_after: float | None,
    uncertain: bool,
    transient: bool,
    repeatable: bool,
    attempt: int,
    elapsed_s: float,
    random: float,
) -> None:
    error = errors.ClientError("failed")
    error.uncertain, error.transient, error.retry_after_s = uncertain, transient, retry_after
    delay = policy.delay_s(error, repeatable=repeatable, attempt=attempt, elapsed_s=elapsed_s, random=random)
    if delay is None:
        return
    assert transient
    assert repeatable or not uncertain
    assert attempt < policy.max_attempts
    assert elapsed_s + delay <= policy.max_elapsed_s
    assert 0 <= delay <= policy.max_delay_s + policy.base_s
    assert retry_after is None or retry_after <= delay


def test_delays_double_up_to_the_bound() -> None:
    policy = RetryPolicy(max_attempts=9, base_s=0.5, max_delay_s=6)
    delays = [
        policy.delay_s(errors.AnswerLost("lost"), repeatable=True, attempt=attempt, elapsed_s=0, random=0)
        for attempt in range(1, 7)
    ]
    assert delays == [0.5, 1, 2, 4, 6, 6]


@pytest.mark.parametrize(
    "wrong", [{"max_attempts": 0}, {"base_s": -1}, {"max_delay_s": -1}, {"max_elapsed_s": -1}]
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="attempt"):
        RetryPolicy(**wrong)  # type: ignore[arg-type]


@given(st.text(), st.text(), st.floats(0, 1e11))
def test_any_text_is_a_delay_or_none(text: str, date: str, now_s: float) -> None:
    delay = retry_after_s({"retry-after": text, "date": date}, now_s)
    assert delay is None or delay >= 0
