"""`webrtc-events migrate --dry-run`: what subscriptions of 0.2 would be, and that nothing is written."""

import json
from typing import Any

import pytest
import redis

from tests.cli.operators import HOSTILE, in_terminal, lines_of
from tests.harness.builders import SINK, created, created_with_token
from tests.harness.commands import clean_environ, run
from tests.harness.many_subscriptions import fill
from tests.store.devices import to_device
from webrtc_events.contract.documents import load_subscriptions
from webrtc_events.core.model import ContractVersion, EventType, Registration, Subscription
from webrtc_events.core.settings import Settings
from webrtc_events.store.formats import FORMAT
from webrtc_events.store.keys import partition_of, partition_of_subscription
from webrtc_events.store.store import Store

DEVICE = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
OTHER = "11111111-9dc0-11d1-b245-5ffdce74fad2"
PREFIX = "org.camaraproject.webrtc-events-subscriptions.v0."


@pytest.fixture
def migrate(environ: dict[str, str]) -> Any:
    def command(*arguments: str) -> Any:
        return run("migrate", *arguments, env=clean_environ() | environ)

    return command


@pytest.fixture
def found(migrate: Any) -> Any:
    """The lines of a dry run, by their kind."""

    def lines(*arguments: str, status: int = 0) -> dict[str, list[Any]]:
        done = migrate("--dry-run", "--json", *arguments)
        assert done.returncode == status, done.stderr
        by_kind: dict[str, list[Any]] = {}
        for line in lines_of(done.stdout):
            by_kind.setdefault(line["kind"], []).append(line)
        return by_kind

    return lines


def register(store: Store, registration: str, device: str = DEVICE, **changes: Any) -> None:
    known = {"owner": "app", "subject": None, "expires_at": None} | changes
    store.registrations.put(Registration(registration, device, **known), expires_at_ms=None, end="")


def key_of(subscription: Subscription) -> str:
    partition = partition_of_subscription(subscription.id, 64)
    assert partition is not None
    return partition.subscription(subscription.id)


def rewritten(raw_store: "redis.Redis", subscription: Subscription, **members: Any) -> None:
    """Other members of `config`, as if it had been asked for with them."""
    request = subscription.request
    request["config"] |= members
    raw_store.hset(key_of(subscription), "request", json.dumps(request))


def everything(raw_store: "redis.Redis") -> dict[bytes, Any]:
    return {key: raw_store.dump(key) for key in raw_store.scan_iter()}


def test_it_says_why_it_does_nothing_without_dry_run(migrate: Any) -> None:
    done = migrate()
    assert done.returncode == 2
    assert b"applications make their own subscriptions of 0.3" in done.stderr
    assert b"--dry-run" in done.stderr


def test_three_of_a_device_become_one_and_nothing_is_written(
    store: Store, raw_store: "redis.Redis", found: Any
) -> None:
    for registration in ("r1", "r2"):
        register(store, registration, DEVICE.upper())
    made = [
        created(store, registration="r1"),
        created(store, registration="r1", event_type=EventType.SESSION_STATUS, session="s1"),
        created(store, registration="r2", event_type=EventType.REGISTRATION_ENDS),
        created(store, registration="r2", event_type=EventType.SESSION_STATUS, session="s2"),
    ]
    before = everything(raw_store)
    lines = found("--reveal")
    (one,) = lines["subscription"]
    assert everything(raw_store) == before
    body = {
        "protocol": "HTTP",
        "sink": SINK,
        "types": [PREFIX + kind for kind in ("session-invitation", "session-status", "registration-ends")],
        "config": {"subscriptionDetail": {"deviceId": DEVICE}},
    }
    assert one["body"] == body
    assert load_subscriptions().validator("HTTPSubscriptionRequest").is_valid(body)
    assert (one["client"], one["user"], one["supply"]) == ("app", None, [])
    assert one["scopes"] == [f"webrtc-events-subscriptions:{wire}:create" for wire in body["types"]]
    assert sorted(former["subscription"] for former in one["inPlaceOf"]) == sorted(was.id for was in made)
    changes = {change["name"]: change["text"] for change in one["changes"]}
    assert changes.keys() == {"all-sessions", "all-registrations", "no-registration-end", "folded"}
    assert "2 sessions" in changes["all-sessions"]
    (totals,) = lines["totals"]
    assert totals == {
        "kind": "totals",
        "carriedOver": 4,
        "subscriptions": 1,
        "notCarriedOver": 0,
        "damaged": 0,
        "over": 0,
        "ofDevices": 0,
    }


