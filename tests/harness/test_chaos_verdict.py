"""What `make chaos` counts: each fault is found, and nothing is one that is none."""

from collections.abc import Mapping, Sequence

import pytest

from tests.chaos.verdict import END, Attempt, Expected, Verdict, check_deliveries

S = "s1"
EVENTS = 3
# What happens, in order: (event, number) arrives; the same with a status is answered.
Step = tuple[int, int] | tuple[int, int, int]
GOOD: list[Step] = [(1, 1), (1, 1, 204), (2, 2), (2, 2, 204), (3, 3), (3, 3, 204), (END, 4), (END, 4, 204)]


def attempts(steps: Sequence[Step]) -> list[Attempt]:
    made: list[Attempt] = []
    for at, (event, number, *status) in enumerate(steps):
        if status:
            open_one = next(
                attempt for attempt in made if attempt.event == event and attempt.answered is None
            )
            open_one.answered, open_one.answered_s, open_one.status = at, float(at), status[0]
        else:
            reason = "SUBSCRIPTION_DELETED" if event == END else None
            body = f"{event} {number}".encode()
            made.append(Attempt(S, number, event, reason, "/a", body, 0, at, float(at)))
    return made


def verdict(
    steps: Sequence[Step], dead: Mapping[tuple[str, int], str] | None = None, **expected: object
) -> Verdict:
    values = {"at_least": EVENTS, "at_most": EVENTS, "ends": frozenset({"SUBSCRIPTION_DELETED"})} | expected
    return check_deliveries([Expected(S, "/a", **values)], attempts(steps), dead or {})  # type: ignore[arg-type]


def without(*events: int) -> list[Step]:
    return [step for step in GOOD if step[0] not in events]


def test_all_in_order_is_clean() -> None:
    found = verdict(GOOD)
    assert found.clean, found.details()
    assert (found.accepted, found.delivered, found.ends, found.repeated, found.doubled) == (3, 3, 1, 0, 0)


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_an_event_that_never_came_is_lost(missing: int) -> None:
    assert len(verdict(without(missing)).lost) == 1


def test_an_event_that_was_never_taken_is_lost() -> None:
    steps = [(3, 3, 500) if step == (3, 3, 204) else step for step in GOOD]
    found = verdict(steps)
    assert len(found.lost) == 1
    assert len(found.disordered) == 1


def test_a_dead_letter_is_not_lost() -> None:
    found = verdict(without(2), {(S, 2): "deadline_exceeded"})
    assert found.clean, found.details()
    assert (found.given_up, found.delivered) == (1, 2)


def test_an_event_out_of_order_is_disordered() -> None:
    first: list[Step] = [(2, 2), (2, 2, 204), (1, 1), (1, 1, 204)]
    assert len(verdict(first + GOOD[4:]).disordered) == 1


def test_an_event_sent_before_the_former_was_taken_is_disordered() -> None:
    steps: list[Step] = [(1, 1), (2, 2), (1, 1, 204), (2, 2, 204)]
    assert len(verdict(steps + GOOD[4:]).disordered) == 1


def test_a_repeat_is_counted_and_no_fault() -> None:
    steps: list[Step] = [(1, 1), (1, 1, 500), *GOOD]
    found = verdict(steps)
    assert found.clean, found.details()
    assert (found.repeated, found.doubled) == (1, 0)


def test_an_event_that_is_taken_twice_is_doubled() -> None:
    found = verdict([*GOOD[:4], (2, 2), (2, 2, 204), *GOOD[4:]])
    assert found.clean, found.details()
    assert (found.repeated, found.doubled, found.max_doubled) == (1, 1, 1)


def test_an_event_with_two_ids_is_reported() -> None:
    steps: list[Step] = [*GOOD[:4], (2, 3), (2, 3, 204), (3, 4), (3, 4, 204), (END, 5), (END, 5, 204)]
    assert len(verdict(steps).twins) == 1


def test_a_repeat_with_another_content_is_wrong() -> None:
    again = attempts([*GOOD[:2], (1, 1), (1, 1, 204)])
    again[1].body = b"other"
    found = check_deliveries([Expected(S, "/a", 1, 1)], again, {})
    assert len(found.wrong) == 1


def test_a_number_left_out_is_wrong() -> None:
    steps: list[Step] = [*GOOD[:6], (END, 5), (END, 5, 204)]
    assert len(verdict(steps).wrong) == 1


def test_numbers_may_leap_to_the_next_million() -> None:
    steps: list[Step] = [
        *GOOD[:4],
        (3, 1_000_001),
        (3, 1_000_001, 204),
        (END, 1_000_002),
        (END, 1_000_002, 204),
    ]
    found = verdict(steps)
    assert found.clean, found.details()


def test_an_end_that_does_not_come_is_wrong() -> None:
    assert len(verdict(without(END)).wrong) == 1


def test_a_second_end_is_wrong() -> None:
    assert len(verdict([*GOOD, (END, 5), (END, 5, 204)]).wrong) == 1


def test_an_end_for_another_reason_is_wrong() -> None:
    assert len(verdict(GOOD, ends=frozenset({"SUBSCRIPTION_EXPIRED"})).wrong) == 1


def test_an_event_after_the_end_is_disordered() -> None:
    steps: list[Step] = [*GOOD[:4], (END, 3), (END, 3, 204), (3, 4), (3, 4, 204)]
    assert len(verdict(steps, at_least=2).disordered) == 1


def test_a_repeat_after_the_end_is_late() -> None:
    found = verdict([*GOOD, (3, 3), (3, 3, 204)])
    assert found.clean
    assert found.late == 1


def test_more_than_the_maximum_is_wrong() -> None:
    assert len(verdict(GOOD, max_events=2).wrong) == 1


def test_what_was_dropped_is_not_lost() -> None:
    steps: list[Step] = [(1, 1), (1, 1, 204), (END, 4), (END, 4, 204)]
    found = verdict(steps, dropped=True)
    assert found.clean, found.details()


def test_what_comes_behind_something_dropped_is_disordered() -> None:
    steps: list[Step] = [(1, 1), (1, 1, 204), (3, 3), (3, 3, 204), (END, 4), (END, 4, 204)]
    assert len(verdict(steps, dropped=True).disordered) == 1


def test_who_was_not_expected_is_wrong() -> None:
    assert len(check_deliveries([], attempts(GOOD), {}).wrong) == 1


def test_another_path_is_wrong() -> None:
    assert len(check_deliveries([Expected(S, "/b", 1, 1)], attempts(GOOD[:2]), {}).wrong) == 1
