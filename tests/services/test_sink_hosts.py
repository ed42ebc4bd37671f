"""Hosts as all workers and the store see them, the worst first."""

from webrtc_events.core.process_report import HostReport, HostState, WorkerReport
from webrtc_events.services.sink_hosts import MAX_SHOWN, SinkHost, sink_hosts
from webrtc_events.store.backlog import HostWaiting


def worker(*hosts: HostReport) -> WorkerReport:
    return WorkerReport(hosts=hosts)


def test_a_host_that_several_workers_name_is_one() -> None:
    first = worker(HostReport("https://a:443", HostState.SLOW, 2.5, 3, limit=8))
    second = worker(HostReport("https://a:443", HostState.OPEN, 12.0, 1, limit=1))
    third = worker(HostReport("https://a:443", HostState.OPEN, 40.0, 0))
    waiting = {"https://a:443": HostWaiting(2, 9)}
    assert sink_hosts([first, second, third], waiting) == [
        SinkHost("https://a:443", HostState.OPEN, 40.0, 4, 3, HostWaiting(2, 9), limit=1)
    ]


def test_the_worst_come_first_then_those_that_most_waits_for() -> None:
    reports = worker(
        HostReport("https://slow:443", HostState.SLOW, 2.0, 0),
        HostReport("https://throttled:443", HostState.THROTTLED, 2.0, 0),
        HostReport("https://open:443", HostState.OPEN, 2.0, 0),
    )
    waiting = {
        "https://little:443": HostWaiting(1, 1),
        "https://much:443": HostWaiting(1, 100),
        "https://slow:443": HostWaiting(1, 5),
    }
    names = [
        host.host.removeprefix("https://").removesuffix(":443") for host in sink_hosts([reports], waiting)
    ]
    assert names == ["open", "throttled", "slow", "much", "little"]


def test_of_very_many_some_are_shown() -> None:
    waiting = {f"https://h{number}:443": HostWaiting(1, number) for number in range(500)}
    found = sink_hosts([], waiting)
    assert len(found) == MAX_SHOWN
    assert found[0].host == "https://h499:443"
