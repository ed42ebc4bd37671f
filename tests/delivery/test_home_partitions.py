"""Several workers share the partitions, and none is left to nobody."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.delivery.claim_schedule import ClaimSchedule
from webrtc_events.delivery.home_partitions import AWAY_S, HomePartitions

NAMES = st.lists(st.text("0123456789abcdef", min_size=1), min_size=1, max_size=100, unique=True)


@given(running=NAMES, partitions=st.integers(1, 256))
def test_each_partition_is_at_home_with_one_and_none_has_more_than_another(
    running: list[str], partitions: int
) -> None:
    homes = {name: HomePartitions(name) for name in running}
    for home in homes.values():
        # The store names them in any order, and some of them twice.
        home.share(running[::-1] + running[:1])
    owners = Counter(name for name, home in homes.items() for number in range(partitions) if number in home)
    assert owners.total() == partitions
    assert max(owners.values()) - min(owners[name] for name in running) <= 1


def test_who_knows_of_nobody_or_is_not_known_itself_has_all() -> None:
    home = HomePartitions("one")
    for running in ([], ["one"], ["two", "three"]):
        home.share(["one", "two"])
        assert sum(number in home for number in range(64)) == 32
        home.share(running)
        assert all(number in home for number in range(64))


def shared() -> tuple[ClaimSchedule, int, int]:
    """The schedule of one of two workers, a partition at home there, and one that is not."""
    home = HomePartitions("one")
    home.share(["one", "two"])
    ours = next(number for number in range(64) if number in home)
    return ClaimSchedule(64, 50, home), ours, ours ^ 1


def asked(schedule: ClaimSchedule, now_s: float) -> list[int]:
    numbers, share = schedule.next(1000, now_s, max_partitions=1000)
    schedule.asked(share, {}, 0, now_s)
    return numbers


def test_what_is_noticed_away_from_home_is_asked_a_moment_later_and_once() -> None:
    schedule, ours, theirs = shared()
    for _ in range(1000):
        schedule.notice(theirs)
    schedule.notice(ours)
    assert asked(schedule, 0.0) == [ours]
    schedule.notice(theirs)
    assert asked(schedule, AWAY_S / 2) == []
    assert 0 < schedule.wait_s(AWAY_S / 2) <= AWAY_S
    assert asked(schedule, AWAY_S + 0.05) == [theirs]
    assert schedule.wait_s(AWAY_S + 0.05) == float("inf")
    # And again, whenever it is noticed again.
    schedule.notice(theirs)
    assert asked(schedule, 1.0) == []
    assert asked(schedule, 1.3) == [theirs]


def test_what_is_left_away_from_home_is_gone_on_with_a_moment_later() -> None:
    """The one whose home it is may be behind, or gone."""
    schedule, _, theirs = shared()
    schedule.notice(theirs)
    assert asked(schedule, 0.0) == []
    numbers, share = schedule.next(1000, 0.3, max_partitions=1000)
    assert numbers == [theirs]
    schedule.asked(share, {theirs: share}, 0, 0.3)
    assert asked(schedule, 0.4) == []
    assert asked(schedule, 0.7) == [theirs]


def test_a_retry_away_from_home_is_made_in_time() -> None:
    """Nobody else knows of it."""
    schedule, _, theirs = shared()
    schedule.ask_later(theirs, 1.0, 0.0)
    assert asked(schedule, 1.05) == [theirs]
