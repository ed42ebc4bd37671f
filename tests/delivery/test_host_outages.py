"""Which hosts are probed before their cool-downs are over."""

from webrtc_events.delivery.host_outages import HostOutages


def began(*hosts: str, at_s: float = 0.0) -> HostOutages:
    outages = HostOutages(100)
    for host in hosts:
        outages.begin(host, at_s)
    return outages


def test_two_that_became_unreachable_at_the_same_time_are_probed() -> None:
    outages = began("a", "b", "c", "d")
    assert outages.end("a", 0.0) == ["d", "c"]


def test_each_that_is_back_finds_two_more_and_none_twice() -> None:
    outages = began(*(f"h{number}" for number in range(15)))
    back, found = ["h0"], []
    while back:
        probed = outages.end(back.pop(0), 0.0)
        assert len(probed) <= 2
        found += probed
        back += probed
    assert sorted(found) == sorted(f"h{number}" for number in range(1, 15))


def test_one_that_was_unreachable_before_is_left_alone() -> None:
    outages = began("long")
    outages.begin("a", 5.1)
    outages.begin("b", 5.1)
    assert outages.end("a", 5.1) == ["b"]
    assert outages.end("b", 5.0) == ["long"]


def test_one_that_became_unreachable_later_is_probed() -> None:
    outages = began("a")
    outages.begin("b", 600.0)
    assert outages.end("a", 0.0) == ["b"]


def test_one_that_was_probed_in_vain_is_not_probed_again_in_that_outage() -> None:
    outages = began("flaps", "silent")
    assert outages.end("flaps", 0.0) == ["silent"]
    outages.begin("flaps", 1.0)
    assert outages.end("flaps", 1.0) == []
    # It was back, and is unreachable anew.
    outages.begin("silent", 2.0)
    outages.begin("flaps", 2.0)
    assert outages.end("flaps", 2.0) == ["silent"]


def test_of_too_many_those_unreachable_for_longest_are_forgotten() -> None:
    outages = HostOutages(2)
    for host in ("a", "b", "c"):
        outages.begin(host, 0.0)
    assert outages.end("elsewhere", 0.0) == ["c", "b"]
    assert outages.end("elsewhere", 0.0) == []
