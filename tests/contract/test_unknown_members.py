"""A member of a body that a strict contract does not know is a fault, at any depth."""

import copy
import random
import time
from typing import Any

import pytest

from tests.contract.specs import SUBSCRIPTIONS, Json, expanded, load, nodes, validator
from webrtc_events.contract.documents import load_public, load_subscriptions
from webrtc_events.contract.unknown_members import MemberRules

CONTRACT = load_subscriptions()
CREATE = CONTRACT.operations["createNotificationChannelSubscription"].bodies["application/json"]
UPDATE = CONTRACT.operations["updateNotificationChannelSubscription"].bodies["application/json"]
PREFIX = "org.camaraproject.webrtc-events-subscriptions.v0."
ACCESS_TOKEN = {
    "credentialType": "ACCESSTOKEN",
    "accessToken": "s3cret",
    "accessTokenExpiresUtc": "2030-01-01T00:00:00Z",
    "accessTokenType": "bearer",
}
PRIVATE_KEY_JWT = {
    "credentialType": "PRIVATE_KEY_JWT",
    "clientId": "c",
    "tokenUri": "https://auth.example.com/token",
}
REQUEST: dict[str, Any] = {
    "protocol": "HTTP",
    "sink": "https://example.com/sink",
    "sinkCredential": ACCESS_TOKEN,
    "types": [f"{PREFIX}session-invitation"],
    "config": {
        "subscriptionDetail": {"deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2"},
        "subscriptionMaxEvents": 5,
        "subscriptionExpireTime": "2030-01-01T00:00:00Z",
        "initialEvent": True,
    },
    "protocolSettings": {"method": "POST", "headers": {"X-A": "b", "anything": "else"}},
}


def faults(body: Any, validator: Any = CREATE) -> list[str]:
    found = [str(fault) for fault in validator.faults(body)]
    assert validator.is_valid(body) is (found == [])
    assert (validator.first_fault(body) is None) is (found == [])
    return found


def changed(*path: str, **members: Any) -> dict[str, Any]:
    request = copy.deepcopy(REQUEST)
    place = request
    for step in path:
        place = place[step]
    place.update(members)
    return request


@pytest.mark.parametrize("credential", [ACCESS_TOKEN, PRIVATE_KEY_JWT])
def test_what_the_document_knows_is_no_fault(credential: dict[str, Any]) -> None:
    assert faults(REQUEST | {"sinkCredential": credential}) == []
    assert faults({"sinkCredential": credential}, UPDATE) == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (changed(id="x"), '$: "id" is not known here'),
        (changed(a=1, b=2), '$: "a" and "b" are not known here'),
        (changed("config", maxEvents=1), '$.config: "maxEvents" is not known here'),
        (
            changed("config", "subscriptionDetail", registrationId="r"),
            '$.config.subscriptionDetail: "registrationId" is not known here',
        ),
        (changed("sinkCredential", clientId="c"), '$.sinkCredential: "clientId" is not known here'),
        (
            REQUEST | {"sinkCredential": PRIVATE_KEY_JWT | {"accessToken": "s3cret"}},
            '$.sinkCredential: "accessToken" is not known here',
        ),
        (changed("protocolSettings", retries=3), '$.protocolSettings: "retries" is not known here'),
        (changed(**{"": 1}), '$: "" is not known here'),
    ],
)
def test_a_member_that_is_not_known_is_named_with_its_place(body: dict[str, Any], fault: str) -> None:
    assert faults(body) == [fault]


def read_only_properties() -> list[tuple[str, str]]:
    """Each of the contract, with the schema that has it."""
    return [
        (name, member)
        for name, schema in CONTRACT.document["components"]["schemas"].items()
        for path, node in nodes(schema)
        if path[-1:] == ("properties",)
        for member, rules in node.items()
        if isinstance(rules, dict) and rules.get("readOnly")
    ]


def test_a_member_of_answers_alone_is_told_from_one_that_is_not_known() -> None:
    assert read_only_properties()
    for schema, name in read_only_properties():
        rules = MemberRules(
            {"$ref": f"#/components/schemas/{schema}"}, CONTRACT.document["components"]["schemas"]
        )
        value = PRIVATE_KEY_JWT if schema == "PrivateKeyJWTCredential" else {}
        found = [str(fault) for fault in rules.faults(value | {name: "https://a.example/"})]
        assert found == [f'$: "{name}" is read only'], schema
    credential = PRIVATE_KEY_JWT | {"jwksUri": "https://a.example/", "x": 1}
    expected = ['$.sinkCredential: "x" is not known here', '$.sinkCredential: "jwksUri" is read only']
    assert faults(REQUEST | {"sinkCredential": credential}) == expected
    assert faults({"sinkCredential": credential}, UPDATE) == expected
    # Beside a member that is missing, for which it was hardly meant.
    del credential["clientId"], credential["x"]
    assert faults(REQUEST | {"sinkCredential": credential}) == [
        '$.sinkCredential: "clientId" is missing',
        expected[1],
    ]