def test_what_differs_stays_apart(store: Store, settings: Settings, found: Any) -> None:
    for registration in ("r1", "r2", "r3"):
        register(store, registration, OTHER if registration == "r2" else DEVICE)
    created(store)
    created(store, registration="r2")
    created(store, sink=SINK, headers={"x-tenant": "a"})
    created_with_token(store, settings, token="first")
    created_with_token(store, settings, token="second")
    created_with_token(store, settings, token="second", registration="r3")
    lines = found("--reveal")
    supplies = sorted((len(line["inPlaceOf"]), *line["supply"]) for line in lines["subscription"])
    runs_out = "sinkCredential (the present token runs out at 2096-10-02T07:06:40.000Z)"
    # The headers of a record alone are no part of its request here.
    assert supplies == [(1,), (1, runs_out), (2,), (2, runs_out)]
    assert b"second" not in json.dumps(lines).encode()


def test_headers_are_named_and_never_shown(store: Store, raw_store: "redis.Redis", migrate: Any) -> None:
    register(store, "r1")
    made = created(store)
    made.request["protocolSettings"] = {"headers": {"x-api-key": "very-secret"}}
    rewritten(raw_store, made)
    for arguments in (("--json", "--reveal"), ("--reveal",), ()):
        text = migrate("--dry-run", *arguments).stdout.decode()
        assert "protocolSettings.headers.x-api-key" in text
        assert "very-secret" not in text


def test_limits_are_carried_where_they_mean_the_same(
    store: Store, raw_store: "redis.Redis", found: Any
) -> None:
    for number in (1, 2, 3):
        register(store, f"r{number}", f"{number}{DEVICE[1:]}")
    rewritten(raw_store, created(store, max_events=5), subscriptionMaxEvents=5, initialEvent=True)
    early, late = "2096-10-02T07:06:40Z", "2096-10-02T08:06:40+00:30"
    for time in (late, early):
        rewritten(raw_store, created(store, registration="r2"), subscriptionExpireTime=time)
    rewritten(raw_store, created(store, registration="r3"), subscriptionExpireTime=early)
    created(store, registration="r3", max_events=7)
    first, second, third = found("--reveal")["subscription"]

    def names(line: Any) -> set[str]:
        return {change["name"] for change in line["changes"]} - {"all-registrations", "no-registration-end"}

    assert first["body"]["config"]["subscriptionMaxEvents"] == 5
    assert "initialEvent" not in first["body"]["config"]
    assert names(first) == {"max-events", "initial-event"}
    assert second["body"]["config"]["subscriptionExpireTime"] == late
    assert names(second) == {"folded", "expiry"}
    assert third["body"]["config"].keys() == {"subscriptionDetail"}
    assert names(third) == {"folded", "expiry", "max-events"}


def test_registrations_that_are_not_known(store: Store, raw_store: "redis.Redis", found: Any) -> None:
    without = created(store, registration="r1")
    named = created(store, registration="r2")
    named.request["config"]["subscriptionDetail"]["deviceId"] = DEVICE.upper()
    rewritten(raw_store, named)
    others = created(store, registration="r3")
    register(store, "r3", owner="another app")
    damaged = created(store, registration="r4")
    raw_store.set(partition_of("r4", 64).registration_record("r4"), "no hash")
    users = created(store, registration="r5")
    raw_store.hset(key_of(users), "subject", "alice")
    register(store, "r5", subject="bob")
    lines = found("--reveal")
    (one,) = lines["subscription"]
    assert one["body"]["config"]["subscriptionDetail"] == {"deviceId": DEVICE}
    assert "unknown-registration" in {change["name"] for change in one["changes"]}
    whys = {line["subscription"]: (line["registration"], line["why"]) for line in lines["notCarriedOver"]}
    assert whys == {
        without.id: ("r1", "its registration is not known, and its request names no device"),
        others.id: ("r3", "its registration belongs to another client now"),
        damaged.id: (
            "r4",
            "the record of its registration cannot be read: it is a key of another type",
        ),
        users.id: ("r5", "its registration belongs to another user now"),
    }


def test_what_version_0_3_does_not_take_is_named(store: Store, raw_store: "redis.Redis", found: Any) -> None:
    register(store, "r1")
    register(store, "r2", "no uuid")
    long, no_uuid, header = created(store), created(store, registration="r2"), created(store)
    long.request["sink"] = f"https://a.example/{'a' * 1024}"
    header.request["protocolSettings"] = {"headers": {"x-key": "a" * 600}}
    for made in (long, header):
        rewritten(raw_store, made)
    lines = found()
    whys = {line["subscription"]: line["why"] for line in lines["notCarriedOver"]}
    assert whys.keys() == {long.id, no_uuid.id, header.id}
    assert "$.sink" in whys[long.id]
    assert "deviceId" in whys[no_uuid.id]
    assert "aaaa" not in "".join(whys.values())


