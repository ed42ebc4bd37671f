"""Subscriptions of version 0.3, to devices, beside those of version 0.2."""

import dataclasses
import logging
from typing import Any

import pytest
import redis

from tests.harness.builders import listed
from tests.harness.channels import BASE, new_channel, url_of
from tests.services.subscription_requests import (
    APP,
    DEVICE,
    DEVICE_APP,
    DEVICE_SCOPES,
    SCOPES,
    credential,
    device_request,
    request,
)
from tests.services.world import INVITATION, REGISTRATION_ENDS, STATUS, World, invitation
from webrtc_events.contract.documents import load_subscriptions
from webrtc_events.core.clock import SystemClock, format_time
from webrtc_events.core.errors import (
    DamagedRecord,
    InsufficientScope,
    InvalidArgument,
    NotFound,
    SubscriptionEnded,
    TooManyRequests,
)
from webrtc_events.core.model import Caller, ContractVersion, EventType
from webrtc_events.core.settings import Settings
from webrtc_events.services.subscription_pages import SubscriptionPage
from webrtc_events.services.subscriptions import SubscriptionOptions, Subscriptions
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store

HOME = partition_of(DEVICE, 64)
PREFIX = "org.camaraproject.webrtc-events-subscriptions.v0."
VALID = load_subscriptions().validator("Subscription")
ALICE = Caller("app", "alice", DEVICE_SCOPES)


def later(seconds: float = 600) -> dict[str, str]:
    return {"subscriptionExpireTime": format_time(round((SystemClock().now() + seconds) * 1000))}


# Made


def test_it_is_shown_as_it_was_asked_for(world: World, raw_store: "redis.Redis") -> None:
    asked = device_request(STATUS, INVITATION, REGISTRATION_ENDS, device=DEVICE.upper(), config=later())
    shown: Any = world.devices.create(DEVICE_APP, asked)
    assert VALID.first_fault(shown) is None
    assert {name: shown[name] for name in asked} == asked
    assert shown["status"] == "ACTIVE"
    assert shown["expiresAt"] == asked["config"]["subscriptionExpireTime"]
    assert world.devices.get(DEVICE_APP, shown["id"]) == shown
    # UUIDs that differ in case alone are one device.
    found = world.store.subscriptions.get(shown["id"])
    assert found is not None
    assert (found.device, found.registration, found.session) == (DEVICE, "", None)
    assert found.types == (STATUS, INVITATION, REGISTRATION_ENDS)
    assert found.contract == ContractVersion.V0_3
    assert raw_store.exists(HOME.subscription(shown["id"]))


def test_a_type_that_is_asked_for_twice_counts_once(world: World) -> None:
    shown = world.devices.create(DEVICE_APP, device_request(STATUS, INVITATION, STATUS))
    assert shown["types"] == [PREFIX + "session-status", PREFIX + "session-invitation"]
    found = world.store.subscriptions.get(shown["id"])
    assert found is not None
    assert found.types == (STATUS, INVITATION)


@pytest.mark.parametrize(
    "scopes",
    [
        # Those of the other version open nothing.
        SCOPES,
        SCOPES | {f"webrtc-events-subscriptions:{STATUS}:create"},
        frozenset[str](),
        # All are needed.
        {f"webrtc-events-subscriptions:{PREFIX}session-invitation:create"},
    ],
)
def test_the_scopes_of_all_types_are_needed(world: World, scopes: frozenset[str]) -> None:
    caller = Caller("app", None, frozenset(scopes))
    with pytest.raises(InsufficientScope, match="session-status"):
        world.devices.create(caller, device_request(INVITATION, STATUS))
    assert world.devices.page(APP, 1, 10) == SubscriptionPage([], 0)
    with pytest.raises(InsufficientScope):
        world.subscriptions.create(DEVICE_APP, request())


def test_initial_event_is_shown_and_does_nothing(world: World) -> None:
    world.publish(invitation())
    made = world.subscribe_device(INVITATION, STATUS, config={"initialEvent": True})
    shown = world.devices.get(DEVICE_APP, made)
    assert shown["config"]["initialEvent"] is True
    assert world.store.expiry.sweep() == 0
    assert made not in world.claims()


def test_it_may_be_made_before_its_device_is_known(store: Store, environ: dict[str, str]) -> None:
    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_REQUIRE_KNOWN_REGISTRATION": "true"})
    world = World(Store.connect(settings), settings)
    assert world.subscribe_device()
    world.store.close()


