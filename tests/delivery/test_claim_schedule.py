"""Which partitions are asked for what is due, when, and for how much."""

import pytest

from webrtc_events.delivery.claim_schedule import ClaimSchedule
from webrtc_events.delivery.home_partitions import HomePartitions


def drained(schedule: ClaimSchedule, now_s: float) -> int:
    """Claims all in vain, round by round, at one moment; how many that were."""
    claimed = 0
    for _ in range(1000):
        numbers, share = schedule.next(1000, now_s, max_partitions=1000)
        if not numbers:
            return claimed
        found = dict.fromkeys(numbers, share)
        in_vain = sum(found.values())
        schedule.asked(share, found, in_vain, now_s)
        claimed += in_vain
    raise AssertionError("it claims without end")


def test_what_is_noticed_is_asked_for_at_once() -> None:
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    assert schedule.next(1000, 0.0, max_partitions=1000) == ([], 0)
    assert schedule.wait_s(0.0) == float("inf")
    schedule.notice(7)
    assert schedule.wait_s(0.0) == 0
    assert schedule.next(1000, 0.0, max_partitions=1000) == ([7], 50)


def test_a_partition_that_gave_all_it_was_asked_for_is_asked_again() -> None:
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    schedule.ask([1, 2], 0.0)
    numbers, share = schedule.next(20, 0.0, max_partitions=1000)
    assert (numbers, share) == ([1, 2], 10)
    schedule.asked(share, {1: 10, 2: 9}, 0, 0.0)
    assert schedule.next(20, 0.0, max_partitions=1000)[0] == [1]


def test_what_becomes_due_while_its_partition_is_asked_is_asked_for_again() -> None:
    """A settle may run after the claim that is under way, and be answered before it."""
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    schedule.notice(7)
    _, share = schedule.next(1000, 0.0, max_partitions=1000)
    schedule.ask([7], 0.0)
    schedule.asked(share, {}, 0, 0.0)
    assert schedule.next(1000, 0.0, max_partitions=1000)[0] == [7]


def asked_at(schedule: ClaimSchedule, now_s: float) -> list[int]:
    return schedule.next(1000, now_s, max_partitions=1000)[0]


def test_what_is_due_later_is_asked_for_then_and_not_before() -> None:
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    for partition, delay_s in ((3, 1.0), (5, 1.001), (3, 1.002), (7, 4.0)):
        schedule.ask_later(partition, delay_s, 100.0)
    assert asked_at(schedule, 100.99) == []
    assert 1.0 <= schedule.wait_s(100.0) <= 1.1
    # Moments that are close together are one, which is none of them too early.
    assert asked_at(schedule, 101.1) == [3, 5]
    schedule.asked(50, {}, 0, 101.1)
    assert asked_at(schedule, 103.9) == []
    assert asked_at(schedule, 104.1) == [7]


def test_many_that_are_due_later_take_little_room() -> None:
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    for number in range(100_000):
        schedule.ask_later(number % 64, number / 1_000, 0.0)
    assert sum(len(partitions) for partitions in schedule._later.values()) <= 64 * 10 / 0.05 + 64
    assert schedule.wait_s(60.0) == 0.0
    assert asked_at(schedule, 60.0) == list(range(64))
    schedule.asked(50, {}, 0, 60.0)
    # What is further off is found when all are asked.
    assert schedule.wait_s(60.0) == float("inf")


def test_claims_in_vain_become_few_and_rare() -> None:
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    claimed = 0
    for tick in range(1000):
        schedule.ask(range(64), 0.0)
        claimed += drained(schedule, tick / 100)
    # In ten seconds: 500 a second, and what it took to find out.
    assert claimed <= 5_000 + 256


def test_what_is_noticed_is_asked_for_also_while_others_are_in_vain() -> None:
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    schedule.ask(range(64), 0.0)
    drained(schedule, 0.0)
    schedule.ask(range(64), 0.0)
    assert 0 < schedule.wait_s(0.0) <= 0.6
    schedule.notice(7)
    numbers, share = schedule.next(1000, 0.0, max_partitions=1000)
    assert numbers == [7]
    # By age, and clients alternate.
    assert share >= 2


def test_once_claims_are_of_use_it_is_as_much_as_before() -> None:
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    schedule.ask(range(64), 0.0)
    drained(schedule, 0.0)
    # Of 64 others four have their turn in between, each time: 32 rounds until none is left.
    for _ in range(40):
        schedule.notice(7)
        _, share = schedule.next(1000, 1.0, max_partitions=1000)
        schedule.asked(share, {7: share}, 0, 1.0)
    schedule.notice(7)
    assert schedule.wait_s(1.0) == 0
    assert schedule.next(1000, 1.0, max_partitions=1000)[1] == 50


@pytest.mark.parametrize(
    ("noticed", "at_once"), [(1, 1000), (5, 2), (12, 4), (17, 1000), (30, 1000), (31, 1)]
)
def test_nobody_is_skipped_while_few_take_turns_with_many(noticed: int, at_once: int) -> None:
    """However few may be asked at once, and however often the same are noticed."""
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    last_asked = dict.fromkeys(range(64), 0)
    for turn in range(1, 1000):
        schedule.ask(range(64), 0.0)
        for number in range(noticed):
            schedule.notice(number)
        numbers, share = schedule.next(1000, 0.0, max_partitions=at_once)
        assert numbers
        schedule.asked(share, dict.fromkeys(numbers, share), 0, 0.0)
        last_asked |= dict.fromkeys(numbers, turn)
        assert turn - min(last_asked.values()) <= 2 * 64


