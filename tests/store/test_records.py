"""What is kept is read as it was written; a record that cannot be read is a value that says why."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pytest
import redis

from tests.harness.builders import created
from webrtc_events.core.errors import DamagedRecord, NewerRelease
from webrtc_events.core.model import (
    ContractVersion,
    EventType,
    InitialEvent,
    SessionState,
    Status,
    Subscription,
)
from webrtc_events.store.formats import (
    CHANNEL_FORMAT,
    DEVICE_CHANNEL_FORMAT,
    DEVICE_FORMAT,
    FORMAT,
)
from webrtc_events.store.keys import Partition
from webrtc_events.store.record_defaults import RECORD_DEFAULTS
from webrtc_events.store.records import (
    FIELDS_OF_SUBSCRIPTION,
    UnreadableEntry,
    read_claim,
    read_session_state,
    read_subscription,
    reason_of_damage,
)
from webrtc_events.store.store import Store

REQUEST = {"sink": "https://a.example/", "config": {"subscriptionDetail": {"registrationId": "r1"}}}
FIELDS = {
    "format": "1",
    "client": "app",
    "subject": "alice",
    "type": EventType.SESSION_STATUS.value,
    "registration": "r1",
    "session": "m1",
    "request": json.dumps(REQUEST),
    "starts_at": "1000",
    "expires_at": "2000",
    "max_events": "3",
    "status": "EXPIRED",
    "initial_pending": "1",
    "contract": "next",
    "origin": "events.example",
}
SUBSCRIPTION = Subscription(
    id="s-1",
    client="app",
    subject="alice",
    type=EventType.SESSION_STATUS,
    registration="r1",
    session="m1",
    request=REQUEST,
    starts_at_ms=1000,
    expires_at_ms=2000,
    max_events=3,
    status=Status.EXPIRED,
    initial_event=True,
    contract="next",
    origin="events.example",
)


def read(**changed: str | None) -> Subscription | DamagedRecord | None:
    """The record with some fields changed, or, where they are None, taken out."""
    fields = FIELDS | changed
    return read_subscription("s-1", {name: text for name, text in fields.items() if text is not None})


def damage(**changed: str | None) -> str:
    found = read(**changed)
    assert isinstance(found, DamagedRecord)
    assert found.name == "s-1"
    return found.why


def test_a_subscription_is_read_whole() -> None:
    assert read() == SUBSCRIPTION
    # The sink is read for requests that are packed, the others of a subscription under 0.3.
    assert {*FIELDS, "sink", "device", "types", "fetches_token"} == set(FIELDS_OF_SUBSCRIPTION)


@pytest.mark.parametrize("number", [DEVICE_FORMAT, DEVICE_CHANNEL_FORMAT])
def test_one_to_a_device_is_read_whole(number: int) -> None:
    found = read(
        format=str(number),
        registration="",
        session="",
        device="d-1",
        types="session-status session-invitation",
    )
    types = (EventType.SESSION_STATUS, EventType.SESSION_INVITATION)
    assert found == dataclasses.replace(
        SUBSCRIPTION, registration="", session=None, device="d-1", types=types
    )


def test_one_to_a_device_is_damaged_without_what_it_is_to() -> None:
    device = {"format": "4", "device": "d-1", "types": "session-status"}
    assert damage(**device | {"device": None}) == "it lacks its field device"
    assert damage(**device | {"types": None}) == "it lacks its field types"
    assert damage(**device | {"types": "session-status  "}) == "its field types cannot be read"


def test_one_whose_token_is_fetched_says_so() -> None:
    assert read(fetches_token="1") == dataclasses.replace(SUBSCRIPTION, fetches_token=True)


def test_what_a_subscription_need_not_have() -> None:
    empty = read(subject="", session="", expires_at="", max_events="", initial_pending="0", origin=None)
    assert isinstance(empty, Subscription)
    assert (empty.subject, empty.session, empty.expires_at_ms, empty.max_events) == (None, None, None, None)
    assert (empty.initial_event, empty.origin) == (False, None)
    former = read(format=None, contract=None, initial_pending=None)
    assert isinstance(former, Subscription)
    assert (former.contract, former.initial_event) == ("v0.2", False)


def test_a_deleted_one_is_none_and_one_of_a_newer_release_is_left_to_it() -> None:
    assert read(status="DELETED") is None
    assert read(format=str(CHANNEL_FORMAT)) == SUBSCRIPTION
    assert read(format=str(FORMAT), device="d-1", types="session-status") is not None
    with pytest.raises(NewerRelease):
        read(format=str(FORMAT + 1), status="PAUSED")
    with pytest.raises(NewerRelease):
        read(format="9999")


def test_a_key_of_another_type_is_damaged() -> None:
    found = read_subscription("s-1", ValueError())
    assert isinstance(found, DamagedRecord)
    assert (found.name, found.why) == ("s-1", "it is a key of another type")


# Those that mean something by not being there.
MAY_LACK = {"format", "initial_pending", "origin", *RECORD_DEFAULTS}


@pytest.mark.parametrize("name", sorted(FIELDS.keys() - MAY_LACK))
def test_a_field_that_is_lacking_is_named(name: str) -> None:
    assert damage(**{name: None}) == f"it lacks its field {name}"


def test_a_field_that_is_left_out_says_what_most_do() -> None:
    found = read(max_events=None, contract=None)
    assert isinstance(found, Subscription)
    assert (found.max_events, found.contract) == (None, ContractVersion.V0_2)
    assert found == read(**{name: RECORD_DEFAULTS[name] for name in ("max_events", "contract")})


@pytest.mark.parametrize("name", sorted(FIELDS.keys() - {"initial_pending"}))
def test_a_field_that_is_no_text_is_named(name: str) -> None:
    assert damage(**{name: "\udcff"}) == f"its field {name} cannot be read"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("format", text) for text in ("0", "-1", "10000", "x", "")),
        *(("type", text) for text in ("", "session-status")),
        *(("status", text) for text in ("", "active")),
        *(
            ("request", text)
            for text in ("", "[]", "{}", '{"config":{}}', '{"config":{"subscriptionDetail":[]}}')
        ),
        *(("starts_at", text) for text in ("", "-1", "x", "1.5", "253402300800000")),
        *(("expires_at", text) for text in ("-1", "x", "253402300800000")),
        *(("max_events", text) for text in ("x", "1.5")),
    ],
)
def test_a_field_that_means_nothing_is_named(name: str, text: str) -> None:
    assert damage(**{name: text}) == f"its field {name} cannot be read"


@pytest.mark.parametrize("moment", [0, 253_402_300_799_999])
def test_every_moment_that_can_be_written_is_read(moment: int) -> None:
    found = read(starts_at=str(moment), expires_at=str(moment))
    assert isinstance(found, Subscription)
    assert (found.starts_at_ms, found.expires_at_ms) == (moment, moment)


def test_the_store_writes_what_is_read(store: Store, raw_store: "redis.Redis") -> None:
    made = created(store, max_events=3, expires_at_ms=4_000_000_000_000, origin="events.example")
    partition = Partition(int(made.id.rpartition("-")[2], 16))
    found = read_subscription(made.id, raw_store.hgetall(partition.subscription(made.id)))
    assert isinstance(found, Subscription)
    assert (found.client, found.max_events, found.expires_at_ms) == ("app", 3, 4_000_000_000_000)
    assert (found.status, found.origin) == (Status.ACTIVATION_REQUESTED, "events.example")


ENTRY = "7 0 1000 2000 0\n{}"


def raw_claim(*entries: str, **changed: Any) -> list[Any]:
    values = {
        "subscription_id": "s-1",
        "fence": "4",
        "lease_until_ms": "9000",
        "sink": "https://a.example/",
        "headers": '{"x-app":"1"}',
        "credential": "sealed",
        "attempts": "2",
        "end_once": "1",
        "contract": "next",
        "origin": "events.example",
        "rate": "60",
        "client": "app",
        "registration": "r1",
        "session": "s1",
        "device": "d1",
    }
    assert values.keys() >= changed.keys()
    return [*(values | changed).values(), *entries]


def test_a_claim_is_read_whole() -> None:
    found = read_claim(8000, raw_claim(ENTRY, ENTRY.replace("7", "9")))
    assert not isinstance(found, DamagedRecord | UnreadableEntry)
    assert [item.number for item in found.items] == [7, 9]
    assert (found.subscription_id, found.fence, found.now_ms, found.lease_until_ms) == ("s-1", 4, 8000, 9000)
    assert (found.sink, found.headers, found.credential) == (
        "https://a.example/",
        {"x-app": "1"},
        "sealed",
    )
    assert (found.attempts, found.end_once, found.contract) == (2, True, "next")
    assert (found.origin, found.rate, found.client) == ("events.example", 60, "app")
    assert (found.registration, found.session, found.device) == ("r1", "s1", "d1")


def test_what_a_claim_need_not_have() -> None:
    raw = raw_claim(ENTRY, credential="", end_once="", contract="", origin="", rate="", session="")
    found = read_claim(8000, raw)
    assert not isinstance(found, DamagedRecord | UnreadableEntry)
    assert (found.credential, found.end_once, found.contract, found.origin, found.rate) == (
        *(None, False, "v0.2", ""),
        None,
    )
    assert found.session == ""
    least = read_claim(8000, raw_claim(ENTRY, rate="1"))
    assert not isinstance(least, DamagedRecord | UnreadableEntry)
    assert least.rate == 1


@pytest.mark.parametrize("entries", [["x"], [ENTRY, ENTRY], [ENTRY, ENTRY.replace("7", "6")], [ENTRY, "x"]])
def test_an_entry_that_cannot_be_read_or_is_out_of_place_is_told_from_a_damaged_claim(
    entries: list[str],
) -> None:
    assert read_claim(8000, raw_claim(*entries)) == UnreadableEntry("s-1", "4", len(entries))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        *((name, "\udcff", "UnicodeEncodeError") for name in ("subscription_id", "sink", "headers")),
        *((name, "\udcff", "UnicodeEncodeError") for name in ("credential", "contract", "origin", "client")),
        *((name, "x", "ValueError") for name in ("fence", "lease_until_ms", "attempts", "rate")),
        ("rate", "0", "ValueError"),
        ("headers", "", "JSONDecodeError"),
        ("headers", "[]", "TypeError"),
        ("headers", '{"x":1}', "TypeError"),
        ("sink", None, "TypeError"),
    ],
)
def test_a_claim_that_cannot_be_read_says_why(name: str, value: Any, reason: str) -> None:
    raw = raw_claim(ENTRY, **{name: value})
    found = read_claim(8000, raw)
    assert isinstance(found, DamagedRecord)
    assert (found.name, found.why) == (raw[0], f"what is needed to deliver cannot be read: {reason}")


PAYLOAD = json.dumps({"type": "t", "data": {"mediaSessionId": "m1"}})
STATE = {"r:r1": "1", "r:r2": "1", "name": "/g e1", "payload": PAYLOAD, "count": "0", "last": "1", "at": "5"}
INVOLVED = frozenset({"r1", "r2"})


@pytest.mark.parametrize(("count", "numbered"), [("0", True), ("1", False)])
@pytest.mark.parametrize(("last", "is_last"), [("1", True), ("0", False)])
def test_a_sessions_state_is_read_whole(count: str, numbered: bool, last: str, is_last: bool) -> None:
    latest = InitialEvent("/g e1", PAYLOAD, numbered, is_last, 5)
    state = read_session_state(STATE | {"count": count, "last": last})
    assert state == (SessionState(INVOLVED, latest), None)


def test_a_session_without_a_status_has_its_registrations() -> None:
    assert read_session_state({"r:r1": "1", "r:r2": "1"}) == (SessionState(INVOLVED, None), None)
    assert read_session_state({}) == (SessionState(frozenset(), None), None)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"payload": "{"}, "JSONDecodeError"),
        ({"payload": "{}"}, "no 'data'"),
        ({"payload": '{"data":{}}'}, "no 'mediaSessionId'"),
        ({"payload": PAYLOAD.replace("m1", "\udcff")}, "UnicodeEncodeError"),
        ({"at": "x"}, "ValueError"),
        ({"payload": None}, "no 'payload'"),
        ({"count": None}, "no 'count'"),
    ],
)
def test_a_status_that_cannot_be_read_is_as_good_as_unknown(
    changed: Mapping[str, str | None], why: str
) -> None:
    fields = {name: text for name, text in (STATE | changed).items() if text is not None}
    assert read_session_state(fields) == (SessionState(INVOLVED, None), why)


def test_a_scripts_answer_may_be_a_reason() -> None:
    assert reason_of_damage("damaged: it lacks its field type") == "it lacks its field type"
    assert reason_of_damage("idle") is None
