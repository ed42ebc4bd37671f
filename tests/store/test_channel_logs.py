"""The logs of channels: numbers, bounds, gaps and acknowledgement, against a model of a plain list."""

import dataclasses
from collections.abc import Callable

import pytest
import redis
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.harness.builders import append, invitation
from tests.harness.channels import listening, new_channel, page_of
from tests.store.claiming import P
from webrtc_events.core.settings import Settings
from webrtc_events.store.channel_logs import LogPosition, LogsGone
from webrtc_events.store.channel_records import Channel
from webrtc_events.store.settlements import ChannelEvent, Settlement, SettleOutcome
from webrtc_events.store.store import Store

LENGTH, BYTES, AGE_S, STEP_S = 8, 4096, 60, 25
NUMBERS = iter(range(1, 10**9))


def write(store: Store, channel: Channel, *sizes: int) -> None:
    """Events with bodies of these sizes."""
    append(store, *(invitation(next(NUMBERS)) for _ in sizes))
    for claim in store.claims.claim([P], subscriptions=1, events=16):
        events = tuple(
            ChannelEvent(item.number, "t", b"x" * size) for item, size in zip(claim.items, sizes, strict=True)
        )
        settlement = Settlement(claim, claim.items[-1].number, channel=channel.id, events=events)
        assert store.claims.settle([settlement]) == [SettleOutcome.IDLE]


def numbers(store: Store, channel: Channel, after: int | None = None) -> list[int]:
    return [event.number for event in page_of(store, channel, P, after).events]


@dataclasses.dataclass
class Entry:
    number: int
    size: int
    step: int
    before: int


class LogMachine(RuleBasedStateMachine):
    """A log, and what it should hold.

    Time goes in steps of 25 s, so that nothing depends on what a game takes.
    """

    def __init__(self, settings: Settings, raw: "redis.Redis") -> None:
        super().__init__()
        raw.flushall()
        self.store = Store.connect(settings)
        self.channel = new_channel(self.store)
        listening(self.store, self.channel)
        self.entries: list[Entry] = []
        self.number = self.bytes = self.gone = self.acked = self.step = 0

    def teardown(self) -> None:
        self.store.close()

    @rule(sizes=st.lists(st.integers(1, 1500), min_size=1, max_size=12))
    def write(self, sizes: list[int]) -> None:
        write(self.store, self.channel, *sizes)
        for size in sizes:
            self.number += 1
            self.entries.append(Entry(self.number, size, self.step, self.bytes))
            self.bytes += size
        self.trim()

    @rule()
    def keep(self) -> None:
        self.store.channel_logs.keep(self.channel.id, [P.number])
        self.trim()

    @rule(steps=st.integers(1, 3))
    def pass_time(self, steps: int) -> None:
        self.step += steps
        self.store.scripts.offset_ms += steps * STEP_S * 1000

    @precondition(lambda self: self.number > 0)
    @rule(back=st.integers(-3, 12))
    def acknowledge(self, back: int) -> None:
        """A cursor may be behind what is acknowledged already, or ahead of all that there is."""
        through = max(0, self.number - back)
        self.store.channel_logs.acknowledge(self.channel.id, {P.number: through})
        through = min(through, self.number)
        if through > self.acked:
            self.acked, self.gone = through, max(self.gone, through)
            self.entries = [entry for entry in self.entries if entry.number > through]

    @rule(back=st.integers(0, 20))
    def read_from(self, back: int) -> None:
        after = max(0, self.number - back)
        page = page_of(self.store, self.channel, P, after)
        self.drop_old()
        assert [event.number for event in page.events] == [
            entry.number for entry in self.entries if entry.number > after
        ]
        assert [len(event.body) for event in page.events] == [
            entry.size for entry in self.entries if entry.number > after
        ]
        # What is not there was missed, and nothing else.
        assert page.missed == max(0, self.gone - after)

    @invariant()
    def all_that_is_not_acknowledged_is_read_without_a_cursor(self) -> None:
        page = page_of(self.store, self.channel, P)
        self.drop_old()
        assert page.after == max(self.acked, self.gone)
        assert [event.number for event in page.events] == [entry.number for entry in self.entries]
        assert page.missed == max(0, self.gone - self.acked)
        assert not page.more

    def is_too_old(self, entry: Entry) -> bool:
        return (self.step - entry.step) * STEP_S > AGE_S

    def drop_old(self) -> None:
        while self.entries and self.is_too_old(self.entries[0]):
            self.gone = self.entries.pop(0).number

    def trim(self) -> None:
        while self.entries:
            oldest = self.entries[0]
            length = len(self.entries)
            too_many = length > LENGTH or self.bytes - oldest.before > BYTES
            if not (too_many and length > 1) and not self.is_too_old(oldest):
                return
            self.gone = self.entries.pop(0).number