def test_the_log_names_types_and_no_device(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        made = world.subscribe_device(STATUS, INVITATION)
    (line,) = [record for record in caplog.records if "created subscription" in record.getMessage()]
    assert f"created subscription={made} type=session-status,session-invitation" in line.getMessage()
    assert [type(argument).__name__ for argument in line.args or ()][2:5] == ["PersonalData"] * 3


def test_a_channel_may_be_its_sink(store: Store, environ: dict[str, str]) -> None:
    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_CHANNELS_URL": BASE})
    world = World(store, settings)
    channel, others = new_channel(store), new_channel(store, "other")
    made = world.subscribe_device(sink=url_of(channel.id))
    assert world.devices.get(DEVICE_APP, made)["sink"] == url_of(channel.id)
    for refused in ({"sink": url_of(others.id)}, {"sink": url_of("0" * 32)}):
        with pytest.raises(InvalidArgument) as caught:
            world.subscribe_device(**refused)
        assert caught.value.code == "INVALID_SINK"
    # Nothing is sent there. A token that runs out would end it all the same.
    with pytest.raises(InvalidArgument) as caught:
        world.subscribe_device(sink=url_of(channel.id), sinkCredential=credential())
    assert caught.value.code == "INVALID_CREDENTIAL"
    with pytest.raises(InvalidArgument) as caught:
        world.devices.update(DEVICE_APP, made, {"sinkCredential": credential()})  # type: ignore[typeddict-item]
    assert caught.value.code == "INVALID_CREDENTIAL"
    assert world.devices.update(DEVICE_APP, made, {"config": later()})["status"] == "ACTIVE"  # type: ignore[typeddict-item]


def test_its_sink_is_asked_first(store: Store, settings: Settings) -> None:
    asking = dataclasses.replace(settings, sink_validation=True, sink_validation_origin="here.example")
    world = World(store, asking)
    shown = world.devices.create(DEVICE_APP, device_request(STATUS))
    assert shown["status"] == "ACTIVATION_REQUESTED"
    assert world.claims()[shown["id"]].items[0].kind.name == "HANDSHAKE"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sink": "https://user:word@sink.example.com/"}, "INVALID_SINK"),
        ({"protocolSettings": {"headers": {"content-length": "0"}}}, "INVALID_ARGUMENT"),
        ({"config": {"subscriptionExpireTime": "2020-01-01T00:00:00Z"}}, "INVALID_ARGUMENT"),
        ({"sinkCredential": credential(token="a b")}, "INVALID_ARGUMENT"),
        ({"sinkCredential": credential("2020-01-01T00:00:00Z")}, "INVALID_ARGUMENT"),
    ],
)
def test_what_no_schema_says_is_checked_as_in_the_other_version(
    world: World, change: dict[str, Any], code: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        world.subscribe_device(**change)
    assert caught.value.code == code
    assert world.devices.page(DEVICE_APP, 1, 10).total == 0


# Whose they are


def test_a_version_knows_nothing_of_the_subscriptions_of_another(world: World) -> None:
    old, new = world.subscribe(), world.subscribe_device()
    assert [shown["id"] for shown in listed(world.subscriptions, APP)] == [old]
    assert [shown["id"] for shown in world.devices.page(APP, 1, 10).resources] == [new]
    for use_case, other in ((world.subscriptions, new), (world.devices, old)):
        with pytest.raises(NotFound):
            use_case.get(APP, other)
        with pytest.raises(NotFound):
            use_case.update(APP, other, {"config": later()})  # type: ignore[typeddict-item]
        with pytest.raises(NotFound):
            use_case.delete(APP, other)
    assert world.subscriptions.get(APP, old)["status"] == "ACTIVE"
    assert world.devices.get(APP, new)["status"] == "ACTIVE"


def test_those_of_releases_before_are_of_version_0_2(world: World, raw_store: "redis.Redis") -> None:
    """What was the next contract then, and records from before there was another."""
    former, oldest, newer = world.subscribe(), world.subscribe(), world.subscribe()
    place = partition_of("r1", 64)
    raw_store.hset(place.subscription(former), "contract", "next")
    raw_store.hdel(place.subscription(oldest), "contract")
    raw_store.hset(place.subscription(newer), "contract", "v0.9")
    assert [shown["id"] for shown in listed(world.subscriptions, APP)] == [former, oldest]
    assert world.devices.page(APP, 1, 10).total == 0
    for found in (former, oldest):
        assert world.subscriptions.get(APP, found)["id"] == found
        world.subscriptions.delete(APP, found)
    for use_case in (world.subscriptions, world.devices):
        with pytest.raises(NotFound):
            use_case.get(APP, newer)


def test_one_quota_counts_those_of_both_versions(store: Store, environ: dict[str, str]) -> None:
    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_MAX_SUBSCRIPTIONS": "2"})
    world = World(Store.connect(settings), settings)
    old, _ = world.subscribe(), world.subscribe_device()
    for create in (world.subscribe, world.subscribe_device):
        with pytest.raises(TooManyRequests) as caught:
            create()
        assert caught.value.code == "QUOTA_EXCEEDED"
    world.subscriptions.delete(APP, old)
    assert world.subscribe_device()
    world.store.close()


def test_a_client_has_as_many_to_a_device_as_it_may(store: Store, environ: dict[str, str]) -> None:
    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_MAX_REGISTRATION_SUBSCRIPTIONS": "2"})
    world = World(Store.connect(settings), settings)
    first, _ = world.subscribe_device(INVITATION), world.subscribe_device(STATUS)
    with pytest.raises(TooManyRequests, match="device") as caught:
        world.subscribe_device(REGISTRATION_ENDS)
    assert caught.value.code == "QUOTA_EXCEEDED"
    # What others do takes no room from it.
    other = Caller("other", None, DEVICE_SCOPES)
    assert world.subscribe_device(caller=other)
    assert world.subscribe_device(device="0b2d6e0c-5f2a-4f4e-8a4b-9d7c1f1f2a3b")
    world.devices.delete(DEVICE_APP, first)
    assert world.subscribe_device(INVITATION)
    world.store.close()


def test_a_three_legged_caller_is_shown_no_device_and_reaches_its_own_only(world: World) -> None:
    hers = world.subscribe_device(STATUS, caller=ALICE)
    his = world.subscribe_device(STATUS, caller=Caller("app", "bob", DEVICE_SCOPES))
    apps = world.subscribe_device(STATUS)
    answers = [
        world.devices.get(ALICE, hers),
        world.devices.update(ALICE, hers, {"config": later()}),  # type: ignore[typeddict-item]
        *world.devices.page(ALICE, 1, 10).resources,
        world.devices.create(ALICE, device_request()),
    ]
    for shown in answers:
        assert shown["config"]["subscriptionDetail"] == {}
        assert VALID.first_fault(shown) is None
    for theirs in (his, apps):
        with pytest.raises(NotFound):
            world.devices.get(ALICE, theirs)
    # The client itself is shown which device each is to.
    for found in (hers, his, apps):
        assert world.devices.get(DEVICE_APP, found)["config"]["subscriptionDetail"] == {"deviceId": DEVICE}
    assert world.devices.page(DEVICE_APP, 1, 10).total == 4
    assert world.devices.page(ALICE, 1, 10).total == 2


# Renewed and ended


def test_it_is_renewed_and_the_rest_stays(world: World) -> None:
    made = world.subscribe_device(STATUS, INVITATION)
    before: Any = world.devices.get(DEVICE_APP, made)
    assert world.devices.update(DEVICE_APP, made, {}) == before
    moment = later()
    shown: Any = world.devices.update(
        DEVICE_APP,
        made,
        {"config": moment, "sinkCredential": credential()},  # type: ignore[typeddict-item]
    )
    assert VALID.first_fault(shown) is None
    changed = {"config": before["config"] | moment, "expiresAt": moment["subscriptionExpireTime"]}
    assert shown == before | changed == world.devices.get(DEVICE_APP, made)
    assert world.store.expiry.sweep() == 0


def test_one_that_has_ended_is_not_renewed(world: World) -> None:
    made = world.subscribe_device()
    world.network.endings.end(made)
    with pytest.raises(SubscriptionEnded) as caught:
        world.devices.update(DEVICE_APP, made, {"config": later()})  # type: ignore[typeddict-item]
    assert (caught.value.status, caught.value.code) == (409, "INCOMPATIBLE_STATE")
    assert world.waiting() == {made: ["NETWORK_TERMINATED"]}
    world.devices.delete(DEVICE_APP, made)


def test_a_deleted_one_gets_its_end(world: World) -> None:
    made = world.subscribe_device()
    world.devices.delete(DEVICE_APP, made)
    with pytest.raises(NotFound):
        world.devices.get(DEVICE_APP, made)
    with pytest.raises(NotFound):
        world.devices.delete(DEVICE_APP, made)
    assert world.waiting() == {made: ["SUBSCRIPTION_DELETED"]}


# The list


def ids(page: SubscriptionPage) -> list[str]:
    return [resource["id"] for resource in page.resources]


def test_pages_are_in_the_order_of_making_and_say_how_many_there_are(world: World) -> None:
    made = [world.subscribe_device(STATUS) for _ in range(5)]
    for others in (
        world.subscribe,
        lambda: world.subscribe_device(caller=Caller("other", None, DEVICE_SCOPES)),
    ):
        others()
    for size in (1, 2, 4, 5, 100):
        pages = [world.devices.page(DEVICE_APP, number, size) for number in range(1, 5 // size + 3)]
        assert {page.total for page in pages} == {5}
        assert [found for page in pages for found in ids(page)] == made
        assert all(len(page.resources) == size for page in pages[: 5 // size])
    for number in (4, 1000, 2**31 - 1):
        assert world.devices.page(DEVICE_APP, number, 2) == SubscriptionPage([], 5)
    assert world.devices.page(DEVICE_APP, 3, 2) == world.devices.page(DEVICE_APP, 3, 2)


def test_nobody_has_an_empty_page(world: World) -> None:
    assert world.devices.page(DEVICE_APP, 1, 100) == SubscriptionPage([], 0)


def test_those_that_ended_are_listed_while_they_are_kept_and_deleted_ones_are_not(world: World) -> None:
    ended, deleted, active = (world.subscribe_device() for _ in range(3))
    world.network.endings.end(ended)
    world.devices.delete(DEVICE_APP, deleted)
    page = world.devices.page(DEVICE_APP, 1, 10)
    assert (ids(page), page.total) == ([ended, active], 2)
    assert [resource["status"] for resource in page.resources] == ["EXPIRED", "ACTIVE"]


def test_a_damaged_record_costs_no_other_its_place(world: World, raw_store: "redis.Redis") -> None:
    unreadable, not_conforming, sound = (world.subscribe_device() for _ in range(3))
    raw_store.hset(HOME.subscription(unreadable), "starts_at", "soon")
    raw_store.hset(
        HOME.subscription(not_conforming), "request", '{"config":{"subscriptionDetail":{}},"types":[]}'
    )
    page = world.devices.page(DEVICE_APP, 1, 10)
    # They are there, though nobody can say what they are.
    assert (ids(page), page.total) == ([sound], 3)
    assert ids(world.devices.page(DEVICE_APP, 3, 1)) == [sound]


def test_a_damaged_one_is_of_its_version_too(world: World, raw_store: "redis.Redis") -> None:
    mine, old, typeless = world.subscribe_device(), world.subscribe(), world.subscribe_device()
    for key in (HOME.subscription(mine), partition_of("r1", 64).subscription(old)):
        raw_store.hset(key, "starts_at", "soon")
    for use_case, own, other in ((world.devices, mine, old), (world.subscriptions, old, mine)):
        with pytest.raises(NotFound):
            use_case.delete(APP, other)
        with pytest.raises(DamagedRecord):
            use_case.get(APP, own)
        use_case.delete(APP, own)
        with pytest.raises(NotFound):
            use_case.get(APP, own)
    # Of one that is no record at all nobody can say which it was: its owner deletes it.
    raw_store.delete(HOME.subscription(typeless))
    raw_store.set(HOME.subscription(typeless), "?")
    world.subscriptions.delete(APP, typeless)
    with pytest.raises(NotFound):
        world.devices.get(APP, typeless)


def test_a_page_costs_what_the_whole_list_costs(world: World, environ: dict[str, str]) -> None:
    for number in range(250):
        world.subscribe_device(STATUS, device=f"{number:08x}{DEVICE[8:]}")
    limits = {"WEBRTC_EVENTS_REQUESTS_PER_S": "1", "WEBRTC_EVENTS_REQUESTS_AT_ONCE": "5"}
    settings = Settings.from_environ(environ | limits)
    limited = World(Store.connect(settings), settings)
    # The request itself is counted before; 250 that the client has are two more.
    for _ in range(2):
        assert limited.devices.page(DEVICE_APP, 7, 1).total == 250
    with pytest.raises(TooManyRequests) as caught:
        limited.devices.page(DEVICE_APP, 7, 1)
    assert caught.value.message == "The list counts as 3 requests; try again later."
    limited.store.close()


def test_the_use_case_of_a_contract_that_is_not_served_is_not_made(store: Store, settings: Settings) -> None:
    with pytest.raises(KeyError):
        Subscriptions(store, SubscriptionOptions.of(settings), ContractVersion.NEXT)


def test_every_type_can_be_asked_for(world: World) -> None:
    for event_type in (INVITATION, STATUS, REGISTRATION_ENDS):
        shown = world.devices.create(DEVICE_APP, device_request(event_type))
        assert EventType(shown["types"][0].replace("-subscriptions", "")) is event_type
