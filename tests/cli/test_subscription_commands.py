"""`webrtc-events subscriptions`, as an operator runs it."""

import json
import shlex
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
import redis

from tests.cli.operators import HOSTILE, in_terminal, lines_of
from tests.harness.builders import append, created, invitation
from tests.harness.commands import COMMAND, clean_environ, run
from tests.harness.many_subscriptions import fill
from tests.store.devices import DEVICE, OTHER_DEVICE, create, to_device
from webrtc_events.cli.subscription_listing import Listing
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.event_names import wire_types
from webrtc_events.core.model import Status
from webrtc_events.core.settings import Settings
from webrtc_events.services.subscription_filters import ListFilters
from webrtc_events.store.keys import partition_of_subscription
from webrtc_events.store.settlements import DroppedEvent, Settlement
from webrtc_events.store.store import Store
from webrtc_events.store.subscription_search import SubscriptionSearch

MANY = 10_000


@pytest.fixture
def subscriptions(environ: dict[str, str]) -> Any:
    def command(*arguments: str, stdin: bytes = b"") -> Any:
        return run("subscriptions", *arguments, stdin=stdin, env=clean_environ() | environ)

    return command


def key_of(subscription_id: str) -> str:
    partition = partition_of_subscription(subscription_id, 64)
    assert partition is not None
    return partition.subscription(subscription_id)


def test_list_is_a_table_for_people_and_json_for_programs(store: Store, subscriptions: Any) -> None:
    made = created(store)
    heading, row = subscriptions("list").stdout.decode().splitlines()
    assert heading.split()[:4] == ["SUBSCRIPTION", "STATUS", "TYPE", "CLIENT"]
    assert row.split()[:5] == [made.id, "ACTIVE", "session-invitation", "app", "localhost:9443"]
    (found,) = lines_of(subscriptions("list", "--json").stdout)
    assert found.keys() == {
        *("subscription", "status", "type", "types", "version", "client", "registration", "device"),
        *("host", "startsAt", "expiresAt", "fault"),
    }
    assert (found["subscription"], found["fault"]) == (made.id, None)
    # A pseudonym, until somebody reveals it, which is logged.
    assert found["registration"].startswith("~")
    revealed = subscriptions("list", "--json", "--reveal")
    assert lines_of(revealed.stdout)[0]["registration"] == "r1"
    assert b"change by=" in revealed.stderr
    assert b"action=reveal-subscriptions" in revealed.stderr


def test_filters_are_those_of_the_console(store: Store, subscriptions: Any) -> None:
    first = created(store)
    other = created(store, client="other", registration="r2", sink="https://sub.sink.example:8443/x")

    def found(*filters: str) -> list[str]:
        return sorted(
            line["subscription"] for line in lines_of(subscriptions("list", "--json", *filters).stdout)
        )

    assert found("--client", "other") == [other.id]
    assert found("--host", "sink.example", "--status", "active") == [other.id]
    assert found("--registration", "r1") == [first.id]
    assert found("--type", "session-status") == []
    assert found("--status", "live") == sorted([first.id, other.id])
    assert found("--client", "nobody") == []


def test_one_to_a_device_is_listed_and_shown_with_all_its_types(store: Store, subscriptions: Any) -> None:
    old, new = created(store), to_device()
    assert create(store, new).outcome == "created"
    rows = subscriptions("list").stdout.decode().splitlines()
    (row,) = [row for row in rows if row.startswith(new.id)]
    assert row.split()[2] == "session-invitation,session-status,registration-ends"
    assert row.endswith("0.3")
    (listed,) = lines_of(subscriptions("list", "--json", "--version", "0.3").stdout)
    assert (listed["subscription"], listed["version"], listed["registration"]) == (new.id, "0.3", None)
    assert listed["types"] == wire_types("v0.3", new.types)
    pseudonym = listed["device"]
    assert pseudonym.startswith("~")
    for filters in (
        ("--device", pseudonym),
        ("--device", DEVICE.upper()),
        ("--type", "registration-ends"),
        ("--client", "app", "--version", "0.3"),
    ):
        found = lines_of(subscriptions("list", "--json", *filters).stdout)
        assert [line["subscription"] for line in found] == [new.id], filters
    assert subscriptions("list", "--json", "--device", OTHER_DEVICE).stdout == b""
    (former,) = lines_of(subscriptions("list", "--json", "--version", "0.2").stdout)
    assert (former["subscription"], former["version"], former["device"]) == (old.id, "0.2", None)
    shown = subscriptions("show", new.id)
    text = shown.stdout.decode()
    assert "session-invitation, session-status, registration-ends" in text
    assert DEVICE not in text
    assert json.loads(subscriptions("show", new.id, "--json", "--reveal").stdout)["device"] == DEVICE
    assert b"result=ended" in subscriptions("end", new.id, "--yes").stderr


