"""Whether the store lost what it had is seen by the marks that it lacks."""

from collections.abc import Callable

import pytest
import redis

from tests.conftest import servers_of
from tests.harness.builders import created
from tests.harness.valkeys import CLOCK
from webrtc_events.core.credentials import CredentialBox
from webrtc_events.core.settings import Settings
from webrtc_events.store.durability.marks import Answer, Loss, LossKind, Mark, MarkId, Marks, find_loss
from webrtc_events.store.erasure import Erasure
from webrtc_events.store.key_rotation import KeyRotation
from webrtc_events.store.keys import Partition
from webrtc_events.store.store import Store

StoreAt = Callable[..., Store]
KEYS = {Partition(number).marks for number in range(64)}


def streams(raw_store: "redis.Redis") -> dict[str, int]:
    """How many marks are in each stream."""
    return {key: raw_store.xlen(key) for key in raw_store.keys("*marks")}


def kinds(marks: Marks) -> list[LossKind]:
    return [loss.kind for loss in marks.check()]


def test_a_store_that_is_emptied_and_marked_again_within_a_ms_was_emptied() -> None:
    seen = Mark("one", MarkId(7, 0))
    again = Answer(Mark("other", MarkId(7, 0)), still_there=True, before=None, written=False, epoch="e")
    assert find_loss(seen, again, "here") == Loss(LossKind.EMPTIED, "here")
    same = Answer(seen, still_there=True, before=None, written=False, epoch="e")
    assert find_loss(seen, same, "here") is None


@pytest.fixture
def nodes(raw_store: "redis.Redis") -> int:
    return len(servers_of(raw_store))


def test_each_node_has_one_stream_by_a_key_of_a_partition(
    store: Store, raw_store: "redis.Redis", nodes: int
) -> None:
    assert Marks(store).check() == []
    assert len(streams(raw_store)) == nodes
    assert streams(raw_store).keys() <= KEYS
    assert [len(server.keys("*marks")) for server in servers_of(raw_store)] == [1] * nodes


def test_a_mark_is_written_only_behind_what_is_kept(
    store_at: StoreAt, raw_store: "redis.Redis", nodes: int
) -> None:
    """An idle store stays idle; however often one looks, and however many do, there is one a second."""
    early, late = store_at(), store_at(2)
    one, other = Marks(early), Marks(late)
    for _ in range(5):
        assert one.check() == other.check() == []
    assert set(streams(raw_store).values()) == {1}
    made = created(late)
    for _ in range(5):
        assert one.check() == other.check() == []
    assert set(streams(raw_store).values()) == {2}
    # What only reads, or writes nothing that counts, is none of it.
    assert late.subscriptions.get(made.id) is not None
    late.rate_limits.take_token("app")
    late.expiry.sweep()
    late.claims.claim([Partition(0)], subscriptions=1, events=1)
    later = Marks(store_at(4))
    assert [marks.check() for marks in (one, other, later)] == [[], [], []]
    assert set(streams(raw_store).values()) == {2}