@pytest.fixture
def small(settings: Settings) -> Settings:
    return dataclasses.replace(settings, channel_length=LENGTH, channel_bytes=BYTES, channel_age_s=AGE_S)


def test_a_log_is_as_the_model(small: Settings, raw_store: "redis.Redis") -> None:
    run_state_machine_as_test(
        lambda: LogMachine(small, raw_store), settings=profile(max_examples=40, stateful_step_count=25)
    )


def test_a_long_log_is_read_page_by_page(store: Store) -> None:
    channel = new_channel(store)
    listening(store, channel)
    for _ in range(20):
        write(store, channel, *[100] * 16)
    read: list[int] = []
    page = page_of(store, channel, P)
    while page.more:
        read += [event.number for event in page.events]
        page = page_of(store, channel, P, read[-1])
    read += [event.number for event in page.events]
    assert read == [*range(1, 321)]


def test_a_page_has_bounded_bytes_and_a_large_event_comes_alone(store: Store) -> None:
    channel = new_channel(store)
    listening(store, channel)
    write(store, channel, 200_000, 200_000, 300_000, 10)
    pages = [page_of(store, channel, P, after) for after in range(4)]
    assert [[event.number for event in page.events] for page in pages] == [[1], [2], [3], [4]]
    assert [page.more for page in pages] == [True, True, True, False]


def test_several_logs_are_read_in_one_round_trip(store: Store, sent: list[int]) -> None:
    channels = [new_channel(store) for _ in range(3)]
    for channel in channels[:2]:
        listening(store, channel)
    positions = [LogPosition(channel.id, P.number, None) for channel in channels]
    # The store has the script from here on.
    store.channel_logs.read(positions)
    sent.clear()
    found = store.channel_logs.read([*positions, positions[0]])
    assert [type(page).__name__ for page in found] == ["LogPage", "LogPage", "LogsGone", "LogPage"]
    assert sent == [1]


def test_several_acknowledgements_go_in_one_round_trip(store: Store, sent: list[int]) -> None:
    first, second, gone = (new_channel(store) for _ in range(3))
    for channel in (first, second):
        listening(store, channel)
    # Of another partition, of none that there is, of a channel without a log.
    asked = [
        (first.id, {P.number: 0, 60_000: 1}),
        (second.id, {P.number: 0}),
        (gone.id, {P.number: 3}),
        ("x", {}),
    ]
    store.channel_logs.acknowledge_some(asked)
    sent.clear()
    assert store.channel_logs.acknowledge_some(asked) == [None] * 4
    # Of the three logs, in one pipeline.
    assert sent == [3]


