"""A create at a media session: who may, and what leads the session to it."""

from collections.abc import Callable, Mapping

import pytest
import redis

from tests.harness.builders import created
from tests.store.client_indexes import outcome, standings
from webrtc_events.core.model import EventType
from webrtc_events.store.keys import partition_of, session_key, session_state_key, set_aside_key
from webrtc_events.store.redis.client import Batch
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
OF_SESSION = {"event_type": EventType.SESSION_STATUS, "session": "m1"}
DAY_S = 24 * 3600


def test_a_create_takes_three_round_trips(
    store: Store, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    # By then every node knows the scripts.
    for registration in ("r1", "r2"):
        created(store, registration=registration, session="m2", event_type=EventType.SESSION_STATUS)
    created(store, **OF_SESSION)
    sent: list[int] = []
    execute = Batch.execute

    def counted(batch: Batch, **options: bool) -> list[object]:
        sent.append(len(batch._commands))
        answers: list[object] = execute(batch, **options)
        return answers

    monkeypatch.setattr(Batch, "execute", counted)
    created(store)
    assert sent == [1, 1, 1]
    sent.clear()
    created(store, **OF_SESSION)
    assert sent == [2, 1, 1]
    sent.clear()
    # Those in other partitions are counted.
    created(store, registration="r2", **OF_SESSION)
    assert sent == [2, 1, 1, 1]


@pytest.mark.parametrize(
    ("state", "must_be_known", "expected"),
    [
        ({}, False, "created"),
        ({}, True, "unknown_session"),
        ({"r:r2": "1"}, False, "session_mismatch"),
        ({"r:r2": "1"}, True, "session_mismatch"),
        ({"r:r2": "1", "r:r1": "1"}, False, "created"),
        ({"r:r2": "1", "r:r1": "1"}, True, "unknown_registration"),
        ({"name": "x", "at": "1"}, False, "created"),
        ({"name": "r:r1", "at": "1"}, True, "unknown_session"),
    ],
)
def test_a_session_leads_to_nobody_who_must_not_listen(
    limited: Callable[..., Store],
    raw_store: "redis.Redis",
    state: Mapping[str, str],
    must_be_known: bool,
    expected: str,
) -> None:
    store = limited(0, require_known_registration=must_be_known)
    if state:
        raw_store.hset(session_state_key("m1"), mapping=dict(state))
    assert outcome(store, **OF_SESSION) == expected
    joins = expected in ("created", "unknown_registration")
    assert raw_store.smembers(session_key("m1")) == ({str(P.number)} if joins else set())
    # Who was refused is named no longer.
    assert len(standings(raw_store)) == (expected == "created")


def test_the_way_to_a_session_lasts_as_long_as_a_subscription_may_need_it(
    store: Store, raw_store: "redis.Redis"
) -> None:
    created(store, **OF_SESSION)
    assert 29 * DAY_S < raw_store.ttl(session_key("m1")) <= 30 * DAY_S
    seconds, _ = raw_store.time()
    created(store, expires_at_ms=(seconds + 50 * DAY_S) * 1000, **OF_SESSION)
    assert 79 * DAY_S < raw_store.ttl(session_key("m1")) <= 80 * DAY_S
    created(store, **OF_SESSION)
    assert 79 * DAY_S < raw_store.ttl(session_key("m1")) <= 80 * DAY_S


def test_a_session_whose_keys_are_of_another_type(
    store: Store, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    """Its state is as good as unknown; its index is made anew, and leads everywhere."""
    raw_store.set(session_key("m1"), "garbled")
    raw_store.set(session_state_key("m1"), "garbled")
    assert outcome(store, **OF_SESSION) == "created"
    assert raw_store.scard(session_key("m1")) == 64
    assert raw_store.get(set_aside_key(session_key("m1"))) == "garbled"
    assert "it is a key of another type" in caplog.text
    assert "it is no set of partitions and was made anew" in caplog.text


@pytest.mark.parametrize("session", ["}", "}{", "}m1"])
def test_a_session_whose_keys_are_in_two_slots(
    limited: Callable[..., Store], raw_store: "redis.Redis", session: str
) -> None:
    """Its name leaves the keys without a hash tag."""
    store = limited(0, require_known_registration=False)
    of_session = OF_SESSION | {"session": session}
    assert outcome(store, **of_session) == "created"
    assert outcome(store, registration="r2", **of_session) == "created"
    expected = {str(partition_of(name, 64).number) for name in ("r1", "r2")}
    assert raw_store.smembers(session_key(session)) == expected
    raw_store.hset(session_state_key(session), mapping={"r:r3": "1"})
    assert outcome(store, **of_session) == "session_mismatch"
    assert outcome(store, registration="r3", **of_session) == "created"
    assert len(standings(raw_store)) == 3
