"""What the overview says first: what is wrong, the worst first, and what to do."""

from collections.abc import Mapping
from typing import Any

import pytest

from webrtc_events.console.overview.verdict import Severity, problems_of
from webrtc_events.core.process_report import HostState, ProcessReport
from webrtc_events.services.figures import Figures, Process
from webrtc_events.services.sink_hosts import SinkHost
from webrtc_events.store.activity_log import Minute
from webrtc_events.store.backlog import HostWaiting, Waiting
from webrtc_events.store.durability.findings import Finding, Kind
from webrtc_events.store.durability.node_facts import NodeFacts
from webrtc_events.store.node_status import NodeStatus, StoreStatus

BAD, FAIR = Severity.BAD, Severity.FAIR
DISK = Finding(Kind.NOTHING_ON_DISK, "a:1", "writes nothing to disk. Set this.", "The store writes nothing.")


def process(role: str, age_ms: int = 1000, **report: Any) -> Process:
    values: dict[str, Any] = {"machine": "host", "pid": 7, "version": "1", "started_ms": 0, "at_ms": 0}
    return Process(role, ProcessReport(role=role, **(values | report)), age_ms, {})


def node(used: int | None = 10, watermark: int | None = None) -> NodeStatus:
    return NodeStatus(
        facts=NodeFacts(address="a:1"),
        role="master",
        replicas=0,
        used_bytes=used,
        watermark_bytes=watermark,
        rewriting=False,
        clients=1,
        commands_per_s=1,
        up_s=1,
    )


def well(**changes: Any) -> Figures:
    values: dict[str, Any] = {
        "now_ms": 0,
        "store": StoreStatus([node()], [], []),
        "processes": [process("api"), process("worker")],
        "minutes": [Minute(0, {}, {})],
        "waiting": Waiting(),
    }
    return Figures(**(values | changes))


def said(figures: Figures, **options: bool) -> list[tuple[Severity, str]]:
    return [(problem.severity, problem.text) for problem in problems_of(figures, **options)]


def counted(**counts: int) -> Mapping[str, Any]:
    return {"minutes": [Minute(0, counts, {}), *(Minute(number, {}, {}) for number in range(1, 10))]}


def test_where_all_is_well_nothing_is_said() -> None:
    assert said(well()) == []
    assert said(well(waiting=Waiting(5, 9, late_ms=3000, oldest_ms=60_000, dead_letters=4))) == []


def test_a_store_that_does_not_answer_is_all_that_is_known() -> None:
    assert said(Figures()) == [(BAD, "The store does not answer: nothing is accepted or delivered.")]


def test_a_node_that_does_not_answer_is_named() -> None:
    found = said(well(store=StoreStatus([node()], ["b:2"], [])))
    assert found == [(BAD, "A node of the store does not answer: b:2.")]


@pytest.mark.parametrize(
    ("used", "text"),
    [
        (89, None),
        (91, (FAIR, "The store has 91 % of what it may have (91 B of 100 B at a:1).")),
        (101, (BAD, "The store is above its watermark (101 B of 100 B at a:1): nothing new is accepted.")),
        (None, None),
    ],
)
def test_memory_is_said_before_and_above_the_watermark(used: int | None, text: Any) -> None:
    assert said(well(store=StoreStatus([node(used, 100)], [], []))) == ([text] if text else [])


def test_what_is_wrong_with_the_store_is_said_once() -> None:
    """Processes say it too, beside what only they have seen."""
    lost = "The store lost its latest writes, found out at 10:00."
    speaking = [process("api", troubles=[DISK.detail]), process("worker", troubles=[f"{DISK.detail} {lost}"])]
    figures = well(store=StoreStatus([node()], [], [DISK]), processes=speaking)
    assert said(figures) == [
        (BAD, lost),
        (FAIR, "The store at a:1 writes nothing to disk. Set this."),
    ]
    assert said(figures, durable_required=True)[0][0] is BAD


