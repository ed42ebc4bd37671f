"""What waits comes back at its moment, the earliest first."""

from webrtc_events.delivery.delay_queue import DelayQueue


def test_what_is_due_comes_once_and_the_earliest_first() -> None:
    queue: DelayQueue[str] = DelayQueue()
    for item, until_s in (("late", 3.0), ("early", 1.0), ("now", 2.0)):
        queue.put(item, until_s)
    assert queue.next_s == 1.0
    assert queue.due(0.9) == []
    assert queue.due(2.0) == ["early", "now"]
    assert queue.due(2.0) == []
    assert queue.next_s == 3.0
    assert queue.due(3.0) == ["late"]
    assert queue.next_s is None


def test_of_one_moment_the_first_comes_first_and_items_are_not_compared() -> None:
    queue: DelayQueue[dict[str, int]] = DelayQueue()
    items = [{"number": number} for number in range(9)]
    for item in items:
        queue.put(item, 1.0)
    assert queue.due(1.0) == items


def test_clear_gives_all_in_order() -> None:
    queue: DelayQueue[object] = DelayQueue()
    items = [object() for _ in range(4)]
    for item, until_s in zip(items, (2.0, 1.0, 2.0, 0.5), strict=True):
        queue.put(item, until_s)
    assert queue.clear() == [items[3], items[1], items[0], items[2]]
    assert (queue.clear(), queue.next_s) == ([], None)
