"""CAMARA's next contract is CAMARA's but for what errata-subscriptions.yaml lists, with reasons."""

import copy
import re

import pytest

from tests.contract.specs import (
    A_TIME,
    PUBLIC,
    SUBSCRIPTIONS,
    SUBSCRIPTIONS_ERRATA,
    Json,
    component,
    fingerprint,
    load,
    operations,
    overlaid,
    undescribed,
    wire,
)

# Of CAMARA's text at the commit that the errata name, and of ours.
CAMARAS_FINGERPRINT = "0b87c90bf65e3fa682cdfbcaf7f1a3244162aafdaa04a78996533a53616b51a5"
FINGERPRINT = "ea248d72bc07d8bfa6623b204076af9906373275e0b135f3da42e71ffda66cf8"

TARGET = re.compile(r"\$(\.[A-Za-z_]\w*|\['[^']+'\]|\[\d+\])*")
PREFIX = "org.camaraproject.webrtc-events-subscriptions.v0."
DEVICE = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
ACTIONS = load(SUBSCRIPTIONS_ERRATA)["actions"]
DEPARTURES = sorted({action["x-departure"] for action in ACTIONS})


def camaras() -> dict[str, Json]:
    """Our document without our departures."""
    return overlaid(load(SUBSCRIPTIONS), load(SUBSCRIPTIONS_ERRATA)["actions"])


def with_all_but(departure: int) -> dict[str, Json]:
    return overlaid(
        load(SUBSCRIPTIONS),
        [action for action in load(SUBSCRIPTIONS_ERRATA)["actions"] if action["x-departure"] != departure],
    )


def test_the_wire_contract_is_the_one_that_clients_are_written_after() -> None:
    assert fingerprint(load(SUBSCRIPTIONS)) == FINGERPRINT


def test_without_the_departures_it_is_camaras() -> None:
    assert fingerprint(camaras()) == CAMARAS_FINGERPRINT


@pytest.mark.parametrize("departure", DEPARTURES)
def test_a_departure_is_seen_on_the_wire_or_by_people_as_it_says(departure: int) -> None:
    on_wire = {action["x-applies"] for action in ACTIONS if action["x-departure"] == departure}
    assert on_wire in ({"wire"}, {"prose"})
    differs = fingerprint(with_all_but(departure)) != CAMARAS_FINGERPRINT
    assert differs is (on_wire == {"wire"})
    assert with_all_but(departure) != camaras()


def test_every_departure_is_named_with_its_reason() -> None:
    errata = load(SUBSCRIPTIONS_ERRATA)
    assert errata["overlay"] == "1.0.0"
    assert errata["info"].keys() == {"title", "version"}
    assert errata["extends"] == SUBSCRIPTIONS
    assert errata["info"]["version"] == load(SUBSCRIPTIONS)["info"]["version"]
    assert set(DEPARTURES) == set(range(1, 13))
    for action in ACTIONS:
        assert TARGET.fullmatch(action["target"]), action["target"]
        assert action["description"].startswith(f"Departure {action['x-departure']}. ")
        assert ("update" in action) is not action.get("remove", False)


def test_everything_in_it_is_described() -> None:
    assert list(undescribed(load(SUBSCRIPTIONS))) == []


def test_the_errata_say_what_is_wrong_with_camaras_text() -> None:
    """Each of the first four, by what breaks without it."""
    ids = [operation["operationId"] for _, operation in operations(camaras())]
    assert {name for name in ids if ids.count(name) > 1} == {"createNotificationChannelSubscription"}
    ours = [operation["operationId"] for _, operation in operations(load(SUBSCRIPTIONS))]
    assert len(ours) == len(set(ours))
    answer = {"protocol": "HTTP", "sink": "https://a.example/", "id": "i", "types": [], "config": {}}
    answer["types"] = [f"{PREFIX}session-status", f"{PREFIX}session-invitation"]
    answer["config"] = {"subscriptionDetail": {"deviceId": DEVICE}}
    assert component(load(SUBSCRIPTIONS), "Subscription").is_valid(answer)
    assert not component(camaras(), "Subscription").is_valid(answer)
    # An end user's token may not learn of the device.
    answer["types"] = answer["types"][:1]
    assert component(camaras(), "Subscription").is_valid(answer)
    answer["config"] = {"subscriptionDetail": {}}
    assert component(load(SUBSCRIPTIONS), "Subscription").is_valid(answer)
    assert not component(camaras(), "Subscription").is_valid(answer)
    # The schema with `protocolSettings` is reached from nowhere.
    assert "HTTPSubscriptionRequest" in str(
        wire(load(SUBSCRIPTIONS)["components"]["schemas"]["SubscriptionRequest"])
    )
    referring = [
        name
        for name, schema in camaras()["components"]["schemas"].items()
        if "HTTPSubscriptionR" in str(schema)
    ]
    assert referring == []


