"""`webrtc-events sessions`, as an operator runs it."""

import json
from typing import Any

import pytest
import redis

from tests.cli.operators import HOSTILE, in_terminal
from tests.console.ladder.traces import failing, healthy, played
from tests.console.traced import keep
from tests.harness.builders import append, created, session_status
from tests.harness.commands import clean_environ, run
from tests.store.devices import OTHER_DEVICE, created_for, registered
from webrtc_events.cli.ladder_text import ladder_lines
from webrtc_events.console.ladder.building import ladder_of
from webrtc_events.core.event_names import wire_types
from webrtc_events.core.model import EventType
from webrtc_events.store.keys import call_trace_key, partition_of, session_key, session_state_key
from webrtc_events.store.store import Store

P = partition_of("r1", 64)


@pytest.fixture
def sessions(environ: dict[str, str]) -> Any:
    def command(*arguments: str) -> Any:
        return run("sessions", *arguments, env=clean_environ() | environ)

    return command


def test_show_has_state_subscriptions_and_the_ladder(
    store: Store, sessions: Any, environ: dict[str, str]
) -> None:
    session = keep(store, played("answered", [healthy, failing]))
    made = created(store, event_type=EventType.SESSION_STATUS, session=session)
    store.session_states.record([session_status(1, session=session, registration="r1")])
    done = sessions("show", session)
    assert done.returncode == 0
    text = done.stdout.decode()
    for expected in ("Ringing", made.id, "session-invitation", "503", "again in", "|----->|"):
        assert expected in text, expected
    # The caller's address and the registration are pseudonyms.
    assert "+12025550143" not in text
    assert "r1" not in text.split()
    narrow = in_terminal(environ, "sessions", "show", session)
    assert max(map(len, narrow.splitlines())) <= 80
    whole = json.loads(sessions("show", session, "--json").stdout)
    assert (whole["status"], whole["isOver"]) == ("Ringing", False)
    assert [found["subscription"] for found in whole["subscriptions"]] == [made.id]
    assert len(whole["trace"]["entries"]) == len(played("answered", [healthy, failing]))
    revealed = sessions("show", session, "--reveal")
    assert b"+12025550143" in revealed.stdout
    assert b'action="reveal personal data"' in revealed.stderr


def test_subscriptions_to_a_device_that_it_involves_are_found(store: Store, sessions: Any) -> None:
    made, _others = created_for(store), created_for(store, OTHER_DEVICE)
    registered(store)
    store.session_states.record([session_status(1, session="s1", registration="r1")])
    (found,) = json.loads(sessions("show", "s1", "--json").stdout)["subscriptions"]
    assert (found["subscription"], found["version"]) == (made.id, "0.3")
    assert found["types"] == wire_types("v0.3", made.types)
    assert made.id in sessions("show", "s1").stdout.decode()


def test_one_without_a_trace_says_so(store: Store, sessions: Any) -> None:
    created(store, event_type=EventType.SESSION_STATUS, session="s1")
    text = sessions("show", "s1").stdout.decode()
    assert "No trace of it is kept" in text
    assert json.loads(sessions("show", "s1", "--json").stdout)["trace"] is None


def test_one_that_nothing_is_known_of_is_an_error(store: Store, sessions: Any) -> None:
    done = sessions("show", "nowhere")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"nothing is known of this session" in done.stderr


def test_what_is_damaged_hides_nothing_else_and_is_left_as_it_is(
    store: Store, raw_store: "redis.Redis", sessions: Any
) -> None:
    made = created(store, event_type=EventType.SESSION_STATUS, session="s1")
    other = created(store, event_type=EventType.SESSION_STATUS, session="s1", registration="r2")
    raw_store.hset(P.subscription(made.id), "status", HOSTILE)
    raw_store.delete(session_key("s1"))
    raw_store.set(session_key("s1"), "no set")
    raw_store.set(session_state_key("s1"), "no hash")
    raw_store.hset(call_trace_key("s1"), mapping={"e:1": HOSTILE, "first": 1, "next": 2, "born": 1})
    whole = json.loads(sessions("show", "s1", "--json").stdout)
    found = {row["subscription"]: row["fault"] for row in whole["subscriptions"]}
    assert found == {made.id: "its field status cannot be read", other.id: None}
    assert whole["trace"]["damaged"] == 1
    assert raw_store.get(session_key("s1")) == "no set"
    text = sessions("show", "s1").stdout.decode()
    assert "\x1b" not in text
    assert "1 entry of its trace cannot be read" in text


def test_a_session_of_hostile_words_is_printed_safely(store: Store, sessions: Any) -> None:
    session = HOSTILE.replace("\n", "")
    append(store, session_status(1, session=session, registration="r1"), to=P.number)
    store.session_states.record([session_status(1, session=session, registration="r1", status=HOSTILE)])
    done = sessions("show", session)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout.decode()


def test_many_lanes_are_a_list_of_messages() -> None:
    entries = played("answered", [healthy] * 12)
    lines = list(ladder_lines(ladder_of(entries), 100))
    assert not any("|--" in line for line in lines)
    assert any("E -> S12" in line for line in lines)
    assert max(map(len, lines)) <= 100


def test_an_empty_ladder_has_a_sentence() -> None:
    assert list(ladder_lines(ladder_of([]), 80)) == ["Nothing has happened yet."]
