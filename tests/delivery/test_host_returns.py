"""What is hastened once a host answers again, how much of it, and whose."""

import tracemalloc
from collections import Counter

import pytest

from webrtc_events.delivery.host_returns import HostReturns
from webrtc_events.delivery.host_signals import Error, Healthy, HostSignal, Throttled, Unreachable
from webrtc_events.store.retries import WaitingRetry

HEALTHY = Healthy()


class Returns:
    """Host returns with their clock, each host with room for as many as `room` says."""

    def __init__(self, room: int = 8, *, max_kept: int = 10_000, max_under_way: int = 512) -> None:
        self.of = HostReturns(max_kept, max_under_way)
        self.room = room
        self.now_s = 100.0
        self.clients: dict[str, tuple[str, str]] = {}

    def keep(self, count: int, host: str = "h", client: str = "c", wait_s: float = 60.0) -> "Returns":
        for _ in range(count):
            retry = WaitingRetry(f"s-{len(self.clients)}", 3)
            self.clients[retry.subscription_id] = host, client
            self.of.keep(host, client, retry, self.now_s + wait_s, self.now_s, answers=False)
        return self

    def replied(self, host: str = "h", signal: HostSignal = HEALTHY) -> "Returns":
        self.of.replied(host, signal)
        return self

    def next(self) -> list[str]:
        self.now_s += 0.01
        return [retry.subscription_id for retry in self.of.next(self.now_s, lambda _: self.room)]

    def all(self, laps: int = 100) -> list[str]:
        """All that is hastened if each comes before the next."""
        found = []
        for _ in range(laps):
            hastened = self.next()
            found += hastened
            for subscription_id in hastened:
                self.of.came(subscription_id)
        return found


def test_nothing_is_hastened_before_its_host_answers() -> None:
    returns = Returns().keep(10)
    assert returns.next() == []
    assert returns.replied("other").next() == []
    assert returns.of.wait_s(returns.now_s) == float("inf")


def test_a_host_that_answers_gets_as_many_as_it_has_room_for() -> None:
    returns = Returns(room=4).keep(10).replied()
    first = returns.next()
    assert first == ["s-0", "s-1", "s-2", "s-3"]
    assert returns.next() == []
    returns.of.came("s-0")
    assert returns.next() == ["s-4"]


def test_a_reply_that_is_not_good_stops_it_until_the_next_good_one() -> None:
    for signal in (Unreachable(), Error(), Throttled(0)):
        returns = Returns(room=4).keep(10).replied()
        assert len(returns.next()) == 4
        returns.replied(signal=signal)
        for number in range(4):
            returns.of.came(f"s-{number}")
        assert returns.next() == []
        assert len(returns.replied().next()) == 4


def test_a_host_without_room_gets_nothing() -> None:
    returns = Returns(room=0).keep(1).replied()
    assert returns.next() == []
    returns.room = 1
    assert returns.next() == ["s-0"]


def test_what_is_due_by_itself_is_not_hastened() -> None:
    returns = Returns().keep(1, wait_s=1.0).keep(1, wait_s=2.0).replied()
    returns.now_s += 1.5
    assert returns.next() == ["s-1"]


def test_what_waits_only_now_for_a_host_that_answers_by_now_is_hastened() -> None:
    returns = Returns()
    returns.of.keep("h", "c", WaitingRetry("late", 3), 200.0, 100.0, answers=True)
    assert returns.next() == ["late"]


@pytest.mark.parametrize("signal", [HEALTHY, Unreachable()], ids=["good", "bad"])
def test_once_all_have_come_there_is_nothing_to_wait_for(signal: HostSignal) -> None:
    """A wait of no time, again and again, would keep a core busy."""
    returns = Returns().keep(2).replied()
    while hastened := returns.next():
        for subscription_id in hastened:
            returns.of.came(subscription_id)
        returns.replied(signal=signal)
    for _ in range(3):
        returns.now_s += 1
        assert returns.next() == []
    assert returns.of.wait_s(returns.now_s) == float("inf")