def test_a_log_that_cannot_be_read_has_nothing_new_and_harms_no_other(
    store: Store, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    damaged, sound = new_channel(store), new_channel(store)
    for channel in (damaged, sound):
        listening(store, channel)
    raw_store.hset(P.channel(damaged.id), "gone", "many")
    positions = [LogPosition(channel.id, P.number, None) for channel in (damaged, sound)]
    first, second = store.channel_logs.read(positions)
    assert not isinstance(first, LogsGone)
    assert not isinstance(second, LogsGone)
    assert P.channel(damaged.id) in caplog.text


def test_numbers_go_on_from_the_next_million_when_the_store_may_have_lost_some(
    store: Store, raw_store: "redis.Redis"
) -> None:
    channel = new_channel(store)
    listening(store, channel)
    write(store, channel, 1, 1)
    raw_store.hset(P.channel(channel.id), "epoch", "another")
    write(store, channel, 1)
    assert numbers(store, channel) == [1, 2, 1_000_001]
    # Between the two there is nothing that could have been missed.
    assert page_of(store, channel, P, 2).missed == 0
    store.channel_logs.acknowledge(channel.id, {P.number: 1_000_001})
    assert page_of(store, channel, P, 1).missed == 1


def test_a_log_lives_twice_as_long_as_its_channel(
    settings: Settings, raw_store: "redis.Redis", store_with: Callable[..., Store]
) -> None:
    store = store_with(channel_idle_s=100)
    channel = new_channel(store)
    listening(store, channel)
    write(store, channel, 1)
    ttl = [raw_store.ttl(key) for key in (P.channel(channel.id), P.channel_log(channel.id))]
    assert all(190 < seconds <= 200 for seconds in ttl)
    assert 90 < raw_store.ttl(f"channel:{{{channel.id}}}") <= 100


def test_however_many_became_too_old_none_of_them_is_read(store_with: Callable[..., Store]) -> None:
    store = store_with(channel_age_s=60)
    channel = new_channel(store)
    listening(store, channel)
    for _ in range(20):
        write(store, channel, *[10] * 16)
    store.scripts.offset_ms += 40_000
    write(store, channel, 10)
    store.scripts.offset_ms += 40_000
    page = page_of(store, channel, P, 100)
    assert [event.number for event in page.events] == [321]
    assert page.missed == 220


def test_a_log_that_nobody_reads_lives_no_longer_than_its_events(
    raw_store: "redis.Redis", store_with: Callable[..., Store]
) -> None:
    store = store_with(channel_idle_s=1000, channel_age_s=60)
    channel = new_channel(store)
    listening(store, channel)
    write(store, channel, 1, 1)
    log = P.channel_log(channel.id)
    assert 50 < raw_store.ttl(log) <= 60
    store.scripts.offset_ms += 30_000
    store.channel_logs.keep(channel.id, [P.number])
    assert 20 < raw_store.ttl(log) <= 35
    assert 1990 < raw_store.ttl(P.channel(channel.id)) <= 2000


def test_events_that_went_with_the_log_were_missed(store: Store, raw_store: "redis.Redis") -> None:
    channel = new_channel(store)
    listening(store, channel)
    write(store, channel, 1, 1, 1)
    raw_store.delete(P.channel_log(channel.id))
    assert page_of(store, channel, P, 1).missed == 2
    write(store, channel, 1)
    page = page_of(store, channel, P, 1)
    assert ([event.number for event in page.events], page.missed) == ([4], 2)
    assert page_of(store, channel, P, 3).missed == 0


def test_what_is_removed_is_not_made_again_by_who_keeps_it(store: Store, raw_store: "redis.Redis") -> None:
    channel = new_channel(store)
    listening(store, channel)
    store.channel_logs.remove(channel.id, [P.number])
    store.channel_logs.keep(channel.id, [P.number])
    store.channel_logs.acknowledge(channel.id, {P.number: 5, 63: 7, 4_000: 1})
    assert not raw_store.exists(P.channel(channel.id))


def test_a_key_of_another_type_in_place_of_the_log_is_set_aside(
    store: Store, raw_store: "redis.Redis"
) -> None:
    channel = new_channel(store)
    listening(store, channel)
    raw_store.set(P.channel_log(channel.id), "?")
    write(store, channel, 1)
    assert numbers(store, channel) == [1]
    assert raw_store.exists(f"set-aside:{P.channel_log(channel.id)}")