def test_types_of_a_device_that_cannot_be_read_are_named(
    store: Store, raw_store: "redis.Redis", subscriptions: Any
) -> None:
    bad = to_device()
    assert create(store, bad).outcome == "created"
    raw_store.hset(key_of(bad.id), "types", "session-status nonsense")
    (found,) = lines_of(subscriptions("list", "--json").stdout)
    assert found["fault"] == "its field types cannot be read"
    assert b"cannot be read:" in subscriptions("show", bad.id).stdout


def test_that_there_is_none_is_said_to_people_alone(subscriptions: Any) -> None:
    done = subscriptions("list", "--client", "nobody")
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"There is no subscription" in done.stderr
    assert subscriptions("list", "--client", "nobody", "--json").stderr == b""


def test_damaged_records_are_listed_among_good_ones(
    store: Store, raw_store: "redis.Redis", subscriptions: Any
) -> None:
    good, bad, other = (created(store, registration=name) for name in ("r1", "r2", "r3"))
    raw_store.hset(key_of(bad.id), "status", "NONSENSE")
    raw_store.delete(key_of(other.id))
    raw_store.set(key_of(other.id), "no hash")
    found = {line["subscription"]: line for line in lines_of(subscriptions("list", "--json").stdout)}
    assert found.keys() == {good.id, bad.id, other.id}
    assert found[good.id]["fault"] is None
    assert found[bad.id]["fault"] == "its field status cannot be read"
    assert found[other.id]["fault"] == "it is a key of another type"
    shown = subscriptions("show", bad.id)
    assert shown.returncode == 0
    assert b"cannot be read:" in shown.stdout


def test_what_others_wrote_moves_no_cursor(
    store: Store, raw_store: "redis.Redis", subscriptions: Any
) -> None:
    made = created(store)
    raw_store.hset(key_of(made.id), mapping={"client": HOSTILE, "end_reason": HOSTILE})
    for done in (subscriptions("list"), subscriptions("show", made.id)):
        assert b"\x1b" not in done.stdout
        assert "\u202e" not in done.stdout.decode()
    assert len(subscriptions("list").stdout.splitlines()) == 2


def test_very_many_come_page_by_page_and_a_list_goes_on_where_it_was_cut_off(
    raw_store: "redis.Redis", subscriptions: Any, store: Store
) -> None:
    made = fill(raw_store, MANY)
    found = {line["subscription"] for line in lines_of(subscriptions("list", "--json").stdout)}
    assert found == set(made)
    first = subscriptions("list", "--client", "many", "--limit", "70", "--json")
    assert len(lines_of(first.stdout)) == 70
    command = shlex.split(first.stderr.decode().splitlines()[-1])
    assert command[:5] == ["webrtc-events", "subscriptions", "list", "--client", "many"]
    rest = subscriptions(*command[2:], "--json", "--limit", "5")
    both = [line["subscription"] for line in lines_of(first.stdout) + lines_of(rest.stdout)]
    assert both == made[:75]