def test_all_faults_are_named_at_once() -> None:
    body = changed("config", unheard=1, subscriptionMaxEvents=0)
    body["more"] = {}
    assert [fault.partition(":")[0] for fault in faults(body)] == [
        "$.config.subscriptionMaxEvents",
        "$",
        "$.config",
    ]


def test_what_may_be_misspelt_is_named_once() -> None:
    credential = {name: value for name, value in ACCESS_TOKEN.items() if name != "accessToken"}
    assert faults(REQUEST | {"sinkCredential": credential | {"token": "s3cret"}}) == [
        '$.sinkCredential: "accessToken" is missing; "token" is not known here'
    ]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (REQUEST | {"protocol": "MQTT5", "more": 1}, "$.protocol"),
        (
            REQUEST | {"sinkCredential": {"credentialType": "PLAIN", "identifier": "i", "secret": "s3cret"}},
            "$.sinkCredential.credentialType",
        ),
    ],
)
def test_where_no_schema_is_chosen_that_is_the_fault(body: dict[str, Any], place: str) -> None:
    """Of which members could be known is not known."""
    assert [fault.partition(":")[0] for fault in faults(body)] == [place]


@pytest.mark.parametrize("body", ["text", 1, None, [], [{"a": 1}], {"config": [{"a": 1}]}, {"config": 5}])
def test_what_is_no_object_is_the_schema_s_to_refuse(body: Any) -> None:
    assert not any("not known" in fault for fault in faults(body, UPDATE))


def test_an_update_knows_what_it_may_change() -> None:
    assert faults({"sink": "https://elsewhere.example/"}, UPDATE) == ['$: "sink" is not known here']
    assert faults({"config": {"initialEvent": True}}, UPDATE) == [
        '$.config: "initialEvent" is not known here'
    ]


def test_the_version_before_tolerates_them() -> None:
    public = load_public().operations["createNotificationChannelSubscription"].bodies["application/json"]
    detail = {"registrationId": "r1", "more": 1}
    request = REQUEST | {
        "types": ["org.camaraproject.webrtc-events.v0.session-invitation"],
        "config": {"subscriptionDetail": detail},
        "more": {"a": 1},
    }
    assert public.is_valid(request)


def test_answers_may_have_more_than_this_release_knows() -> None:
    """Only bodies of requests are strict."""
    shown = {name: value for name, value in REQUEST.items() if name != "sinkCredential"}
    assert CONTRACT.validator("Subscription").is_valid(shown | {"id": "i", "more": 1})


def test_ten_thousand_members_are_told_briefly_and_soon() -> None:
    body = changed(**{f"member{number}": number for number in range(10_000)})
    began_s = time.perf_counter()
    (fault,) = faults(body)
    assert fault.endswith("and 9988 more are not known here")
    assert len(fault) < 500
    assert time.perf_counter() - began_s < 5


def test_what_is_below_an_unknown_member_is_not_looked_at() -> None:
    deep: Any = {}
    for _ in range(90):
        deep = {"a": deep, "b": [deep]} if _ < 3 else {"a": deep}
    assert faults(changed(more=deep)) == ['$: "more" is not known here']


def test_long_names_are_cut() -> None:
    (fault,) = faults(changed(**{"x" * 100_000: 1}))
    assert len(fault) < 500
    assert "..." in fault


SCHEMAS: dict[str, Any] = {
    "Tree": {
        "properties": {
            "name": {"type": "string"},
            "children": {"items": {"$ref": "#/components/schemas/Tree"}},
        }
    },
    "Free": {"type": "object"},
    "Map": {"additionalProperties": {"$ref": "#/components/schemas/Tree"}},
    "Closed": {"additionalProperties": False},
    "Made": {
        "additionalProperties": True,
        "properties": {"id": {"readOnly": True}, "on": {"readOnly": True}},
    },
    "MadeHere": {"allOf": [{"$ref": "#/components/schemas/Made"}, {"properties": {"id": {}}}]},
    "Either": {
        "oneOf": [{"properties": {"a": {}}}, {"properties": {"b": {"$ref": "#/components/schemas/Tree"}}}]
    },
    "Shape": {
        "properties": {"kind": {"type": "string"}},
        "discriminator": {"propertyName": "kind", "mapping": {"round": "#/components/schemas/Round"}},
    },
    "Round": {
        "allOf": [{"$ref": "#/components/schemas/Shape"}, {"properties": {"radius": {}, "size": {}}}],
        "discriminator": {"propertyName": "size", "mapping": {"large": "#/components/schemas/Large"}},
    },
    "Large": {"allOf": [{"$ref": "#/components/schemas/Round"}, {"properties": {"weight": {}}}]},
}


