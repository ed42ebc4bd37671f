"""When the egress proxy is left alone, and for how long."""

import logging
from collections.abc import Callable

import pytest

from webrtc_events.core.outcomes import SinkAnswer, SinkFailure, SinkReply
from webrtc_events.delivery.proxy_circuit import FAILURES_TO_OPEN, MAX_PAUSE_S, ProxyCircuit

SINK = "https://sink.example/"
DIRECT = "https://internal.example/"
FAILS = SinkFailure("proxy", "refused", 1)
NO_TUNNEL = SinkFailure("tunnel", "CONNECT tunnel failed, response 503", 1)
WORKS = SinkAnswer(204, None, 1)


@pytest.fixture
def make() -> Callable[..., ProxyCircuit]:
    def make(random: Callable[[], float] = lambda: 1.0) -> ProxyCircuit:
        return ProxyCircuit(lambda url: url != DIRECT, random)

    return make


def fail(circuit: ProxyCircuit, count: int = FAILURES_TO_OPEN, now_s: float = 0.0) -> None:
    for _ in range(count):
        circuit.replied(SINK, FAILS, now_s)


def test_some_failures_in_a_row_open_it(make: Callable[..., ProxyCircuit]) -> None:
    circuit = make()
    fail(circuit, FAILURES_TO_OPEN - 1)
    assert circuit.delay_s(SINK, 0.0) == 0
    fail(circuit, 1)
    assert circuit.open
    assert circuit.delay_s(SINK, 0.0) > 0


@pytest.mark.parametrize(
    "reply", [WORKS, SinkAnswer(500, None, 1), NO_TUNNEL, SinkFailure("tls", "", 1)], ids=repr
)
def test_whatever_gets_as_far_as_the_proxy_closes_it(
    reply: SinkReply, make: Callable[..., ProxyCircuit]
) -> None:
    """A client whose sinks are down must not hold up the others."""
    circuit = make()
    fail(circuit, FAILURES_TO_OPEN - 1)
    circuit.replied(SINK, reply, 0.0)
    fail(circuit, FAILURES_TO_OPEN - 1)
    assert not circuit.open
    fail(circuit, 1)
    circuit.replied(SINK, reply, 0.0)
    assert circuit.delay_s(SINK, 0.0) == 0


@pytest.mark.parametrize("reason", ["address_refused", "other", "protocol"])
def test_what_never_came_to_the_proxy_says_nothing_of_it(
    reason: str, make: Callable[..., ProxyCircuit]
) -> None:
    """A subscription to `localhost` must not have a proxy that is down asked again and again."""
    circuit = make()
    fail(circuit, FAILURES_TO_OPEN - 1)
    circuit.replied(SINK, SinkFailure(reason, "", 0), 0.0)
    fail(circuit, 1)
    assert circuit.open
    circuit.replied(SINK, SinkFailure(reason, "", 0), 0.0)
    assert circuit.open
    assert circuit.delay_s(SINK, 0.0) > 0


def test_what_goes_round_the_proxy_is_not_held_up_and_says_nothing(
    make: Callable[..., ProxyCircuit],
) -> None:
    circuit = make()
    fail(circuit)
    assert circuit.delay_s(DIRECT, 0.0) == 0
    circuit.replied(DIRECT, WORKS, 0.0)
    assert circuit.open


def test_one_probe_goes_at_a_time_and_the_pause_grows(make: Callable[..., ProxyCircuit]) -> None:
    circuit = make()
    fail(circuit)
    now_s, pauses, last_s = 0.0, [], 0.0
    while len(pauses) < 6:
        now_s += 0.125
        if circuit.delay_s(SINK, now_s) == 0:
            pauses.append(now_s - last_s)
            last_s = now_s
            # Those that come with it wait.
            assert circuit.delay_s(SINK, now_s) > 0
            circuit.replied(SINK, FAILS, now_s)
    assert pauses == [1.0, 2.0, MAX_PAUSE_S, MAX_PAUSE_S, MAX_PAUSE_S, MAX_PAUSE_S]


def test_a_probe_that_never_ends_is_followed_by_another(make: Callable[..., ProxyCircuit]) -> None:
    circuit = make()
    fail(circuit)
    assert circuit.delay_s(SINK, 1.0) == 0
    assert circuit.delay_s(SINK, 1.5) > 0
    assert circuit.delay_s(SINK, 2.0) == 0


def test_what_was_in_flight_when_it_opened_does_not_lengthen_the_pause(
    make: Callable[..., ProxyCircuit],
) -> None:
    circuit = make()
    fail(circuit, 500)
    assert circuit.delay_s(SINK, 1.0) == 0


def test_what_waits_is_spread(make: Callable[..., ProxyCircuit]) -> None:
    draws = iter([0.0] + [number / 100 for number in range(100)])
    circuit = make(lambda: next(draws))
    fail(circuit)
    delays = {circuit.delay_s(SINK, 0.0) for _ in range(100)}
    assert len(delays) == 100
    assert max(delays) <= 3 * MAX_PAUSE_S


def test_the_operator_reads_of_it_once_in_a_while_and_of_its_end(
    make: Callable[..., ProxyCircuit], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    circuit = make()
    fail(circuit, 1_000)
    [line] = caplog.messages
    assert "the egress proxy fails" in line
    assert "refused" in line
    fail(circuit, 1_000, now_s=59.0)
    assert len(caplog.messages) == 1
    fail(circuit, 1_000, now_s=61.0)
    assert "for 61 s" in caplog.messages[1]
    circuit.replied(SINK, WORKS, 70.0)
    assert caplog.messages[2:] == ["the egress proxy works again, after 70 s; what waited is delivered"]
    circuit.replied(SINK, WORKS, 71.0)
    assert len(caplog.messages) == 3


def test_a_few_failures_are_not_worth_a_line(
    make: Callable[..., ProxyCircuit], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    circuit = make()
    fail(circuit, FAILURES_TO_OPEN - 1)
    circuit.replied(SINK, WORKS, 1.0)
    assert caplog.messages == []
