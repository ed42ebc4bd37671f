"""`webrtc-events dead-letters`, as an operator runs it."""

import json
from dataclasses import replace
from typing import Any

import pytest
import redis

from tests.harness.builders import append, created, invitation, session_status
from tests.harness.commands import clean_environ, run
from webrtc_events.core.model import EventType, Registration, Subscription
from webrtc_events.core.settings import Settings
from webrtc_events.store.dead_letters import DeadLetterFilter, DeadLetters
from webrtc_events.store.keys import partition_of
from webrtc_events.store.settlements import DroppedEvent, Settlement
from webrtc_events.store.store import Store

P = partition_of("r1", 64)


@pytest.fixture
def lost(store: Store) -> Subscription:
    """A subscription with two dead letters: one refused, after an attempt, and one late."""
    made = created(store)
    append(store, invitation(1), invitation(2))
    (claim,) = store.claims.claim([P], subscriptions=1, events=8)
    attempt = {
        "event": f"{made.id}.1",
        "attempt": 1,
        "outcome": "drop",
        "reason": "refused(status 400)",
        "status": 400,
        "ms": 12,
        "at": claim.now_ms,
        "correlator": "c1",
    }
    dead = (DroppedEvent(1, "refused", "status 400"), DroppedEvent(2, "deadline_exceeded", ""))
    store.claims.settle([Settlement(claim, 2, dead=dead, attempts=(attempt,))])
    return made


@pytest.fixture
def names(lost: Subscription, store: Store, settings: Settings) -> list[str]:
    """The ids of the dead letters, the oldest first."""
    return [str(dead_letter.id) for dead_letter in DeadLetters(store).oldest_first(DeadLetterFilter())]


@pytest.fixture
def dead_letters(environ: dict[str, str]) -> Any:
    def command(*arguments: str, stdin: bytes = b"") -> Any:
        return run("dead-letters", *arguments, stdin=stdin, env=clean_environ() | environ)

    return command


def test_list_is_a_table_for_people(lost: Subscription, names: list[str], dead_letters: Any) -> None:
    heading, newest, oldest = dead_letters("list").stdout.decode().splitlines()
    assert heading.split() == ["LETTER", "GIVEN", "UP", "AT", "TYPE", "REASON", "EVENT"]
    assert newest.split()[0] == names[1]
    assert newest.split()[3:] == ["session-invitation", "deadline_exceeded", f"{lost.id}.2"]
    assert oldest.split()[3:] == ["session-invitation", "refused", f"{lost.id}.1"]


def test_list_is_ndjson_for_programs(lost: Subscription, names: list[str], dead_letters: Any) -> None:
    done = dead_letters("list", "--json", "--registration", "r1", "--since", "1h", "--limit", "1")
    (line,) = done.stdout.splitlines()
    dead_letter = json.loads(line)
    del dead_letter["at"]
    assert dead_letter == {
        "letter": names[1],
        "type": "org.camaraproject.webrtc-events.v0.session-invitation",
        "reason": "deadline_exceeded",
        "detail": "",
        "event": f"{lost.id}.2",
        "subscription": lost.id,
        "registration": "r1",
    }


def test_filters_that_nothing_passes_list_nothing(lost: Subscription, dead_letters: Any) -> None:
    for filters in (["--reason", "x"], ["--type", "session-status"], ["--since", "2100-01-01T00:00:00Z"]):
        done = dead_letters("list", *filters)
        assert (done.returncode, done.stdout) == (0, b"")
        assert b"There is no dead letter" in done.stderr
        assert dead_letters("list", "--json", *filters).stderr == b""


def test_show_tells_everything(lost: Subscription, names: list[str], dead_letters: Any) -> None:
    text = dead_letters("show", names[0]).stdout.decode()
    for expected in (
        names[0],
        "refused",
        "status 400",
        f'"id": "{lost.id}.1"',
        "+12025550100",
        "attempt 1",
        "c1",
    ):
        assert expected in text
    whole = json.loads(dead_letters("show", names[0], "--json").stdout)
    assert whole["asSent"]["data"]["subscriptionId"] == lost.id
    assert (whole["fault"], whole["subscriptionStatus"]) == (None, "ACTIVE")
    assert [attempt["status"] for attempt in whole["attempts"]] == [400]


