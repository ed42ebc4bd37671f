"""Nothing stays of a registration that is erased, and everything of the others does."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from tests.conftest import contents
from tests.harness.builders import append, created, invitation, session_status
from tests.harness.channels import listening, new_channel, page_of
from tests.store.call_notes import accepted, recorded, recorder_of
from webrtc_events.core.model import EventType, NetworkEvent, Registration, Subscription
from webrtc_events.core.outcomes import ScheduledRetry, SinkResult
from webrtc_events.store.erasure import Erasure, Traces
from webrtc_events.store.formats import FORMAT
from webrtc_events.store.keys import (
    RECENT_CALLS_KEY,
    Partition,
    call_trace_key,
    erased_key,
    partition_of,
    session_state_key,
)
from webrtc_events.store.settlements import ChannelEvent, DroppedEvent, Settlement
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
# Of the same partition, so that it is a neighbour in every key.
OTHER = next(f"r{n}" for n in range(2, 9999) if partition_of(f"r{n}", 64).number == P.number)
KINDS = (EventType.SESSION_INVITATION, EventType.SESSION_STATUS, EventType.REGISTRATION_ENDS)


@pytest.fixture
def erasure(store: Store) -> Erasure:
    return Erasure(store)


def uncounted(number: int, registration: str) -> NetworkEvent:
    """Its sequence numbers are counted here."""
    event = invitation(number, registration=registration)
    return dataclasses.replace(event, id=f"{registration}-{number}", numbered=False)


def lived(store: Store, registration: str, raw_store: "redis.Redis") -> list[Subscription]:
    """Everything that a registration can leave behind. Of its events one waits, one is given up."""
    owner = Registration(registration, "d", "app", None, None)
    soon = raw_store.time()[0] * 1000 + 60_000
    store.registrations.put(owner, expires_at_ms=soon, end="{}")
    made = [
        created(
            store,
            registration=registration,
            event_type=kind,
            session=f"s-{registration}" if kind is EventType.SESSION_STATUS else None,
            expires_at_ms=soon,
        )
        for kind in KINDS
    ]
    status = session_status(1, session=f"s-{registration}", registration=registration)
    status = dataclasses.replace(status, id=f"{registration}-1")
    calls = [uncounted(2, registration), uncounted(3, registration)]
    store.session_states.record([status, *calls])
    append(store, status, *calls)
    for claim in store.claims.claim([P], subscriptions=9, events=1):
        dead = (DroppedEvent(claim.items[0].number, "refused", ""),)
        tried = ({"event": "x"},)
        store.claims.settle([Settlement(claim, claim.items[0].number, dead=dead, attempts=tried)])
    return made


def kept(raw_store: "redis.Redis") -> dict[str, Any]:
    """All that is stored, but for what goes by itself and names no registration: the dedupe of network
    events, and which partitions asked for a session."""
    passing = {"session:{s-r1}", "session:{s7}"}
    found = contents(raw_store).items()
    return {key: value for key, value in found if value and ":seen:" not in key and key not in passing}


def erase(erasure: Erasure, registration: str = "r1") -> Traces:
    traces = erasure.find(registration)
    erasure.erase(traces)
    return traces


def test_nothing_stays(store: Store, erasure: Erasure, raw_store: "redis.Redis") -> None:
    made = lived(store, "r1", raw_store)
    raw_store.zadd(P.initial, {made[0].id: 1})
    traces = erase(erasure)
    assert sorted(traces.clients) == sorted(subscription.id for subscription in made)
    assert (len(traces.dead_letters), len(traces.attempts), len(traces.sequences)) == (2, 2, 1)
    assert traces.sessions == [session_state_key("s-r1"), session_state_key("s1")]
    assert len(traces.own) == 5
    assert kept(raw_store).keys() == {"partitions"}


def test_the_traces_of_its_calls_go_and_those_of_others_stay(
    store: Store, erasure: Erasure, raw_store: "redis.Redis"
) -> None:
    recorded(
        store,
        accepted("mine", registration="r1"),
        accepted("shared", registration="r1"),
        accepted("shared", registration=OTHER),
        accepted("others", registration=OTHER),
        accepted("anonymous"),
        accepted("others-too"),
    )
    created(store, event_type=EventType.SESSION_STATUS, session="anonymous")
    created(store, event_type=EventType.SESSION_STATUS, session="others")
    traces = erase(erasure)
    assert traces.calls == [call_trace_key(session) for session in ("anonymous", "mine", "shared")]
    left = {"others", "others-too"}
    assert set(raw_store.keys("session:*:trace")) == {call_trace_key(session) for session in left}
    assert set(raw_store.zrange(RECENT_CALLS_KEY, 0, -1)) == left
    assert not erase(erasure)


def test_a_trace_alone_is_something_to_erase(
    store: Store, erasure: Erasure, raw_store: "redis.Redis"
) -> None:
    recorded(store, accepted("mine", registration="r1"))
    raw_store.set(call_trace_key("broken"), "x")
    traces = erase(erasure)
    assert traces
    assert traces.calls == [call_trace_key("mine")]
    assert not erase(erasure)


def test_what_is_noted_of_it_meanwhile_is_in_no_trace(
    store: Store, erasure: Erasure, raw_store: "redis.Redis"
) -> None:
    """Of an attempt that was under way, or that the buffer still had."""
    recorded(store, accepted("mine", registration="r1"))
    recorder = recorder_of(store)
    recorder.record([accepted("mine", registration="r1"), accepted("others", registration=OTHER)])
    erase(erasure)
    recorder.flush()
    recorder.record([accepted("later", registration="r1")])
    recorder.flush()
    assert raw_store.keys("session:*:trace") == [call_trace_key("others")]
    assert raw_store.zrange(RECENT_CALLS_KEY, 0, -1) == ["others"]
    assert not erasure.find("r1")
    # Only for a while, and without its name.
    (note,) = raw_store.keys("erased:*")
    assert note == erased_key("r1")
    assert 110 < raw_store.ttl(note) <= 120
    raw_store.delete(note)
    recorded(store, accepted("later", registration="r1"))
    assert call_trace_key("later") in raw_store.keys("session:*:trace")


def test_the_others_are_untouched(store: Store, erasure: Erasure, raw_store: "redis.Redis") -> None:
    created(store, registration="elsewhere", client="another")
    made = [*lived(store, "r1", raw_store), *lived(store, OTHER, raw_store)]
    before = kept(raw_store)
    erase(erasure)
    mine = [*(subscription.id for subscription in made[:3]), "'r1'", ":r1'", "s-r1"]
    assert kept(raw_store) == without(before, mine)
    assert len(kept(raw_store)) > 15


def test_events_in_channels_go_and_those_of_others_stay(store: Store, erasure: Erasure) -> None:
    channel = new_channel(store)
    for registration in ("r1", OTHER):
        listening(store, channel, registration=registration)
        append(store, *(uncounted(number, registration) for number in (1, 2)))
    for claim in store.claims.claim([P], subscriptions=9, events=9):
        events = [ChannelEvent(item.number, "t", item.payload.encode()) for item in claim.items]
        settlement = Settlement(claim, events[-1].number, channel=channel.id, events=tuple(events))
        store.claims.settle([settlement])
    assert len(page_of(store, channel, P).events) == 4
    traces = erase(erasure)
    assert [len(ids) for ids in traces.channel_events.values()] == [2]
    assert erasure.find("r1").channel_events == {}
    assert len(page_of(store, channel, P).events) == 2


def without(found: dict[str, Any], words: list[str]) -> dict[str, Any]:
    """Less every key, and every member of a value, that has one of these words in it."""

    def other(value: object) -> bool:
        return not any(word in repr(value) for word in words)

    left = {}
    for key in filter(other, found):
        value = found[key]
        if isinstance(value, dict):
            left[key] = {name: member for name, member in value.items() if other(name)}
        else:
            left[key] = value if isinstance(value, str) else type(value)(filter(other, value))
    return left


def test_finding_writes_nothing(store: Store, erasure: Erasure, raw_store: "redis.Redis") -> None:
    lived(store, "r1", raw_store)
    before = kept(raw_store)
    assert erasure.find("r1") == erasure.find("r1")
    assert kept(raw_store) == before


def test_again_there_is_nothing(store: Store, erasure: Erasure, raw_store: "redis.Redis") -> None:
    lived(store, "r1", raw_store)
    erase(erasure)
    before = kept(raw_store)
    assert not erase(erasure)
    assert not erasure.find("never-known")
    assert kept(raw_store) == before


def test_a_live_lease_settles_as_lost_and_leaves_nothing(
    store: Store, erasure: Erasure, raw_store: "redis.Redis"
) -> None:
    created(store)
    append(store, invitation(1), invitation(2))
    (claim,) = store.claims.claim([P], subscriptions=9, events=8)
    erase(erasure)
    before = kept(raw_store)
    dead = (DroppedEvent(1, "refused", ""),)
    assert store.claims.settle([Settlement(claim, 1, dead=dead, attempts=({"event": "x"},))]) == ["lost"]
    assert store.claims.settle(
        [Settlement(claim, 0, follow_up=ScheduledRetry(0, 1, 1), sink=SinkResult.FAILED)]
    ) == ["lost"]
    assert kept(raw_store) == before
    assert store.expiry.sweep() == 0


def test_a_session_of_others_too_keeps_who_they_are(
    store: Store, erasure: Erasure, raw_store: "redis.Redis"
) -> None:
    store.session_states.record(
        [session_status(1, session="s5", registration=registration) for registration in ("r1", OTHER)]
        + [session_status(1, session="s6", registration=OTHER)]
    )
    erase(erasure)
    assert raw_store.hkeys(session_state_key("s5")) == [f"r:{OTHER}"]
    assert store.session_states.get("s6").latest is not None


def test_a_session_that_names_nobody_is_found_by_whoever_subscribed(
    store: Store, erasure: Erasure, raw_store: "redis.Redis"
) -> None:
    created(store, event_type=EventType.SESSION_STATUS, session="s7")
    store.session_states.record([session_status(1, session="s7"), session_status(1, session="s8")])
    assert erase(erasure).sessions == [session_state_key("s7")]
    assert store.session_states.get("s7").latest is None
    assert store.session_states.get("s8").latest is not None


def test_dead_letters_and_attempts_of_subscriptions_long_gone_are_found(
    store: Store, erasure: Erasure, raw_store: "redis.Redis", store_at: Callable[..., Store]
) -> None:
    created(store, max_events=1)
    append(store, invitation(1))
    for _ in range(2):
        (claim,) = store.claims.claim([P], subscriptions=1, events=1)
        dead = (DroppedEvent(claim.items[0].number, "refused", ""),)
        store.claims.settle([Settlement(claim, claim.items[0].number, dead=dead, attempts=({"event": "x"},))])
    store_at(3601).expiry.sweep()
    assert raw_store.keys("*:subscription:*") == []
    traces = erase(erasure)
    assert (len(traces.dead_letters), len(traces.attempts)) == (2, 2)
    assert (raw_store.xlen(P.dead), raw_store.xlen(P.attempts)) == (0, 0)


def test_those_of_the_first_release_are_found_by_their_subscription(
    store: Store, erasure: Erasure, raw_store: "redis.Redis"
) -> None:
    made, other = created(store), created(store, registration=OTHER)
    for subscription in (made, other):
        raw_store.xadd(
            P.dead, {"subscription": subscription.id, "at": 1, "reason": "", "detail": "", "entry": ""}
        )
        raw_store.xadd(P.attempts, {"subscription": subscription.id, "attempt": "{}"})
    erase(erasure)
    for stream in (P.dead, P.attempts):
        assert [fields["subscription"] for _, fields in raw_store.xrange(stream)] == [other.id]


class Interrupted(Exception):
    """Where a process ended."""


class Steps:
    """Wraps an object whose process ends after a number of calls of its methods."""

    def __init__(self, of: Any, left: Iterator[int]) -> None:
        self._of = of
        self._left = left

    def __getattr__(self, name: str) -> Any:
        if next(self._left, None) is None:
            raise Interrupted
        return getattr(self._of, name)


@pytest.mark.parametrize("steps", range(10))
def test_interrupted_anywhere_it_is_completed_by_a_repeat(
    store: Store, raw_store: "redis.Redis", steps: int
) -> None:
    lived(store, "r1", raw_store)
    interrupted = Erasure(store)
    traces = interrupted.find("r1")
    left = iter(range(steps))
    interrupted._redis, interrupted._scripts = Steps(store.client, left), Steps(store.scripts, left)
    with pytest.raises(Interrupted):
        interrupted.erase(traces)
    erase(Erasure(store))
    assert kept(raw_store).keys() == {"partitions"}


def test_what_a_newer_release_made_is_left_with_the_registration(
    store: Store, erasure: Erasure, raw_store: "redis.Redis"
) -> None:
    made = lived(store, "r1", raw_store)
    raw_store.hset(P.subscription(made[0].id), "format", FORMAT + 1)
    before = raw_store.hgetall(P.subscription(made[0].id))
    traces = erase(erasure)
    assert traces.newer == [made[0].id]
    assert raw_store.hgetall(P.subscription(made[0].id)) == before
    assert raw_store.exists(P.registration_record("r1"), P.outbox(made[0].id)) == 2
    assert raw_store.zscore(P.ends, "registration:r1")
    assert not raw_store.exists(
        *(Partition(P.number).subscription(subscription.id) for subscription in made[1:])
    )


@pytest.mark.parametrize("kind", ["list", "string", "hash", "set", "zset"])
def test_what_stood_in_place_of_a_channels_log_is_erased_if_it_names_the_registration(
    store: Store, erasure: Erasure, raw_store: "redis.Redis", kind: str
) -> None:
    """It was set aside by the next event for the channel; what is of others stays."""
    keys = {}
    for registration in ("r1", OTHER):
        channel = new_channel(store)
        made = listening(store, channel, registration=registration)
        log = P.channel_log(channel.id)
        # Beyond the first piece that is read, and across the border of two.
        text = "x" * 65_530 + f'"subscriptionId":"{made.id}"'
        put = {
            "list": lambda key, text: raw_store.rpush(key, *["other"] * 250, text),
            "string": raw_store.set,
            "hash": lambda key, text: raw_store.hset(key, "field", text),
            "set": raw_store.sadd,
            "zset": lambda key, text: raw_store.zadd(key, {text: 1}),
        }
        put[kind](log, text)
        append(store, uncounted(1, registration))
        (claim,) = store.claims.claim([P], subscriptions=1, events=8)
        event = ChannelEvent(1, "t", b"{}")
        store.claims.settle([Settlement(claim, 1, channel=channel.id, events=(event,))])
        keys[registration] = f"set-aside:{log}"
        assert raw_store.exists(keys[registration])
    traces = erasure.find("r1")
    assert traces.set_aside_logs == [keys["r1"]]
    erasure.erase(traces)
    assert not raw_store.exists(keys["r1"])
    assert raw_store.exists(keys[OTHER])
    assert not erasure.find("r1")
