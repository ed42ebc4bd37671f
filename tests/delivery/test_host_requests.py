"""Which requests to a host are in turn, overtaken, late, and which hang."""

from collections.abc import Sequence

from webrtc_events.delivery.host_health import StartedRequest
from webrtc_events.delivery.host_requests import HostRequests, Permit


def in_flight(*moments_s: float, slow: Sequence[int] = ()) -> tuple[HostRequests, list[Permit]]:
    requests = HostRequests()
    permits = [
        Permit("h", "c", number, StartedRequest(0, number, moment_s), prompt=True, slow=number in slow)
        for number, moment_s in enumerate(moments_s)
    ]
    for permit in permits:
        requests.add(permit)
    return requests, permits


def test_the_oldest_in_turn_says_for_how_long_there_was_no_answer() -> None:
    requests, permits = in_flight(1.0, 2.0, 4.0)
    assert requests.age_s(5.0) == 4.0
    requests.remove(permits[1])
    requests.answered(permits[1].started)
    assert requests.age_s(5.0) == 1.0
    requests.remove(permits[2])
    assert requests.age_s(5.0) == 0.0
    assert requests.count == 1


def test_an_answer_overtakes_nothing_that_was_started_later() -> None:
    requests, permits = in_flight(1.0, 2.0, 3.0)
    requests.remove(permits[0])
    requests.answered(permits[0].started)
    assert requests.age_s(5.0) == 3.0
    assert requests.age(100.0, 0.25, 1.0) == []
    assert (len(requests.late), len(requests.hanging)) == (0, 0)


def test_what_is_overtaken_is_late_and_then_hangs() -> None:
    requests, permits = in_flight(1.0, 1.5, 2.0)
    requests.remove(permits[2])
    requests.answered(permits[2].started)
    assert list(requests.age(1.2, 0.25, 1.0)) == []
    assert (len(requests.late), len(requests.hanging), requests.slow) == (0, 0, 0)
    assert list(requests.age(1.25, 0.25, 1.0)) == []
    assert (len(requests.late), len(requests.hanging), requests.slow) == (1, 0, 0)
    assert list(requests.age(2.0, 0.25, 1.0)) == [permits[0]]
    assert (len(requests.late), len(requests.hanging), requests.slow) == (1, 1, 1)
    assert [permit.hangs for permit in permits] == [True, False, False]
    assert list(requests.age(9.0, 0.25, 1.0)) == [permits[1]]
    for permit in permits[:2]:
        requests.remove(permit)
    assert (requests.count, len(requests.late), len(requests.hanging), requests.slow) == (0, 0, 0, 0)


def test_one_of_a_slow_path_is_counted_once() -> None:
    requests, permits = in_flight(1.0, 2.0, slow=[0])
    assert requests.slow == 1
    requests.remove(permits[1])
    requests.answered(permits[1].started)
    assert list(requests.age(9.0, 0.25, 1.0)) == [permits[0]]
    assert requests.slow == 1
    requests.remove(permits[0])
    assert requests.slow == 0


def test_what_is_of_before_the_circuit_opened_is_in_flight_and_no_more() -> None:
    requests, permits = in_flight(1.0, 2.0, 3.0, 4.0)
    requests.remove(permits[1])
    requests.answered(permits[1].started)
    requests.age(9.0, 0.25, 1.0)
    requests.open()
    assert (requests.count, len(requests.late), requests.age_s(9.0)) == (3, 0, 0.0)
    requests.answered(StartedRequest(1, 9, 8.0))
    assert requests.age(99.0, 0.25, 1.0) == []
    for permit in (permits[0], permits[2], permits[3]):
        requests.remove(permit)
    assert (requests.count, requests.slow) == (0, 0)
