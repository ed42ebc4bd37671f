"""What a reader reads at once, of a channel with logs in many partitions."""

from webrtc_events.channels.reader import Reader
from webrtc_events.store.channel_records import Channel

MANY = tuple(range(10))


def reader() -> Reader:
    return Reader(Channel("c", "app", None, "", MANY, 0, is_ending=False))


def read(of: Reader) -> list[int]:
    return [position.partition for position in of.positions()]


def test_a_reader_holds_few_pages_however_many_logs_its_channel_has() -> None:
    many = reader()
    assert [read(many) for _ in range(4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], []]


def test_a_log_with_more_and_more_keeps_no_other_waiting() -> None:
    many = reader()
    found = set()
    for _ in range(3):
        numbers = read(many)
        found.update(numbers)
        many.tell(numbers)
    assert found == set(MANY)