def test_both_versions_differ_in_every_scope_and_type() -> None:
    """So that no token and no sink can take one for the other."""
    public, latest = load(PUBLIC), load(SUBSCRIPTIONS)

    def scopes(document: dict[str, Json]) -> set[str]:
        return {
            scope
            for _, operation in operations(document)
            for requirement in operation["security"]
            for scope in requirement.get("openId", [])
        }

    assert scopes(latest)
    assert not scopes(public) & scopes(latest)
    types = [
        set(document["components"]["schemas"]["CloudEvent"]["discriminator"]["mapping"])
        for document in (public, latest)
    ]
    assert not types[0] & types[1]
    assert all(name.startswith(PREFIX) for name in types[1])


@pytest.mark.parametrize(
    ("update", "good"),
    [
        ({"config": {"subscriptionExpireTime": A_TIME}}, True),
        ({}, False),
        ({"config": {}}, False),
        ({"config": {"subscriptionExpireTime": "2024-11-05T05:40:23"}}, False),
        ({"config": {"subscriptionMaxEvents": 5}}, False),
        ({"subscriptionExpireTime": A_TIME}, False),
        ({"sink": "https://notifications.example.com/webrtc"}, False),
        ({"sinkCredential": {"credentialType": "ACCESSTOKEN"}}, False),
        ({"sinkCredential": {"credentialType": "PRIVATE_KEY_JWT", "clientId": "c"}}, False),
        (
            {
                "sinkCredential": {
                    "credentialType": "PRIVATE_KEY_JWT",
                    "clientId": "c",
                    "tokenUri": "https://auth.example.com/token",
                }
            },
            True,
        ),
        (
            {
                "sinkCredential": {
                    "credentialType": "PRIVATE_KEY_JWT",
                    "clientId": "c",
                    "tokenUri": "http://auth.example.com/token",
                }
            },
            False,
        ),
    ],
)
def test_an_update_renews_what_it_names_and_nothing_else(update: dict[str, Json], good: bool) -> None:
    assert component(load(SUBSCRIPTIONS), "SubscriptionUpdateRequest").is_valid(update) is good


EVENT: dict[str, Json] = {
    "id": "s.1",
    "source": "/s",
    "specversion": "1.0",
    "type": f"{PREFIX}session-status",
    "time": A_TIME,
    "data": {"mediaSessionId": "m", "status": "Ringing"},
}
CIRCLE = {"latitude": 47.6, "longitude": -122.3, "radius": 35}
ELLIPSOID = {
    "latitude": 47.6,
    "longitude": -122.3,
    "zAxis": 20,
    "semiMajorAxis": 7.7,
    "semiMinorAxis": 3.3,
    "verticalAxis": 28.7,
    "orientation": 142,
}


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({"mediaSessionId": None}, False),
        ({"status": None}, False),
        ({"sequenceNumber": 0}, False),
        ({"originatorName": "x" * 257}, False),
        ({"offer": {"sdp": "x" * 65_537}}, False),
        ({"reason": "x" * 2049}, False),
        ({"locationDetails": {"shape": "Circle", "coordinates": CIRCLE}}, True),
        ({"locationDetails": {"shape": "Ellipsoid", "coordinates": ELLIPSOID, "method": "GPS"}}, True),
        ({"locationDetails": {"shape": "Square", "coordinates": CIRCLE}}, False),
        ({"locationDetails": {"coordinates": {"latitude": 47.6, "longitude": -122.3}}}, False),
        ({"locationDetails": {"confidence": {"pdf": "normal", "value": 101}}}, False),
    ],
)
def test_a_notification_tells_of_the_call_in_data(changes: dict[str, Json], good: bool) -> None:
    event = copy.deepcopy(EVENT)
    event["data"] |= changes
    event["data"] = {name: value for name, value in event["data"].items() if value is not None}
    assert component(load(SUBSCRIPTIONS), "CloudEvent").is_valid(event) is good
