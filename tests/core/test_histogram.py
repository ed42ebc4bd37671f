"""Histograms of plain numbers."""

import threading

from webrtc_events.core.histogram import Histogram, SharedHistogram


def test_a_value_is_in_the_first_bound_that_it_does_not_exceed() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.0, 1.0, 1.5, 2.0, 2.1, 1e9):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 2]
    assert histogram.total == 0.0 + 1.0 + 1.5 + 2.0 + 2.1 + 1e9


def test_no_value_is_lost_when_threads_observe_together() -> None:
    histogram = SharedHistogram((0.5,))

    def observe() -> None:
        for _ in range(5_000):
            histogram.observe(1.0)

    threads = [threading.Thread(target=observe) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert histogram.counts == [0, 40_000]
    assert histogram.total == 40_000.0
