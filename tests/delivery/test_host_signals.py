"""What a reply says about its host, as the table in the docstring has it."""

import pytest

from webrtc_events.core.outcomes import SinkAnswer, SinkFailure
from webrtc_events.delivery.host_signals import Error, Healthy, HostSignal, Throttled, Unreachable, signal_of

NOW_S = 1_800_000_000.0


def expected(status: int) -> HostSignal:
    match status:
        case 429 | 503:
            return Throttled(0)
        case _ if status // 100 == 5:
            return Error()
        case _:
            return Healthy()


def test_every_status_has_its_host_signal() -> None:
    for status in range(100, 1000):
        assert signal_of(SinkAnswer(status, None, 5), NOW_S) == expected(status)


@pytest.mark.parametrize(
    ("text", "pause_s"),
    [
        ("7", 7),
        ("0", 0),
        ("soon", 0),
        ("Fri, 15 Jan 2027 08:00:20 GMT", 20),
        ("Fri, 15 Jan 2027 07:59:00 GMT", 0),
        ("Fri, 32 Jan 2027 08:00:20 GMT", 0),
        ("9" * 5000, 366 * 24 * 3600),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_who_asks_for_less_may_say_for_how_long(status: int, text: str, pause_s: float) -> None:
    assert signal_of(SinkAnswer(status, text, 5), NOW_S) == Throttled(pause_s)


@pytest.mark.parametrize("status", [204, 404, 500, 502])
def test_retry_after_with_another_status_is_meant_for_the_event_alone(status: int) -> None:
    assert signal_of(SinkAnswer(status, "7", 5), NOW_S) == expected(status)


@pytest.mark.parametrize("reason", ["dns", "connect", "tls", "timeout", "address_refused"])
def test_a_host_without_any_answer_is_unreachable(reason: str) -> None:
    assert signal_of(SinkFailure(reason, "", 5), NOW_S) == Unreachable()


@pytest.mark.parametrize("reason", ["protocol", "too_large", "other"])
def test_a_bad_answer_tells_nothing(reason: str) -> None:
    assert signal_of(SinkFailure(reason, "", 5), NOW_S) is None


def test_a_multiplexed_answer_is_marked() -> None:
    assert signal_of(SinkAnswer(204, None, 5, multiplexed=True), NOW_S) == Healthy(multiplexed=True)