def test_however_many_have_something_kept_there_is_one_mark_a_second(
    store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    started = CLOCK.monotonic()
    stores = [store_at() for _ in range(20)]
    watchers = [Marks(store) for store in stores]
    for _ in range(2):
        for store, marks in zip(stores, watchers, strict=True):
            created(store)
            assert marks.check() == []
    seconds = int(CLOCK.monotonic() - started)
    assert max(streams(raw_store).values()) <= 2 + seconds


def test_every_process_learns_once_that_the_store_was_emptied(
    store_at: StoreAt, raw_store: "redis.Redis", nodes: int
) -> None:
    watchers = [Marks(store_at()) for _ in range(3)]
    for marks in watchers:
        assert marks.check() == []
    raw_store.flushall()
    for marks in watchers:
        assert kinds(marks) == [LossKind.EMPTIED] * nodes
        assert marks.check() == []
    # A process that starts now knows of nothing, and learns of the next time.
    watchers.append(Marks(store_at()))
    assert watchers[-1].check() == []
    raw_store.flushall()
    for marks in watchers:
        assert kinds(marks) == [LossKind.EMPTIED] * nodes


def test_the_node_that_was_emptied_is_named(store: Store, raw_store: "redis.Redis") -> None:
    marks = Marks(store)
    marks.check()
    victim = servers_of(raw_store)[-1]
    victim.flushall()
    (loss,) = marks.check()
    if len(servers_of(raw_store)) > 1:
        port = victim.connection_pool.connection_kwargs["port"]
        assert loss.address == f"127.0.0.1:{port}"
    assert f"the store was emptied at {loss.address}" in str(loss)


def put_back(raw_store: "redis.Redis", former: dict[str, list[tuple[str, dict[str, str]]]]) -> None:
    """Streams as they were."""
    for key, marks in former.items():
        raw_store.delete(key)
        for mark, fields in marks:
            raw_store.xadd(key, fields, mark)


@pytest.mark.parametrize("marked_since", [False, True])
def test_every_process_learns_that_the_latest_writes_are_lost(
    store_at: StoreAt, raw_store: "redis.Redis", nodes: int, *, marked_since: bool
) -> None:
    """Who wrote them, and who only looks; also when somebody else made as many marks since."""
    now, soon, later = store_at(), store_at(2), store_at(4)
    writer, looker, behind = Marks(soon), Marks(now), Marks(now)
    assert behind.check() == []
    former = {key: raw_store.xrange(key) for key in raw_store.keys("*marks")}
    created(soon)
    assert writer.check() == looker.check() == []
    assert set(streams(raw_store).values()) == {2}
    put_back(raw_store, former)
    if marked_since:
        other = Marks(later)
        created(later)
        assert other.check() == []
        assert set(streams(raw_store).values()) == {2}
    for marks in (writer, looker):
        losses = marks.check()
        assert [loss.kind for loss in losses] == [LossKind.ROLLED_BACK] * nodes
        kept = {int(marks[-1][0].split("-")[0]) for marks in former.values()}
        assert {loss.kept_ms for loss in losses} == kept
    # It had seen nothing that is not there.
    assert behind.check() == []
    assert [marks.check() for marks in (writer, looker, behind)] == [[], [], []]


def test_a_process_that_was_stopped_for_long_reports_nothing(
    store_at: StoreAt, raw_store: "redis.Redis"
) -> None:
    marks = Marks(store_at())
    marks.check()
    for key in raw_store.keys("*marks"):
        ((_, fields),) = raw_store.xrange(key)
        for _ in range(500):
            raw_store.xadd(key, fields, maxlen=200, approximate=False)
    assert marks.check() == []
    # But of an emptied store it still is.
    raw_store.flushall()
    assert set(kinds(marks)) == {LossKind.EMPTIED}


def test_a_full_store_is_marked_too_and_raises_no_alarm(store_at: StoreAt, raw_store: "redis.Redis") -> None:
    store = store_at(2)
    marks = Marks(store)
    marks.check()
    created(store)
    raw_store.config_set("maxmemory", "1")
    try:
        assert marks.check() == []
        assert set(streams(raw_store).values()) == {2}
        assert Marks(store_at(4)).check() == []
    finally:
        raw_store.config_set("maxmemory", "0")


def test_the_stream_is_bounded(store: Store, raw_store: "redis.Redis", store_at: StoreAt) -> None:
    Marks(store).check()
    for key in raw_store.keys("*marks"):
        ((_, fields),) = raw_store.xrange(key)
        for _ in range(300):
            raw_store.xadd(key, fields)
    late = store_at(5)
    marks = Marks(late)
    created(late)
    assert marks.check() == []
    assert set(streams(raw_store).values()) == {200}


def test_marks_disturb_neither_erasure_nor_rotation(
    store: Store, settings: Settings, raw_store: "redis.Redis"
) -> None:
    marks = Marks(store)
    created(store)
    marks.check()
    before = streams(raw_store)
    erasure = Erasure(store)
    erasure.erase(erasure.find("r1"))
    assert not erasure.find("r1")
    rotated = KeyRotation(store, CredentialBox(settings.secret_key)).run(lambda _: None)
    assert (rotated.damaged, rotated.resealed) == ([], 0)
    assert streams(raw_store) == before
    assert marks.check() == []
