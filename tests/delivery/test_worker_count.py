"""How many workers share the partitions is news once those that run have had the time to say so."""

from webrtc_events.delivery.worker_count import WorkerCount

POLL_S = 1.5


def test_a_worker_that_comes_or_goes_is_news_once() -> None:
    count = WorkerCount(POLL_S)
    assert [count.heard(workers, POLL_S * n) for n, workers in enumerate([1, 2, 2, 3, 1, 1])] == [
        *(None, 1, None),
        *(2, 3, None),
    ]


def test_after_an_outage_those_who_come_back_within_some_polls_were_never_gone() -> None:
    """Counted from the first answer: the last failure may be from long before."""
    count = WorkerCount(POLL_S)
    assert count.heard(2, 0.0) == 1
    count.missed()
    assert count.heard(1, 100.0) is None
    assert count.heard(1, 105.9) is None
    assert count.heard(2, 107.0) is None
    count.missed()
    assert count.heard(1, 200.0) is None
    assert count.heard(1, 206.0) == 2


def test_a_process_that_stood_still_does_not_know_who_is_gone() -> None:
    count = WorkerCount(POLL_S)
    assert count.heard(2, 0.0) == 1
    assert count.heard(1, 60.0) is None
    assert count.heard(2, 61.5) is None
    assert count.heard(1, 66.5) == 2


def test_one_that_is_slow_to_ask_hears_of_changes_all_the_same() -> None:
    count = WorkerCount(POLL_S)
    assert [count.heard(workers, 5.0 * n) for n, workers in enumerate([1, 2, 1])] == [None, 1, 2]
