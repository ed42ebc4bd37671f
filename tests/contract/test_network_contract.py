"""The gateway's events and the public notifications have the same data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.specs import NETWORK, PUBLIC, Json, component, load, resolve, wire
from webrtc_events.contract.documents import load_network

TYPE_PREFIX = "org.camaraproject.webrtc-events.v0."
# --- the gateway's events and the public notifications ----------------------------------------------------


ADDRESSES = ["tel:+11234567899", "sip:bob@ims.example.com", "tel:+1234", "sip:bob"]
STATES = load(PUBLIC)["components"]["schemas"]["MediaSession"]["properties"]["status"]["enum"]
TEXTS = st.one_of(st.text(), st.integers())
SDP = st.fixed_dictionaries({}, optional={"sdp": st.text()})
# What is required is mostly there, so that much of what is made is accepted.
SESSION = st.fixed_dictionaries(
    {
        "mediaSessionId": st.text(),
        "status": st.sampled_from([*STATES, "Singing", 1]),
        "originatorAddress": st.sampled_from(ADDRESSES),
        "receiverAddress": st.sampled_from(ADDRESSES),
    },
    optional={
        "originatorName": st.text(),
        "receiverName": st.text(),
        "offer": SDP,
        "answer": SDP,
        "clientCorrelator": st.text(),
        "serverCorrelator": st.text(),
        "callObjectRef": st.text(),
        "offerRequired": st.one_of(st.booleans(), st.text()),
        "reason": TEXTS,
        "sequenceNumber": st.one_of(st.integers(), st.floats(allow_nan=False)),
        "extra": TEXTS,
    },
)
ENDINGS = ["NETWORK_TERMINATED", "REGISTRATION_EXPIRED", "MAX_EVENTS_REACHED"]
ENDING = st.fixed_dictionaries(
    {"registrationId": TEXTS},
    optional={"terminationReason": st.sampled_from(ENDINGS), "terminationDescription": TEXTS},
)
DATA_SCHEMAS = [
    ("NetworkInvitationData", "MediaSessionInvite"),
    ("NetworkStatusData", "MediaSessionStatusUpdate"),
    ("NetworkRegistrationEndsData", "RegistrationEnds"),
]
ACCEPTS = {name: component(load(NETWORK), name) for name, _ in DATA_SCHEMAS}
PERMITS = {name: component(load(PUBLIC), name) for _, name in DATA_SCHEMAS}


@given(data=st.one_of(SESSION, ENDING))
def test_accepted_data_makes_a_valid_notification(data: dict[str, Json]) -> None:
    for network, public in DATA_SCHEMAS:
        if ACCEPTS[network].is_valid(data):
            assert list(PERMITS[public].iter_errors({**data, "subscriptionId": "qs15-h556-rt89-1298"})) == []


def network_events() -> list[dict[str, Json]]:
    kept = load(NETWORK)["components"]["examples"]
    single = [kept[name]["value"] for name in ("INVITATION", "STATUS", "REGISTRATION_EXPIRED")]
    return [*single, *kept["BATCH"]["value"]]


def notification(event: dict[str, Json]) -> dict[str, Json]:
    data = {**event["data"], "subscriptionId": "qs15-h556-rt89-1298"}
    onto_event = {key: data[key] for key in ("mediaSessionId", "status") if key in data}
    return {**onto_event, **event, "source": "https://webrtc.example.com", "data": data}


@pytest.mark.parametrize("event", network_events(), ids=lambda event: event["id"])
def test_a_network_event_becomes_a_valid_notification(event: dict[str, Json]) -> None:
    assert list(component(load(NETWORK), "NetworkEvent").iter_errors(event)) == []
    assert list(component(load(PUBLIC), "CloudEvent").iter_errors(notification(event))) == []


@pytest.mark.parametrize(("network", "public"), DATA_SCHEMAS)
def test_the_two_sides_data_differ_by_the_subscription_id_and_the_form_of_ids_alone(
    network: str, public: str
) -> None:
    ours, theirs = flat(load(NETWORK), network), flat(load(PUBLIC), public)
    theirs["properties"].pop("subscriptionId", None)
    # Version 0.2 has none, and none is sent to its subscribers.
    location = ours["properties"].pop("locationDetails", None)
    assert (location is None) == (network == "NetworkRegistrationEndsData")
    assert ours == theirs


def test_the_gateway_publishes_what_can_be_subscribed_to() -> None:
    event = load(NETWORK)["components"]["schemas"]["NetworkEvent"]
    types = set(load(PUBLIC)["components"]["schemas"]["SubscriptionEventType"]["enum"])
    assert set(event["properties"]["type"]["enum"]) == set(event["discriminator"]["mapping"]) == types


def flat(document: dict[str, Json], name: str) -> dict[str, Json]:
    """The properties and requirements of a data schema, references and allOf dissolved.

    Left out: lengths, and what a registrationId and a mediaSessionId must be free of.
    """
    parts = [{"$ref": f"#/components/schemas/{name}"}]
    found: dict[str, Json] = {"properties": {}, "required": set()}
    while parts:
        schema = resolve(document, parts.pop())
        parts += schema.get("allOf", [])
        found["required"] |= set(schema.get("required", []))
        for key, value in schema.get("properties", {}).items():
            kept = wire(resolve(document, value))
            left_out = (
                "minLength",
                "maxLength",
                *(["pattern"] if key in ("registrationId", "mediaSessionId") else []),
            )
            found["properties"][key] = {word: kept[word] for word in kept if word not in left_out}
    return found


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"mediaSessionId": "m", "status": "Ringing", "subscriptionId": "s"}},
        {"data": {"mediaSessionId": "", "status": "Ringing"}},
        {"data": {"mediaSessionId": "m" * 513, "status": "Ringing"}},
        {"data": {"mediaSessionId": "m\nm", "status": "Ringing"}},
        {"data": {"mediaSessionId": "m\x7fm", "status": "Ringing"}},
        {"subject": "r1\nr1"},
        {"data": {"mediaSessionId": "m"}},
        {"data": {"status": "Ringing"}},
        {"type": TYPE_PREFIX + "subscription-ended"},
        {"type": TYPE_PREFIX + "session-invitation"},
        {"type": TYPE_PREFIX + "registration-ends"},
        {"time": "2024-11-05T05:40:23"},
        {"id": ""},
        {"source": "two words"},
        {"specversion": "0.3"},
        {"subject": ""},
    ],
)
def test_a_bad_network_event_is_refused(change: dict[str, Json]) -> None:
    # A status may lack a subject, so that nothing but the change is wrong.
    event = {name: value for name, value in network_events()[1].items() if name != "subject"}
    good = component(load(NETWORK), "NetworkEvent")
    assert good.is_valid(event)
    assert not good.is_valid({**event, **change})


CIRCLE = {"latitude": 47.6, "longitude": -122.3, "radius": 35}
ELLIPSOID = {
    "latitude": -90,
    "longitude": 180,
    "zAxis": -12.5,
    "semiMajorAxis": 7,
    "semiMinorAxis": 3.5,
    "verticalAxis": 0,
    "orientation": 360,
}


def located(**location: Json) -> dict[str, Json]:
    event = network_events()[1]
    return {**event, "data": {**event["data"], "locationDetails": location}}


@pytest.mark.parametrize(
    "location",
    [
        {"shape": "Circle", "coordinates": CIRCLE},
        {"shape": "Ellipsoid", "coordinates": ELLIPSOID},
        {
            "shape": "Circle",
            "coordinates": CIRCLE,
            "method": "DBH_HELO",
            "confidence": {"pdf": "uniform", "value": 100},
            "timestamp": "2024-11-05T05:35:12.254+02:00",
        },
    ],
)
def test_a_location_is_a_circle_or_an_ellipsoid(location: dict[str, Json]) -> None:
    event = located(**location)
    assert load_network().validator("NetworkEvent").first_fault(event) is None
    assert list(component(load(NETWORK), "NetworkEvent").iter_errors(event)) == []


AT = "$.data.locationDetails"
NOT_OF_A_CIRCLE = '"zAxis", "semiMajorAxis", "semiMinorAxis", "verticalAxis" and "orientation"'


@pytest.mark.parametrize(
    ("location", "faults"),
    [
        (
            {"shape": "Circle", "coordinates": ELLIPSOID},
            [
                f'{AT}.coordinates: "radius" is missing',
                f"{AT}.coordinates: {NOT_OF_A_CIRCLE} are not known here",
            ],
        ),
        (
            {"shape": "Ellipsoid", "coordinates": CIRCLE},
            [
                f"{AT}.coordinates: {NOT_OF_A_CIRCLE} are missing",
                f'{AT}.coordinates: "radius" is not known here',
            ],
        ),
        ({"coordinates": CIRCLE}, [f'{AT}: "shape" is missing']),
        (
            {"shape": "Circle", "coordinates": CIRCLE | {"latitude": -90.01, "longitude": 180.5}},
            [
                f"{AT}.coordinates.latitude: the value is less than the minimum of -90",
                f"{AT}.coordinates.longitude: the value is greater than the maximum of 180",
            ],
        ),
        (
            {"shape": "Circle", "coordinates": CIRCLE | {"radius": -1}},
            [f"{AT}.coordinates.radius: the value is less than the minimum of 0"],
        ),
        (
            {"shape": "Ellipsoid", "coordinates": ELLIPSOID | {"orientation": 360.5}},
            [f"{AT}.coordinates.orientation: the value is greater than the maximum of 360"],
        ),
        (
            {"shape": "Circle", "coordinates": CIRCLE, "confidence": {"value": 100.1}},
            [f"{AT}.confidence.value: the value is greater than the maximum of 100"],
        ),
        (
            {"shape": "Circle", "coordinates": CIRCLE, "timestamp": "2024-11-05T05:35:12"},
            [f'{AT}.timestamp: the value is not a "date-time"'],
        ),
    ],
)
def test_a_location_that_is_no_such_shape_is_refused_with_its_place(
    location: dict[str, Json], faults: list[str]
) -> None:
    event = located(**location)
    assert sorted(map(str, load_network().validator("NetworkEvent").faults(event))) == sorted(faults)
    assert not component(load(NETWORK), "NetworkEvent").is_valid(event)


def test_an_invitation_names_its_registration() -> None:
    event = network_events()[0]
    del event["subject"]
    assert not component(load(NETWORK), "NetworkEvent").is_valid(event)


def test_a_batch_with_a_bad_entry_is_taken_as_a_batch() -> None:
    document = load(NETWORK)
    batch = document["components"]["examples"]["BATCH_WITH_BAD_EVENT"]["value"]
    assert component(document, "NetworkEventBatch").is_valid([*batch, None, 3])
    assert [component(document, "NetworkEvent").is_valid(event) for event in batch] == [True, False]
