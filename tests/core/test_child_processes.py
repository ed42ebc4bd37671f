"""Processes that are started, replaced and stopped by their parent; time is the test's."""

import os
import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.harness.clocks import SteppedClock
from tests.harness.commands import eventually
from webrtc_events.core.child_processes import ChildProcesses

READY = "import signal, socket, sys; socket.socket(fileno=int(sys.argv[-1])).send(b'x'); signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + READY


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


Begin = Callable[..., ChildProcesses]


@pytest.fixture
def begin(clock: SteppedClock) -> Iterator[Begin]:
    begun: list[ChildProcesses] = []

    def make(program: str, count: int = 1) -> ChildProcesses:
        begun.append(ChildProcesses([sys.executable, "-c", program], os.environ, count, clock))
        return begun[-1]

    yield make
    for children in begun:
        children.kill()
        children.stop()


def until_ready(children: ChildProcesses) -> None:
    def ready() -> bool:
        assert children.watch() is None
        return children.ready

    eventually(ready)


def test_all_must_be_ready(begin: Begin) -> None:
    children = begin(READY, 3)
    assert not children.ready
    until_ready(children)
    assert len(set(children.pids)) == 3


def test_one_that_ends_at_once_is_not_started_again_and_again(begin: Begin) -> None:
    children = begin("import sys; sys.exit(7)")
    assert eventually(children.watch) == 7
    assert children.pids == []


def test_who_ends_over_and_over_is_started_less_and_less_often(
    begin: Begin, clock: SteppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    children = begin(READY)
    until_ready(children)

    def delay_after_a_kill() -> float:
        os.kill(children.pids[0], signal.SIGKILL)
        eventually(lambda: children.watch() is None and not children.pids)
        before_s = clock.elapsed
        while not children.pids:
            clock.elapsed += 0.25
            assert children.watch() is None
        return clock.elapsed - before_s

    assert [delay_after_a_kill() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    # One that ran well for a while is replaced soon.
    clock.elapsed += 61
    assert delay_after_a_kill() == 0.5
    assert "process 1 (pid" in caplog.text
    assert "ended by SIGKILL; another starts in 0.5 s" in caplog.text


def test_the_others_go_on_meanwhile(begin: Begin) -> None:
    children = begin(READY, 2)
    until_ready(children)
    first, second = children.pids
    os.kill(first, signal.SIGKILL)
    eventually(lambda: children.watch() is None and children.pids == [second])
    assert children.ready


def test_what_does_not_stop_is_killed(
    begin: Begin, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("webrtc_events.core.child_processes._KILL_AFTER_S", 0.2)
    children = begin(DEAF)
    until_ready(children)
    children.stop()
    assert "does not stop; killed" in caplog.text
    assert children.pids == []


def test_stopping_waits_for_all(begin: Begin) -> None:
    children = begin(READY, 2)
    until_ready(children)
    pids = children.pids
    children.stop()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