def test_damaged_records_are_named_among_good_ones(
    store: Store, raw_store: "redis.Redis", found: Any
) -> None:
    for number in range(7):
        register(store, f"r{number}")
    made = [created(store, registration=f"r{number}") for number in range(7)]
    good, kind, newer, status, no_sink, expiry, text = made
    raw_store.delete(key_of(kind))
    raw_store.set(key_of(kind), "no hash")
    raw_store.hset(key_of(newer), "format", FORMAT + 1)
    raw_store.hset(key_of(status), "status", "NONSENSE")
    raw_store.hset(key_of(text), "session", b"\xff")
    del no_sink.request["sink"]
    rewritten(raw_store, no_sink)
    rewritten(raw_store, expiry, subscriptionExpireTime="soon")
    lines = found(status=1)
    assert [former["subscription"] for former in lines["subscription"][0]["inPlaceOf"]] == [good.id]
    damaged = {line["subscription"]: line["why"] for line in lines["damaged"]}
    assert damaged.keys() == {kind.id, newer.id, status.id, no_sink.id, expiry.id, text.id}
    assert damaged[newer.id] == "a newer release wrote it"
    assert lines["totals"][0]["damaged"] == 6


def test_what_is_over_and_what_is_of_0_3_is_left(store: Store, raw_store: "redis.Redis", found: Any) -> None:
    register(store, "r1")
    over, former = created(store), created(store, contract=ContractVersion.NEXT)
    raw_store.hset(key_of(over), "status", "EXPIRED")
    new = to_device()
    assert store.subscriptions.create(new, sink=SINK, headers={}, sealed=None).outcome == "created"
    lines = found()
    (one,) = lines["subscription"]
    assert [line["subscription"] for line in one["inPlaceOf"]] == [former.id]
    assert (lines["totals"][0]["over"], lines["totals"][0]["ofDevices"]) == (1, 1)


def test_one_client_alone(store: Store, found: Any) -> None:
    register(store, "r1")
    register(store, "r2", owner="other")
    created(store)
    created(store, registration="r2", client="other")
    assert {line["client"] for line in found()["subscription"]} == {"app", "other"}
    assert {line["client"] for line in found("--client", "other")["subscription"]} == {"other"}
    assert found("--client", "nobody").keys() == {"totals"}


def test_personal_data_is_masked_until_somebody_reveals_it(
    store: Store, raw_store: "redis.Redis", migrate: Any
) -> None:
    register(store, "r1", subject="alice")
    raw_store.hset(key_of(created(store)), "subject", "alice")
    created(store, registration="unknown-r9")
    for arguments in ((), ("--json",)):
        done = migrate("--dry-run", *arguments)
        for personal in (DEVICE, "alice", "unknown-r9", "/inbox"):
            assert personal not in done.stdout.decode()
        assert b"action=reveal" not in done.stderr
    done = migrate("--dry-run", "--reveal")
    for personal in (DEVICE, "alice", "unknown-r9", SINK):
        assert personal in done.stdout.decode()
    assert b"action=reveal-migration" in done.stderr


def test_people_read_what_would_be(store: Store, migrate: Any, environ: dict[str, str]) -> None:
    register(store, "r1")
    for number in range(8):
        created(store, event_type=EventType.SESSION_STATUS, session=f"s{number}{HOSTILE}")
    text = migrate("--dry-run").stdout.decode()
    assert text.startswith("Client app\n\n  1. session-status\n")
    assert "3 more; --json names them all" in text
    assert "8 sessions alone" in text
    assert text.splitlines()[-3:] == [
        "8 subscriptions of 0.2 would be 1 of 0.3; 0 cannot be carried over, 0 cannot be read.",
        "Left out: 0 that have ended, 0 that are of 0.3 already.",
        "Nothing was written.",
    ]
    assert "\x1b" not in text
    assert "\x1b" not in in_terminal(environ, "migrate", "--dry-run")


def test_an_empty_store(migrate: Any) -> None:
    done = migrate("--dry-run")
    assert done.returncode == 0
    assert done.stdout.startswith(b"There is nothing to move: ")


def test_a_store_that_is_away_is_one_line(environ: dict[str, str]) -> None:
    away = environ | {"WEBRTC_EVENTS_REDIS_URL": "redis://127.0.0.1:9/0"}
    done = run("migrate", "--dry-run", env=clean_environ() | away)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert done.stderr.startswith(b"Error: WEBRTC_EVENTS_REDIS_URL:")


def test_ten_thousand_of_many_devices(
    raw_store: "redis.Redis", store: Store, environ: dict[str, str]
) -> None:
    types = (EventType.SESSION_INVITATION, EventType.REGISTRATION_ENDS)
    fill(raw_store, 10_000, clients=("one", "two"), types=types)
    for number in range(0, 10_000, 10):
        register(store, f"registration-{number}", f"{number:08}{DEVICE[8:]}", owner="one")
    done = run("migrate", "--dry-run", "--json", env=clean_environ() | environ)
    assert done.returncode == 0
    totals = json.loads(done.stdout.splitlines()[-1])
    assert (totals["carriedOver"], totals["notCarriedOver"]) == (1_000, 9_000)