def test_what_cannot_be_learnt_of_the_store_is_no_problem() -> None:
    unknown = Finding(Kind.NOT_LEARNT, "a:1", "does not say.", "It cannot be shown.")
    assert said(well(store=StoreStatus([node()], [], [unknown]))) == []


def test_a_process_that_is_missing_is_named() -> None:
    processes = [process("api"), process("worker"), process("worker", 40_000)]
    assert said(well(processes=processes)) == [
        (FAIR, "A worker on host (7) is missing: it said nothing for 40 s."),
    ]


def test_without_any_worker_nothing_is_delivered() -> None:
    processes = [process("api"), process("worker", 40_000)]
    found = problems_of(well(processes=processes, waiting=Waiting(3, 9)))
    assert [(problem.severity, problem.text) for problem in found] == [
        (BAD, "No worker runs: nothing is delivered."),
        (FAIR, "A worker on host (7) is missing: it said nothing for 40 s."),
    ]
    assert found[0].action == "3 subscriptions wait. Start one: webrtc-events worker"


def test_workers_of_an_earlier_release_are_no_outage() -> None:
    text = "2 workers of an earlier release run, of which nothing is known here."
    assert said(well(processes=[process("api")], workers=2)) == [(FAIR, text)]
    # It was killed a moment ago, and still counts.
    processes = [process("api"), process("worker", 12_000)]
    assert said(well(processes=processes, workers=0))[0][0] is BAD


def test_without_any_api_nothing_is_accepted() -> None:
    assert said(well(processes=[process("worker")])) == [(BAD, "No API process runs: nothing is accepted.")]


def test_threads_that_stand_still_are_named() -> None:
    processes = [process("api"), process("worker", still=["sweeper"])]
    text = "A worker on host (7) runs, but these of its threads stand still: sweeper."
    assert said(well(processes=processes)) == [(BAD, text)]


@pytest.mark.parametrize(("late_ms", "severity"), [(9_000, None), (20_000, FAIR), (90_000, BAD)])
def test_workers_that_do_not_keep_up_are_seen(late_ms: int, severity: Severity | None) -> None:
    found = [severity for severity, _ in said(well(waiting=Waiting(5, 9, late_ms=late_ms)))]
    assert found == ([severity] if severity else [])


def test_hosts_are_said_by_what_is_wrong_with_them() -> None:
    hosts = [
        SinkHost("https://a:443", HostState.OPEN, 40, 0, 1, HostWaiting(2, 1)),
        SinkHost("https://b:443", HostState.SLOW, 2, 0, 1, HostWaiting(2, 9)),
        SinkHost("https://c:443", HostState.SLOW, 2, 0, 1, HostWaiting(2, 9)),
        SinkHost("https://d:443", None, 0, 0, 0, HostWaiting(2, 900)),
    ]
    assert said(well(hosts=hosts)) == [
        (FAIR, "https://a:443 does not answer; 1 event waits for it."),
        (FAIR, "2 hosts of sinks take longer than a second to answer; 18 events wait for them."),
    ]


def test_what_was_given_up_or_rejected_lately_is_said() -> None:
    assert said(well(**counted(given_up=3, rejected=1))) == [
        (FAIR, "3 notifications were given up in the last 10 minutes."),
        (FAIR, "1 event was rejected in the last 10 minutes."),
    ]
    long_ago = [Minute(0, {"given_up": 3}, {}), *(Minute(number, {}, {}) for number in range(1, 11))]
    assert said(well(minutes=long_ago)) == []


def test_what_cannot_be_read_or_is_not_known_is_said() -> None:
    assert said(well(damaged=2)) == [
        (FAIR, "2 records of these figures cannot be read, and count for nothing.")
    ]
    assert said(well(processes=None, waiting=None, minutes=None)) == [
        (FAIR, "It is not known which processes run.")
    ]