def test_there_is_a_pause_between_calls() -> None:
    returns = Returns(room=1).keep(2).replied()
    assert returns.next() == ["s-0"]
    returns.of.came("s-0")
    wait_s = returns.of.wait_s(returns.now_s)
    assert wait_s == pytest.approx(0.01)
    assert returns.of.next(returns.now_s + wait_s / 2, lambda _: 1) == []
    assert len(returns.of.next(returns.now_s + wait_s, lambda _: 1)) == 1


def test_nobody_waits_for_a_host_that_has_no_more_room() -> None:
    returns = Returns(room=1).keep(2).replied()
    returns.next()
    returns.next()
    assert returns.of.wait_s(returns.now_s) == float("inf")
    returns.replied()
    assert returns.of.wait_s(returns.now_s) == pytest.approx(0.01)


def test_what_another_worker_claimed_counts_for_two_seconds() -> None:
    returns = Returns(room=4).keep(10).replied()
    assert len(returns.next()) == 4
    returns.now_s += 1.9
    assert returns.next() == []
    returns.now_s += 0.1
    assert len(returns.next()) == 4


def test_no_more_than_a_bounded_number_is_hastened_at_once_or_under_way() -> None:
    returns = Returns(room=100)
    for number in range(1000):
        returns.keep(3, host=f"h{number}", client=f"c{number % 10}")
    for number in range(1000):
        returns.replied(f"h{number}")
    counts = [len(returns.next()) for _ in range(4)]
    assert max(counts) == 256
    assert 448 <= sum(counts) <= 512


def test_all_hosts_that_are_back_are_served_soon() -> None:
    """Of a thousand hosts none waits behind the many retries of the others."""
    returns = Returns(room=8)
    for number in range(1000):
        returns.keep(10, host=f"h{number}", client="greedy")
        returns.replied(f"h{number}")
    # One client may fill four fifths of what is kept.
    served = Counter(returns.clients[name][0] for name in returns.all(laps=5))
    assert (len(served), max(served.values())) == (800, 2)
    assert len(returns.all(laps=50)) == 8000 - served.total()


def test_a_client_does_not_wait_behind_another_whose_hosts_are_many() -> None:
    returns = Returns(room=8)
    for number in range(900):
        returns.keep(8, host=f"h{number}", client="greedy").replied(f"h{number}")
    returns.keep(100, host="other", client="small").replied("other")
    shares = Counter(returns.clients[name][1] for name in returns.next())
    assert shares["small"] == 8


def test_what_a_client_has_under_way_leaves_something_to_others() -> None:
    returns = Returns(room=1000).keep(1000, client="greedy").replied()
    assert sum(len(returns.next()) for _ in range(5)) == 512 * 4 // 5 + 1
    returns.keep(5, host="other", client="small").replied("other")
    assert len(returns.next()) == 5


def test_clients_of_one_host_take_turns() -> None:
    returns = Returns(room=8).keep(20, client="a").keep(20, client="b").replied()
    assert Counter(returns.clients[name][1] for name in returns.next()) == {"a": 4, "b": 4}


def test_a_host_that_is_worth_a_probe_gets_one() -> None:
    returns = Returns().keep(5)
    returns.of.replied("elsewhere", HEALTHY, ["h", "unknown"])
    assert returns.of.wait_s(returns.now_s) <= 0.01
    assert returns.next() == ["s-0"]
    assert returns.next() == []


def test_a_host_that_is_back_for_one_answer_at_a_time_is_given_few() -> None:
    """Its circuit closes and opens every second, for a minute: two permits at a time, eight on their way."""
    returns = Returns(room=8).keep(1000, wait_s=600)
    given: Counter[str] = Counter()
    for _ in range(60):
        given.update(returns.replied().next())
        returns.replied(signal=Unreachable())
        returns.now_s += 1
    assert sum(given.values()) <= 60 * 8
    # What is postponed once more goes behind all others.
    assert max(given.values()) == 1


@pytest.mark.slow
def test_what_is_kept_of_a_hundred_thousand_takes_a_bounded_memory() -> None:
    tracemalloc.start()
    try:
        returns = HostReturns()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(100_000):
            retry = WaitingRetry(f"{number:032x}-{number % 64:02x}", 1_800_000_000_000 + number)
            returns.keep(f"h{number % 7}", f"c{number % 11}", retry, 1e6 + number, 0.0, answers=False)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 25_000_000
