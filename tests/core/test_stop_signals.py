"""A signal may come at any moment, in the middle of a wait for it too."""

import signal
import subprocess
import sys
import threading

from webrtc_events.core.stop_signals import StopSignals

# A signal before each step of a wait in turn, until there is none left. It prints how many there are.
AT_EACH_STEP = """
import signal, sys
from webrtc_events.core.stop_signals import StopSignals

def steps_of(wait, at, signals):
    left = [at]
    def trace(frame, event, argument):
        frame.f_trace_opcodes = True
        if event == "opcode":
            left[0] -= 1
            if left[0] == 0:
                sys.settrace(None)
                for number in signals:
                    signal.raise_signal(number)
        return trace
    sys.settrace(trace)
    try:
        asked = wait()
    finally:
        sys.settrace(None)
    return at - left[0], asked

for signals in ([signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]):
    at, done = 1, False
    while not done:
        with StopSignals() as stop:
            steps, asked = steps_of(lambda: stop.wait(0.001), at, signals)
            done = steps < at
            assert done or stop.asked() and stop.wait(0), at
            assert stop.hurried() == (not done and len(signals) > 1), at
        at += 1
    print(at)
"""


def test_a_signal_in_the_middle_of_a_wait_is_heard() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_EACH_STEP], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(int(steps) > 5 for steps in done.stdout.split())


def test_the_first_asks_to_stop_and_the_second_to_hurry() -> None:
    with StopSignals() as stop:
        assert not stop.asked()
        assert not stop.wait(0)
        signal.raise_signal(signal.SIGTERM)
        assert stop.asked()
        assert not stop.hurried()
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGINT)
        assert stop.hurried()
        assert stop.wait(60)
        assert stop.wait(-1)


def test_all_who_wait_hear_of_it() -> None:
    heard: list[bool] = []
    with StopSignals() as stop:
        threads = [threading.Thread(target=lambda: heard.append(stop.wait(60))) for _ in range(5)]
        for thread in threads:
            thread.start()
        signal.raise_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
    assert heard == [True] * 5


def test_what_was_begun_ends_unless_it_is_hurried() -> None:
    done = threading.Event()
    with StopSignals() as stop:
        signal.raise_signal(signal.SIGTERM)
        stop.finish(done.set)
        assert done.is_set()
        never = threading.Event()
        threading.Timer(0.05, signal.raise_signal, [signal.SIGTERM]).start()
        stop.finish(lambda: never.wait(60))
        assert stop.hurried()
        never.set()