@pytest.mark.parametrize("room", [1, 2, 63, 64, 500])
def test_no_more_is_asked_for_than_there_is_room_and_partitions_alternate(room: int) -> None:
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    asked = set()
    for _ in range(64):
        schedule.ask(range(64), 0.0)
        numbers, share = schedule.next(room, 0.0, max_partitions=room)
        assert 0 < len(numbers) * share <= room
        asked.update(numbers)
        schedule.asked(share, {}, 0, 0.0)
    assert asked == set(range(64))


def test_no_more_partitions_are_asked_than_may_be() -> None:
    """The bytes held may be the bound, however much room there is. All partitions alternate."""
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    schedule.ask(range(64), 0.0)
    assert schedule.next(1000, 0.0, max_partitions=0) == ([], 0)
    asked: list[int] = []
    for _ in range(22):
        numbers, share = schedule.next(1000, 0.0, max_partitions=3)
        assert len(numbers) <= 3
        schedule.asked(share, {}, 0, 0.0)
        asked += numbers
    assert asked == list(range(64))


def test_without_room_nothing_is_asked_for() -> None:
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    schedule.ask(range(64), 0.0)
    assert schedule.next(0, 0.0, max_partitions=5) == ([], 0)


def test_partitions_share_the_room_in_whole_claims() -> None:
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    schedule.ask([1, 2, 3], 0.0)
    numbers, share = schedule.next(20, 0.0, max_partitions=1000)
    assert (numbers, share, type(share)) == ([1, 2, 3], 6, int)


def test_the_next_round_begins_where_partitions_were_skipped() -> None:
    schedule = ClaimSchedule(4, 50, HomePartitions("one"))
    schedule.ask([1, 2], 0.0)
    _, share = schedule.next(2, 0.0, max_partitions=1000)
    schedule.asked(share, {}, 0, 0.0)
    schedule.ask([0, 3], 0.0)
    assert schedule.next(2, 0.0, max_partitions=1000)[0] == [0, 3]


def test_when_more_than_half_is_in_vain_half_as_much_is_asked_for_until_claims_are_of_use() -> None:
    schedule = ClaimSchedule(64, 51, HomePartitions("one"))
    shares = []
    for in_vain in (5, 6, 0, 0, 0):
        schedule.notice(1)
        _, share = schedule.next(1000, 0.0, max_partitions=1000)
        shares.append(share)
        schedule.asked(share, {1: 10}, in_vain, 0.0)
    assert shares == [51, 51, 25, 50, 51]
    assert {type(share) for share in shares} == {int}


def test_the_pause_after_empty_claims_becomes_shorter_as_time_passes() -> None:
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    schedule.ask([1], 0.0)
    schedule.asked(50, {1: 50}, 50, 10.0)
    assert schedule.wait_s(10.0) == pytest.approx(0.1)
    assert schedule.wait_s(10.06) == pytest.approx(0.04)


def test_few_that_are_noticed_take_turns_with_many_others_and_little_is_asked_for_at_a_time() -> None:
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    schedule.ask(range(64), 0.0)
    schedule.notice(7)
    assert schedule.next(1000, 0.0, max_partitions=1000) == ([7], 32)
    schedule.asked(32, {7: 1}, 0, 0.0)
    for turn in range(8):
        schedule.notice(33)
        others, share = schedule.next(1000, 0.0, max_partitions=1000)
        assert (len(others), share, 33 in others) == (4, 8, False)
        schedule.asked(share, dict.fromkeys(others, share), 0, 0.0)
        assert schedule.next(1000, 0.0, max_partitions=1000) == ([33], 32), turn
        schedule.asked(32, {33: 1}, 0, 0.0)


def test_of_others_all_have_their_turn_while_some_are_noticed() -> None:
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    schedule.ask(range(64), 0.0)
    asked: list[int] = []
    for _ in range(40):
        schedule.notice(7)
        numbers, share = schedule.next(1000, 0.0, max_partitions=1000)
        schedule.asked(share, {}, 0, 0.0)
        asked += numbers
    assert {*asked} == {*range(64)}


@pytest.mark.parametrize("noticed", [20, 31])
def test_of_noticed_ones_that_are_outnumbered_each_is_asked_for_two_at_least(noticed: int) -> None:
    """By age, and clients alternate."""
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    schedule.ask(range(64), 0.0)
    for number in range(noticed):
        schedule.notice(number)
    numbers, share = schedule.next(1000, 0.0, max_partitions=1000)
    assert (numbers, share) == ([*range(16)], 2)


def test_as_many_noticed_ones_as_others_are_asked_together_and_for_much() -> None:
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    schedule.ask(range(4), 0.0)
    for number in range(4, 8):
        schedule.notice(number)
    assert schedule.next(1000, 0.0, max_partitions=1000) == ([*range(8)], 32)


def test_once_nothing_was_noticed_for_a_while_much_is_asked_for_again() -> None:
    schedule = ClaimSchedule(64, 50, HomePartitions("one"))
    schedule.ask(range(64), 10.0)
    schedule.notice(7)
    schedule.next(1000, 10.0, max_partitions=1000)
    numbers, share = schedule.next(1000, 10.9, max_partitions=1000)
    assert len(numbers) * share == 32
    numbers, share = schedule.next(1000, 11.0, max_partitions=1000)
    assert len(numbers) * share > 200
