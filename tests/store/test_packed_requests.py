"""A request is read as it was given, however it is kept."""

import json
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.builders import created
from tests.store.claiming import P
from tests.store.shared_payloads import StoreWith
from webrtc_events.core.errors import DamagedRecord
from webrtc_events.core.model import EventType
from webrtc_events.store.packed_requests import FIELDS, packed, whole
from webrtc_events.store.store import Store

TYPE = EventType.SESSION_STATUS.value
SINK = "https://notifications.example.com/webrtc/sinks/0000000000658"
RECORD = {"sink": SINK, "type": TYPE, "registration": "registration-658421", "session": "session-658421"}
DETAIL = {"registrationId": RECORD["registration"], "mediaSessionId": RECORD["session"]}
EXPIRY = "2026-03-11T09:00:00.000Z"
CONFIG = {"subscriptionDetail": DETAIL, "subscriptionExpireTime": EXPIRY}
REQUEST = {"protocol": "HTTP", "sink": SINK, "types": [TYPE], "config": CONFIG}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_what_most_requests_say_takes_a_tenth() -> None:
    assert len(packed(REQUEST, RECORD)) < len(json.dumps(REQUEST)) / 7
    assert json.loads(whole(packed(REQUEST, RECORD), RECORD)) == REQUEST


@given(st.dictionaries(st.text(), JSON), st.fixed_dictionaries(dict.fromkeys(FIELDS.values(), st.text())))
def test_any_request_is_read_as_it_was_given(request: dict[str, Any], record: dict[str, str]) -> None:
    assert json.loads(whole(packed(request, record), record)) == request


@given(st.sampled_from(sorted(RECORD)), st.text(min_size=1))
def test_any_value_of_a_field_is_read_as_it_was_given(name: str, value: str) -> None:
    record = RECORD | {name: value}
    request = REQUEST | {"sink": value, "config": CONFIG | {"subscriptionDetail": {"registrationId": value}}}
    assert json.loads(whole(packed(request, record), record)) == request


def test_the_release_before_knows_each_character_of_a_request_of_its_contract() -> None:
    detail = {**DETAIL, "deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2"}
    headers = {"x-of": "org.camaraproject.webrtc-events-subscriptions.v0.session-status"}
    request = {
        **REQUEST,
        "protocolSettings": {"headers": headers},
        "config": {**CONFIG, "subscriptionDetail": detail},
    }
    text = packed(request, RECORD | {"device": ""})
    # Source: decision 21, and releases up to 0.2.
    assert {character for character in text if ord(character) < 0x20} <= set(map(chr, range(1, 0x19)))
    assert json.loads(whole(text, RECORD)) == request
    device = {"device": detail["deviceId"]}
    assert len(packed(request, RECORD | device)) < len(text)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_request_that_was_kept_whole_is_read(separators: tuple[str, str]) -> None:
    text = json.dumps(REQUEST, separators=separators)
    assert whole(text, {}) == text


def test_a_request_is_kept_whole_where_the_release_before_may_read_it(
    store: Store, store_with: StoreWith, raw_store: "redis.Redis"
) -> None:
    new, former = created(store), created(store_with(shared_payloads="off"))
    raw_store.delete("shares-payloads")
    # An operator says that no process of 0.1.0 is left; but one may come back.
    upgraded = created(store_with(shared_payloads="on"))
    kept = {
        made.id: raw_store.hget(P.subscription(made.id), "request") or "" for made in (new, former, upgraded)
    }
    assert kept[former.id] == json.dumps(former.request)
    assert kept[upgraded.id] == json.dumps(upgraded.request)
    assert len(kept[new.id]) < len(kept[former.id])
    for made in (new, former, upgraded):
        found = store.subscriptions.get(made.id)
        assert found is not None
        assert found.request == made.request


@pytest.mark.parametrize("setting", ["auto", "off"])
def test_an_update_keeps_what_is_read(
    store: Store, store_with: StoreWith, raw_store: "redis.Redis", setting: str
) -> None:
    made = created(store, expires_at_ms=4_000_000_000_000)
    # Its sink's address is written otherwise than the client gave it.
    raw_store.hset(P.subscription(made.id), "sink", "https://other.example/")
    other = store_with(shared_payloads=setting)
    result = other.subscriptions.update(made, expires_at_ms=4_000_000_100_000, sealed=None)
    found = store.subscriptions.get(made.id)
    assert found is not None
    assert found.request == result.request == made.request


def test_a_packed_request_whose_sink_is_lost_is_damaged(store: Store, raw_store: "redis.Redis") -> None:
    made = created(store)
    raw_store.hdel(P.subscription(made.id), "sink")
    with pytest.raises(DamagedRecord) as caught:
        store.subscriptions.get(made.id)
    assert caught.value.why == "its field request cannot be read"