def test_a_store_that_goes_away_in_the_middle_loses_nothing(
    store: Store,
    settings: Settings,
    raw_store: "redis.Redis",
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = fill(raw_store, 1_500)
    pages, whole = 0, SubscriptionSearch.page

    def page(*args: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages == 3:
            raise Unavailable
        return whole(*args)

    monkeypatch.setattr(SubscriptionSearch, "page", page)
    listing = Listing.begin(store, settings, ListFilters(client="many"), "", reveal=False)
    assert listing.run(None, as_json=True) == 1
    printed = capsys.readouterr()
    assert "the store went away" in printed.err
    after = shlex.split(printed.err)[-1]
    rest = Listing.begin(store, settings, ListFilters(client="many"), after, reveal=False)
    assert rest.run(None, as_json=True) == 0
    lines = lines_of((printed.out + capsys.readouterr().out).encode())
    assert [line["subscription"] for line in lines] == made


def test_ctrl_c_says_where_to_go_on(raw_store: "redis.Redis", environ: dict[str, str]) -> None:
    fill(raw_store, 3_000)
    process = subprocess.Popen(
        [*COMMAND, "subscriptions", "list", "--client", "many", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environ() | environ,
    )
    assert process.stdout is not None
    # It prints, and nobody reads on: the pipe is full soon.
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"--client many --after " in err


def test_ctrl_c_is_not_lost_in_a_destructor(raw_store: "redis.Redis", environ: dict[str, str]) -> None:
    """Python ignores what is raised there: by chance an interrupt is, if the garbage collector is at work.

    It comes again at once here: a quick machine is through with the list in the 10 ms that it takes else.
    """
    fill(raw_store, 3_000)
    program = """
import signal, sys
from webrtc_events.cli.main import main
from webrtc_events.cli import interrupts
from webrtc_events.cli.subscription_listing import Listing

interrupts._AGAIN_S = 0.0001

class Dropped:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        sys.stderr.write("not reached")

def interrupted(self, row):
    Listing._json_line = line
    Dropped()
    return line(self, row)

line, Listing._json_line = Listing._json_line, interrupted
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "subscriptions", "list", "--client", "many", "--json"],
        capture_output=True,
        timeout=60,
        env=clean_environ() | environ,
    )
    assert b"not reached" not in done.stderr
    assert done.returncode == 130
    assert b"--client many --after " in done.stderr
    assert len(done.stdout.splitlines()) < 3_000


def test_a_place_that_there_is_not_is_refused(subscriptions: Any) -> None:
    done = subscriptions("list", "--after", "nonsense")
    assert done.returncode == 2
    assert b"is no place in a list" in done.stderr


def test_show_has_state_outbox_attempts_and_dead_letters(store: Store, subscriptions: Any) -> None:
    made = created(store)
    append(store, invitation(1), invitation(2), invitation(3))
    (claim,) = store.claims.claim([partition_of_subscription(made.id, 64)], subscriptions=1, events=8)  # type: ignore[list-item]
    attempt = {
        "event": f"{made.id}.1",
        "type": "session-invitation",
        "attempt": 1,
        "outcome": "drop",
        "reason": "refused",
        "status": 400,
        "ms": 12,
        "at": claim.now_ms,
        "correlator": "c1",
        "detail": HOSTILE,
    }
    dead = (DroppedEvent(1, "refused", HOSTILE),)
    store.claims.settle([Settlement(claim, 1, dead=dead, attempts=(attempt,))])
    text = subscriptions("show", made.id).stdout.decode()
    for expected in (made.id, "ACTIVE", "2 events", "drop refused", "c1", "dead-letters show LETTER"):
        assert expected in text
    assert "\x1b" not in text
    assert "r1" not in text.split()
    whole = json.loads(subscriptions("show", made.id, "--json").stdout)
    assert (whole["status"], whole["outbox"]["events"], whole["accepted"]) == ("ACTIVE", 2, 3)
    assert [found["status"] for found in whole["attempts"]] == [400]
    (letter,) = whole["deadLetters"]
    assert letter["reason"] == "refused"
    assert letter["data"]["data"]["originatorAddress"].startswith("~")
    revealed = subscriptions("show", made.id, "--json", "--reveal")
    assert (
        json.loads(revealed.stdout)["deadLetters"][0]["data"]["data"]["originatorAddress"]
        == "tel:+12025550100"
    )
    assert b"action=reveal" in revealed.stderr


@pytest.mark.parametrize(
    "name", ["5d41402abc4b2a76b9719d911017c592-2a", "nonsense", HOSTILE.replace("\n", "")]
)
def test_one_that_there_is_not_cannot_be_shown(subscriptions: Any, name: str) -> None:
    done = subscriptions("show", name)
    assert done.returncode == 1
    assert b"there is no subscription" in done.stderr
    assert done.stdout == b""


def test_end_asks_once_and_is_logged_with_who_did_it(store: Store, subscriptions: Any) -> None:
    made = created(store)
    refused = subscriptions("end", made.id, stdin=b"n\n")
    assert refused.returncode == 1
    assert b"This cannot be undone." in refused.stderr
    still = store.subscriptions.get(made.id)
    assert still is not None
    assert still.status is Status.ACTIVE
    done = subscriptions("end", made.id, stdin=b"y\n")
    assert done.returncode == 0
    who = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    line = f"change by={who} action=end-subscription subscription={made.id} result=ended"
    assert line in done.stderr.decode()
    again = subscriptions("end", made.id, "--yes")
    assert again.returncode == 1
    assert b"result=already" in again.stderr


@pytest.mark.parametrize("level", ["debug", "warning", "error"])
def test_no_level_of_the_log_hides_who_ended_it(store: Store, environ: dict[str, str], level: str) -> None:
    made = created(store)
    env = clean_environ() | environ | {"WEBRTC_EVENTS_LOG_LEVEL": level}
    done = run("subscriptions", "end", made.id, "--yes", env=env)
    assert done.returncode == 0
    assert done.stderr.count(f"action=end-subscription subscription={made.id} result=ended".encode()) == 1


def test_of_several_that_are_ended_a_damaged_one_holds_up_no_other(
    store: Store, raw_store: "redis.Redis", subscriptions: Any
) -> None:
    bad, good = created(store, registration="r1"), created(store, registration="r2")
    raw_store.delete(key_of(bad.id))
    raw_store.set(key_of(bad.id), "no hash")
    done = subscriptions("end", bad.id, good.id, "--yes")
    assert done.returncode == 1
    assert b"It cannot be ended" in done.stderr
    ended = store.subscriptions.get(good.id)
    assert ended is not None
    assert ended.status is Status.EXPIRED


def test_in_a_terminal_no_line_is_wider_than_it_is(store: Store, environ: dict[str, str]) -> None:
    made = created(store)
    text = in_terminal(environ, "subscriptions", "list")
    assert made.id in text
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_a_store_that_is_away_is_one_line(environ: dict[str, str]) -> None:
    began = time.monotonic()
    away = {"WEBRTC_EVENTS_REDIS_URL": "redis://127.0.0.1:9/0"}
    done = run("subscriptions", "list", env=clean_environ() | environ | away)
    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: WEBRTC_EVENTS_REDIS_URL:")
    assert b"Traceback" not in done.stderr
    assert time.monotonic() - began < 30