@pytest.mark.slow
@pytest.mark.parametrize(("setting", "strict"), [("false", False), ("app,x", True), ("x", False)])
def test_show_has_the_form_that_the_client_would_get(
    store: Store, settings: Settings, environ: dict[str, str], setting: str, *, strict: bool
) -> None:
    """Now, whatever it was when the event was given up."""
    made = created(store, event_type=EventType.SESSION_STATUS, session="s1", client="app")
    append(store, session_status(1), to=P.number)
    (claim,) = store.claims.claim([P], subscriptions=1, events=8)
    store.claims.settle([Settlement(claim, 1, dead=(DroppedEvent(1, "refused", "HTTP 400"),))])
    (dead_letter,) = DeadLetters(store).oldest_first(DeadLetterFilter())
    env = clean_environ() | environ | {"WEBRTC_EVENTS_STRICT_CLOUDEVENTS": setting}
    shown = json.loads(run("dead-letters", "show", str(dead_letter.id), "--json", env=env).stdout)
    assert shown["fault"] is None
    assert shown["asSent"]["id"] == f"{made.id}.1"
    assert ("mediaSessionId" in shown["asSent"], "status" in shown["asSent"]) == (not strict, not strict)


def test_redeliver_by_name_then_again(
    lost: Subscription, names: list[str], dead_letters: Any, store: Store
) -> None:
    done = dead_letters("redeliver", names[0])
    assert (done.returncode, done.stdout.decode()) == (0, f"{names[0]}: redelivered\n")
    again = dead_letters("redeliver", names[0], names[1])
    assert again.returncode == 1
    assert f"{names[0]}: there is no such dead letter" in again.stderr.decode()
    assert again.stdout.decode() == f"{names[1]}: redelivered\n"
    (claim,) = store.claims.claim([P], subscriptions=1, events=8)
    assert [item.event_number for item in claim.items] == [1, 2]


def test_redeliver_by_filter_counts(lost: Subscription, dead_letters: Any, store: Store) -> None:
    assert dead_letters("redeliver", "--reason", "refused").stdout == b"1 redelivered, 0 refused\n"
    store.registrations.put(Registration("r1", "d1", "another", None, None), expires_at_ms=None, end="")
    done = dead_letters("redeliver", "--all")
    assert done.returncode == 0
    assert done.stdout.decode().splitlines() == [
        "0 redelivered, 1 refused",
        "  1: its registration no longer belongs to the subscriber",
    ]


def test_purge_asks_first(lost: Subscription, names: list[str], dead_letters: Any) -> None:
    declined = dead_letters("purge", "--all", stdin=b"n\n")
    assert declined.returncode == 1
    assert b"Remove 2 dead letters?" in declined.stderr
    assert dead_letters("purge", names[0], stdin=b"y\n").stdout == b"1 removed\n"
    assert dead_letters("purge", "--all", "--yes").stdout == b"1 removed\n"
    assert dead_letters("list").stdout == b""


@pytest.mark.parametrize("command", ["redeliver", "purge"])
def test_what_is_meant_must_be_said(command: str, dead_letters: Any) -> None:
    for arguments in ([], ["--all", "--reason", "x"], ["1-1-1", "--all"]):
        done = dead_letters(command, *arguments)
        assert done.returncode == 2
        assert b"one of the three" in done.stderr


@pytest.mark.slow
def test_nonsense_is_refused(dead_letters: Any) -> None:
    for arguments, word in (
        (["show", "nonsense"], b"no dead letter's id"),
        (["show", "1-1-1"], b"no such dead letter"),
        (["list", "--since", "yesterday"], b"neither a span"),
    ):
        done = dead_letters(*arguments)
        assert done.returncode in (1, 2)
        assert word in done.stderr
        assert b"Traceback" not in done.stderr


def test_a_store_that_is_gone_is_reported(environ: dict[str, str]) -> None:
    gone = clean_environ() | environ | {"WEBRTC_EVENTS_REDIS_URL": "redis://127.0.0.1:9/0"}
    done = run("dead-letters", "list", env=gone)
    assert done.returncode == 1
    assert b"WEBRTC_EVENTS_REDIS_URL: " in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_dead_letter_without_its_payload_is_shown_as_such(
    store: Store, settings: Settings, dead_letters: Any, raw_store: "redis.Redis"
) -> None:
    """Several outboxes had it in common, and the store had no room for a copy."""
    for _ in range(2):
        created(store)
    event = replace(invitation(1), payload=json.dumps({"type": "t", "padding": "x" * 100_000}))
    append(store, event)
    claims = store.claims.claim([P], subscriptions=2, events=1)
    # Well above its watermark: what other tests left may still be freed.
    raw_store.config_set("maxmemory", round(raw_store.info("memory")["used_memory"] * 1.02))
    store.claims.settle([Settlement(claim, 1, dead=(DroppedEvent(1, "refused", ""),)) for claim in claims])
    raw_store.config_set("maxmemory", "0")
    (name, _) = [str(dead_letter.id) for dead_letter in DeadLetters(store).oldest_first(DeadLetterFilter())]
    assert "its payload was left out: the store was full" in dead_letters("show", name).stdout.decode()
    done = dead_letters("redeliver", name)
    assert done.returncode == 1
    assert "its payload was left out, as the store was full" in done.stderr.decode()
    assert dead_letters("purge", "--yes", name).returncode == 0