@pytest.mark.parametrize(
    ("name", "value", "places"),
    [
        ("Tree", {"children": [{"name": "a"}, {"children": [{"x": 1}]}]}, ["$.children[1].children[0]"]),
        ("Free", {"anything": {"at": "all"}}, []),
        ("Closed", {"anything": 1}, ["$"]),
        # Read only, wherever other names are free; one that a schema has for requests is not.
        ("Made", {"anything": 1}, []),
        ("Made", {"anything": 1, "id": 1, "on": 1}, ["$"]),
        ("MadeHere", {"anything": 1, "id": 1}, []),
        ("Either", {"a": 1, "b": {"name": "n"}}, []),
        ("Either", {"a": 1, "c": 2, "b": {"x": 1}}, ["$", "$.b"]),
        ("Shape", {"kind": "round", "radius": 1, "size": "large", "weight": 2}, []),
        ("Shape", {"kind": "round", "radius": 1, "size": "large", "height": 2}, ["$"]),
    ],
)
def test_the_rules_follow_the_schemas(name: str, value: Any, places: list[str]) -> None:
    rules = MemberRules({"$ref": f"#/components/schemas/{name}"}, SCHEMAS)
    assert [fault.path for fault in rules.faults(value)] == places
    # The second time it is remembered what a place knows.
    assert [fault.path for fault in rules.faults(value)] == places


def test_members_of_a_map_are_held_to_its_schema() -> None:
    rules = MemberRules({"$ref": "#/components/schemas/Map"}, SCHEMAS)
    assert [fault.path for fault in rules.faults({"a": {"name": "n"}, "b": {"x": 1}})] == ["$.b"]


def _places(node: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Of all objects in a body, but for maps."""
    if not isinstance(node, dict):
        return []
    return [
        path,
        *(
            place
            for name, value in node.items()
            if name != "headers"
            for place in _places(value, (*path, name))
        ),
    ]


def test_wherever_it_is_put_an_unknown_member_is_found() -> None:
    chosen = random.Random(5)
    for _ in range(200):
        credential = chosen.choice([ACCESS_TOKEN, PRIVATE_KEY_JWT])
        request = REQUEST | {"sinkCredential": credential}
        body = copy.deepcopy(request)
        path = chosen.choice(_places(body))
        place = body
        for step in path:
            place = place[step]
        name = "".join(chosen.choices("abcXYZ_-. ", k=chosen.randrange(1, 12)))
        place[name] = chosen.choice([1, "s3cret", {}, {"a": {"b": 1}}, [1], None])
        (fault,) = faults(body)
        assert fault == f'$.{".".join(path)}: "{name}" is not known here'.replace("$.:", "$:")
        assert "s3cret" not in fault


def independent() -> Any:
    """The same rule by another library: `unevaluatedProperties` of JSON Schema 2020-12 crosses `allOf`."""
    document = expanded(load(SUBSCRIPTIONS))
    for path, node in nodes(document):
        if path[-1:] == ("properties",) and isinstance(node, dict):
            for name in [name for name, member in node.items() if member.get("readOnly")]:
                del node[name]
            for member in node.values():
                _close(member)
    root: dict[str, Json] = {"$ref": "#/components/schemas/SubscriptionRequest"}
    return validator(document, _close(root))


def _close(schema: dict[str, Json]) -> dict[str, Json]:
    if "$ref" in schema or schema.get("type") == "object":
        schema["unevaluatedProperties"] = False
    return schema


def _mutated(body: Any, chosen: random.Random) -> Any:
    """With a member more, or less, or one of another place, or another value."""
    body = copy.deepcopy(body)
    place = body
    for step in chosen.choice(_places(body)):
        place = place[step]
    names = [
        *PRIVATE_KEY_JWT,
        *ACCESS_TOKEN,
        *REQUEST,
        *REQUEST["config"],
        "deviceId",
        "jwksUri",
        "headers",
        "x",
    ]
    match chosen.randrange(4):
        case 0:
            place.pop(chosen.choice([*place, "x"]), None)
        case 1:
            place["credentialType"] = chosen.choice(["ACCESSTOKEN", "PRIVATE_KEY_JWT", "PLAIN", 5])
        case _:
            place[chosen.choice(names)] = chosen.choice(["https://a.example/", {}, {"x": 1}, 1, ACCESS_TOKEN])
    return body


def test_another_library_comes_to_the_same() -> None:
    chosen = random.Random(7)
    other = independent()
    assert other.is_valid(REQUEST)
    valid = 0
    for _ in range(400):
        body = REQUEST | {"sinkCredential": chosen.choice([ACCESS_TOKEN, PRIVATE_KEY_JWT])}
        for _ in range(chosen.randrange(1, 3)):
            body = _mutated(body, chosen)
        expected = other.is_valid(body)
        assert CREATE.is_valid(body) is expected, body
        valid += expected
    assert 20 < valid < 380
