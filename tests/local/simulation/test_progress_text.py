"""What a terminal shows of a simulation."""

from dataclasses import replace

import pytest

from webrtc_events.local.simulation.call_plan import CallPlan
from webrtc_events.local.simulation.progress import Progress, State
from webrtc_events.local.simulation.progress_text import progress_line, summary
from webrtc_events.local.simulation.request import SimulationRequest

_RUNNING = Progress(
    id="a1",
    request=SimulationRequest(call=CallPlan(), calls=10_000, rate=500),
    state=State.RUNNING,
    started_at_ms=0,
    elapsed_s=12.34,
    behind_s=0.4,
    calls_started=6170,
    events=50_000,
    accepted=30_000,
    failed=2,
    notifications=30_000,
    message="",
    registration="r-1",
    sessions=("m-1",),
)


def test_line_says_how_far_it_is() -> None:
    line = progress_line(_RUNNING)
    assert line == "calls 6170 of 10000, accepted 30000 of 50000, failed 2, 12 s"
    assert progress_line(replace(_RUNNING, behind_s=3.6)) == f"{line}, 4 s behind"
    most = replace(
        _RUNNING, calls_started=10_000, accepted=50_000, failed=50_000, elapsed_s=86_400, behind_s=9e4
    )
    assert len(progress_line(most)) < 100


@pytest.mark.parametrize("state", [State.FINISHED, State.STOPPED])
def test_summary_says_what_came_of_it(state: State) -> None:
    assert summary(replace(_RUNNING, state=state)) == [
        f"{state}: calls 6170 of 10000, accepted 30000 of 50000, failed 2, notifications 30000, in 12.3 s"
    ]


def test_summary_has_the_latest_error_as_one_line_that_can_be_printed() -> None:
    *_, error = summary(replace(_RUNNING, message="\x1b[31mred\n" + "x" * 1000))
    assert error.startswith("The latest error: ")
    assert error.isprintable()
    assert len(error) < 330


@pytest.mark.parametrize(
    ("changes", "is_said"),
    [
        ({}, True),
        ({"notifications": 1}, False),
        ({"accepted": 0}, False),
        ({"state": State.FAILED}, False),
    ],
)
def test_summary_says_if_nothing_will_arrive(changes: dict[str, object], is_said: bool) -> None:
    done = replace(_RUNNING, state=State.FINISHED, notifications=0)
    found = any("No active subscription" in line for line in summary(replace(done, **changes)))
    assert found == is_said
