"""What the benchmarks make of what they have seen: nothing lost, doubled or overtaken goes unnoticed."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench.programs import module


@pytest.mark.parametrize(
    ("came", "lost", "doubled", "overtaken"),
    [
        (["a.1", "b.1", "a.2", "b.2"], 0, 0, 0),
        (["a.1", "b.1", "b.2"], 1, 0, 0),
        (["a.1", "a.2", "a.2", "b.1", "b.2"], 0, 1, 0),
        (["a.2", "a.1", "b.1", "b.2"], 0, 0, 1),
        (["a.1", "a.2", "b.1", "b.2", "-"], 0, 1, 0),
        ([], 4, 0, 0),
    ],
)
def test_a_drain_is_judged_by_what_came(came: list[str], lost: int, doubled: int, overtaken: int) -> None:
    arrivals = module("harness.arrivals")
    assert arrivals.verdict(came, targets=2, per_target=2) == arrivals.Verdict(lost, doubled, overtaken)


def test_every_event_of_a_job_is_posted_once_and_is_as_large_as_was_asked() -> None:
    job = module("harness.job").Job("", "", "", ("https://a", "https://b"), targets=3, events=2)
    posts = list(job.all_posts())
    assert len(set(posts)) == 6
    assert {url for url, _ in posts} == {"https://a/inbox/0", "https://b/inbox/1", "https://a/inbox/2"}
    assert all(abs(len(body) - job.body_bytes) <= 50 for _, body in posts)


def test_ratios_are_of_rounds_that_ran_one_after_the_other() -> None:
    assert module("harness.report").paired_ratio([2.0, 8.0, 9.0], [1.0, 4.0, 3.0]) == 2.0


def test_the_first_second_is_not_in_a_latency() -> None:
    pairs = [(0.0, 0.5), *((1.0 + number / 100, 1.0 + number / 100 + 0.002) for number in range(100))]
    latencies = module("harness.pacing").Latencies.of(pairs)
    assert latencies.p50 == pytest.approx(2.0)
    assert latencies.p99 == pytest.approx(2.0)


def test_the_quick_table_has_its_rows() -> None:
    quick, draining = module("quick"), module("harness.draining")
    drained = draining.Drained(6000.0, 6000.0, 0.1, 0.02, 2.0, 0.1, 0.1, 0, 0, 0)
    measured = module("harness.acceptance").Measured(5000.0, 1.0, 2.0, 0.1, 0.1, 20.0)
    accepted = {
        scenario.name: {quick.SERVICE: [measured], quick.acceptance.FLASK: [measured]}
        for scenario in quick.SCENARIOS
    }
    latencies = module("harness.pacing").Latencies(100.0, 2.0, 8.0)
    rows = quick.rows({quick.SERVICE: [drained], quick.LIBCURL: [drained]}, accepted, latencies)
    assert [row[0] for row in rows] == [
        "drain, deliveries/s",
        "worker CPU, s/1,000",
        "store CPU, s/1,000",
        "store commands a delivery",
        "store round trips a delivery",
        "publish, batches of 100, events/s",
        "publish, single, events/s",
        "publish to receipt at 100/s, p50 ms",
        "publish to receipt at 100/s, p99 ms",
    ]
    assert rows[0][1:4] == (6000.0, 6000.0, "x 1.00")


def test_a_table_is_markdown() -> None:
    text = module("harness.report").table(("", "per s"), [("one", 1234.5), ("two", None)])
    assert text.splitlines() == ["|     | per s |", "| --- | ----: |", "| one | 1,234 |", "| two |     - |"]


def test_a_plot_is_svg_with_a_bar_for_each_value(tmp_path: Path) -> None:
    path = tmp_path / "plot.svg"
    path.write_text(module("harness.plots").bars("A < B", "note", [("webrtc-events", 3.0), ("other", 1.5)]))
    bars = ElementTree.parse(path).findall("{http://www.w3.org/2000/svg}rect")[1:]  # noqa: S314 (our own)
    assert [float(bar.attrib["width"]) for bar in bars] == [370.0, 185.0]


def test_what_comes_again_is_in_order_if_it_came_first_in_order() -> None:
    recovery, arrivals = module("recovery"), module("harness.arrivals")
    came = [(1.0, "a.1"), (1.1, "a.2"), (14.0, "a.1"), (14.1, "a.2"), (14.2, "a.3")]
    assert arrivals.verdict(recovery.firsts(came), 1, 3) == arrivals.Verdict(0, 0, 0)
    came = [(1.0, "a.1"), (14.0, "a.3"), (14.1, "a.2")]
    assert arrivals.verdict(recovery.firsts(came), 1, 3) == arrivals.Verdict(0, 0, 1)
