"""The documents in spec/: wire contract, examples, prose, departures, and how the two sides fit.

The discriminators are expanded and the overlay is applied here by code of the tests' own, so that a fault in
the service's loader cannot hide a fault in the documents.
"""

import copy
import hashlib
import json
import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV30SpecValidator

SPEC = Path(__file__).parents[2] / "spec"
PUBLIC, NETWORK, ERRATA = "webrtc-events.yaml", "network-events.yaml", "errata.yaml"
NEXT = "webrtc-events-next.yaml"
DOCUMENTS = (PUBLIC, NETWORK, NEXT)
METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
A_TIME = "2024-11-05T05:40:23Z"
TYPE_PREFIX = "org.camaraproject.webrtc-events.v0."

WIRE_FINGERPRINT = "535874406abdddf5aa6cc16f639a0faca86a82c18b5ec1b2a899b5fa139b9d86"

# CAMARA's own document carries these and fails them; they are kept as published. spec/errata.yaml mends both.
FAILS_AS_PUBLISHED = {
    "REGISTRATION_ENDS_SUBSCRIPTION": (
        "spells accessTokenExpireUtc, the schema requires accessTokenExpiresUtc",
        {"'accessTokenExpiresUtc' is a required property"},
    ),
    "SESSION_UPDATE": (
        "has mediaSessionId and status in data only, the schema requires them on the event",
        {"'mediaSessionId' is a required property", "'status' is a required property"},
    ),
}

Json = Any


@cache
def _parsed(name: str) -> dict[str, Json]:
    document: dict[str, Json] = yaml.safe_load((SPEC / name).read_text(encoding="utf-8"))
    return document


def load(name: str) -> dict[str, Json]:
    """A copy of a document, so that no test can spoil it for another."""
    return copy.deepcopy(_parsed(name))


def nodes(node: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Json]]:
    yield path, node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from nodes(child, (*path, str(key)))


def resolve(document: dict[str, Json], node: Json) -> Json:
    while isinstance(node, dict) and "$ref" in node:
        pointer, node = node["$ref"], document
        for step in pointer.removeprefix("#/").split("/"):
            node = node[step]
    return node


# --- the wire contract ------------------------------------------------------------------------------------

PROSE = frozenset(
    {"description", "summary", "title", "example", "examples", "externalDocs", "info", "servers", "tags"}
)
# Below these keywords the keys are names that somebody chose; a property called `title` is no prose.
NAMED = frozenset(
    {"properties", "patternProperties", "schemas", "responses", "parameters", "headers", "paths"}
    | {"securitySchemes", "mapping", "callbacks", "content", "variables"}
)


def wire(node: Json, *, names: bool = False) -> Json:
    """The document without its prose: what two programs have to agree on."""
    if isinstance(node, list):
        return [wire(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        str(key): wire(value, names=not names and key in NAMED)
        for key, value in node.items()
        if names or key not in PROSE
    }


def fingerprint(document: dict[str, Json]) -> str:
    canonical = json.dumps(wire(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def test_the_wire_contract_is_camaras() -> None:
    assert fingerprint(load(PUBLIC)) == WIRE_FINGERPRINT


@pytest.mark.parametrize("change", ["description", "schema"])
def test_the_fingerprint_sees_the_wire_and_nothing_else(change: str) -> None:
    document = load(PUBLIC)
    schema = document["components"]["schemas"]["ErrorInfo"]
    if change == "description":
        schema["description"] = "Other words."
    else:
        schema["properties"]["description"] = {"type": "string"}
    assert (fingerprint(document) == WIRE_FINGERPRINT) is (change == "description")


@pytest.mark.parametrize("name", [*DOCUMENTS, ERRATA])
def test_every_timestamp_is_quoted(name: str) -> None:
    # An unquoted one becomes a datetime, which no JSON answer can hold.
    assert [path for path, node in nodes(load(name)) if isinstance(node, date)] == []


# --- validity as OpenAPI ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_is_valid_openapi(name: str) -> None:
    assert [error.message for error in OpenAPIV30SpecValidator(load(name)).iter_errors()] == []


def operations(document: dict[str, Json]) -> Iterator[tuple[str, dict[str, Json]]]:
    """Callbacks included."""
    for path, node in nodes({"paths": document["paths"]}):
        if path[-1:] and path[-1] in METHODS and isinstance(node, dict):
            yield "/".join(path), node


def operation_ids(document: dict[str, Json]) -> list[str]:
    return [operation["operationId"] for _, operation in operations(document)]


def test_the_callback_alone_shares_an_operation_id() -> None:
    # CAMARA gave the callback the id of the operation that it belongs to. OpenAPI wants ids unique; the wire
    # contract is kept as published, and the validator above does not look into callbacks.
    ids = operation_ids(load(PUBLIC))
    assert {name for name in ids if ids.count(name) > 1} == {"createNotificationChannelSubscription"}
    assert ids.count("createNotificationChannelSubscription") == 2


def test_operation_ids_are_unique_over_the_two_sides() -> None:
    network = operation_ids(load(NETWORK))
    assert len(network) == len(set(network))
    assert not set(network) & set(operation_ids(load(PUBLIC)))


def test_the_two_sides_share_only_the_schemas_that_are_the_same() -> None:
    public, network = (load(name)["components"]["schemas"] for name in (PUBLIC, NETWORK))
    assert public.keys() & network.keys() == {"XCorrelator", "ErrorInfo"}
    assert all(wire(public[name]) == wire(network[name]) for name in ("XCorrelator", "ErrorInfo"))


def test_every_gateway_operation_needs_the_network_scope() -> None:
    for where, operation in operations(load(NETWORK)):
        assert operation["security"] == [{"openId": ["webrtc-events:network"]}], where


# --- examples ---------------------------------------------------------------------------------------------

FORMATS = FormatChecker()
URI_CHARACTERS = re.compile(r"[!#-;=?-\[\]_a-zA-Z~]*")
NAMED_THINGS = {"properties", "schemas", "responses", "headers", "securitySchemes", "variables"}


@FORMATS.checks("uri")  # the library checks neither without an extra
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or (_is_uri_reference(value) and bool(urlsplit(value).scheme))


@FORMATS.checks("uri-reference")
def _is_uri_reference(value: object) -> bool:
    return not isinstance(value, str) or URI_CHARACTERS.fullmatch(value) is not None


def expanded(document: dict[str, Json]) -> dict[str, Json]:
    """The document with each discriminated base made to check the child that its value maps to."""
    document = copy.deepcopy(document)
    schemas = document["components"]["schemas"]
    for name in [name for name, schema in schemas.items() if "discriminator" in schema]:
        reference, base = f"#/components/schemas/{name}", f"#/components/schemas/{name}Base"
        schemas[f"{name}Base"] = schema = schemas.pop(name)
        discriminator = schema.pop("discriminator")
        for child in discriminator["mapping"].values():
            for part in resolve(document, {"$ref": child})["allOf"]:
                if part.get("$ref") == reference:
                    part["$ref"] = base
        schemas[name] = {"allOf": [{"$ref": base}, *_branches(discriminator)]}
    return document


def _branches(discriminator: dict[str, Json]) -> Iterator[dict[str, Json]]:
    tag, mapping = discriminator["propertyName"], discriminator["mapping"]
    yield {"properties": {tag: {"enum": list(mapping)}}}
    for value, child in mapping.items():
        yield {"if": {"properties": {tag: {"enum": [value]}}, "required": [tag]}, "then": {"$ref": child}}


def validator(document: dict[str, Json], schema: dict[str, Json]) -> Draft202012Validator:
    return Draft202012Validator(
        {"components": document["components"], "allOf": [schema]}, format_checker=FORMATS
    )


def component(document: dict[str, Json], name: str) -> Draft202012Validator:
    return validator(expanded(document), {"$ref": f"#/components/schemas/{name}"})


def examples(document: dict[str, Json]) -> Iterator[tuple[str, str, dict[str, Json], Json]]:
    """(where, name, schema, value) of each example of a request, a response, a callback or a schema."""
    for path, node in nodes(document):
        if not isinstance(node, dict):
            continue
        for name, example in node.get("examples", {}).items() if "schema" in node else ():
            yield "/".join(path), name, node["schema"], resolve(document, example)["value"]
        if "example" in node:
            yield "/".join(path), path[-1], node, node["example"]


def faults(document: dict[str, Json]) -> dict[str, set[str]]:
    """The messages of the examples that their own schema refuses, by the example's name."""
    strict, found = expanded(document), dict[str, set[str]]()
    for _, name, schema, value in examples(document):
        for error in validator(strict, schema).iter_errors(value):
            found.setdefault(name, set()).add(error.message)
    return found


def _every_example() -> list[Any]:
    return [
        pytest.param(document, schema, value, id=f"{name}:{where}:{example}")
        for name in DOCUMENTS
        for document in [load(name)]
        for where, example, schema, value in examples(document)
        if example not in FAILS_AS_PUBLISHED
    ]


@pytest.mark.parametrize(("document", "schema", "value"), _every_example())
def test_an_example_follows_its_schema(
    document: dict[str, Json], schema: dict[str, Json], value: Json
) -> None:
    messages = [error.message for error in validator(expanded(document), schema).iter_errors(value)]
    assert messages == []


def test_only_the_listed_examples_fail_and_as_listed() -> None:
    assert faults(load(PUBLIC)) == {name: messages for name, (_, messages) in FAILS_AS_PUBLISHED.items()}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_kept_example_is_used(name: str) -> None:
    document = load(name)
    used = {node["$ref"] for _, node in nodes(document) if isinstance(node, dict) and "$ref" in node}
    unused = [key for key in document["components"]["examples"] if f"#/components/examples/{key}" not in used]
    assert unused == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_json_body_has_an_example(name: str) -> None:
    for path, node in nodes(load(name)):
        if path[-2:-1] == ("content",):
            assert node.get("examples"), "/".join(path)


@pytest.mark.parametrize(
    ("schema", "bad"),
    [
        ("DateTime", "2024-11-05T05:40:23"),
        ("DateTime", "yesterday"),
        ("Source", "not a reference"),
        ("WebrtcSubscriptionDetail", {"registrationId": "r", "deviceId": "7d444840"}),
        ("CloudEvent", {"id": "1", "source": "/", "specversion": "1.0", "time": A_TIME, "type": "unknown"}),
    ],
)
def test_formats_and_discriminators_are_really_checked(schema: str, bad: Json) -> None:
    assert not component(load(PUBLIC), schema).is_valid(bad)


# --- prose ------------------------------------------------------------------------------------------------


def undescribed(document: dict[str, Json]) -> Iterator[str]:
    """Where a reader of the reference would find a name and no word about it."""
    for path, node in nodes(document):
        if isinstance(node, dict) and "$ref" not in node and "example" not in path and "value" not in path:
            yield from ("/".join((*path, keyword)) for keyword in _prose_due(path) if not node.get(keyword))


def _prose_due(path: tuple[str, ...]) -> tuple[str, ...]:
    parent = path[-2:-1]
    if path[-1:] and path[-1] in METHODS and "paths" in path and parent != ("properties",):
        return ("summary", "description", "operationId", "tags")
    if parent == ("examples",):
        return ("summary",)
    if path[-1:] == ("requestBody",) or parent == ("parameters",):
        return ("description",)
    if parent and parent[0] in NAMED_THINGS:
        return () if path[-1] == "additionalProperties" else ("description",)
    return ()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_everything_with_a_name_is_described(name: str) -> None:
    assert list(undescribed(load(name))) == []


def test_a_missing_description_is_found() -> None:
    document = load(PUBLIC)
    del document["paths"]["/subscriptions"]["get"]["summary"]
    del document["components"]["schemas"]["Config"]["properties"]["initialEvent"]["description"]
    del document["components"]["parameters"]["SubscriptionId"]["description"]
    assert set(undescribed(document)) == {
        "paths//subscriptions/get/summary",
        "components/schemas/Config/properties/initialEvent/description",
        "components/parameters/SubscriptionId/description",
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_introduces_itself(name: str) -> None:
    document = load(name)
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    assert document["info"]["license"]["name"] == "Apache 2.0"
    assert document["info"]["description"]
    assert {tag for _, operation in operations(document) for tag in operation["tags"]} == tags


# --- departures -------------------------------------------------------------------------------------------

MODES = ("always-documented", "strict-cloudevents")
# In place of strict-cloudevents, where it is for some clients only.
BY_CLIENT = "strict-cloudevents-by-client"
TARGET = re.compile(r"\$(\.[A-Za-z_]\w*|\['[^']+'\]|\[\d+\])*")
STEP = re.compile(r"\.(\w+)|\['([^']+)'\]|\[(\d+)\]")


def actions(*modes: str) -> list[dict[str, Json]]:
    return [action for action in load(ERRATA)["actions"] if action["x-applies"] in modes]


def applied(*modes: str) -> dict[str, Json]:
    """The public document with the overlay's actions of these modes; a missing target is a KeyError."""
    document = load(PUBLIC)
    for action in actions(*modes):
        *parents, last = _steps(action["target"])
        parent = _at(document, parents)
        if action.get("remove"):
            del parent[last]
        else:
            _merge(parent[last], action["update"])
    return document


def _steps(target: str) -> list[str | int]:
    return [int(index) if index else name or quoted for name, quoted, index in STEP.findall(target)]


def _at(node: Json, steps: list[str | int]) -> Json:
    for step in steps:
        node = node[step]
    return node


def _merge(target: dict[str, Json], update: dict[str, Json]) -> None:
    for key, value in update.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        elif isinstance(value, list):
            target[key] = target.get(key, []) + value
        else:
            target[key] = value


def test_the_errata_are_an_overlay_of_the_public_document() -> None:
    errata = load(ERRATA)
    assert errata["overlay"] == "1.0.0"
    assert errata["info"].keys() == {"title", "version"}
    assert errata["extends"] == PUBLIC
    for action in errata["actions"]:
        assert TARGET.fullmatch(action["target"]), action["target"]
        assert ("update" in action) is not action.get("remove", False)


def test_every_departure_is_named_with_its_reason() -> None:
    departures = actions(*MODES, BY_CLIENT)
    assert len(departures) == len(load(ERRATA)["actions"])
    assert {action["x-departure"] for action in departures} == set(range(1, 9))
    for action in departures:
        assert action["description"].startswith(f"Departure {action['x-departure']}. ")


def test_only_the_form_of_session_status_depends_on_the_mode() -> None:
    assert {action["x-departure"] for action in actions("strict-cloudevents", BY_CLIENT)} == {1}


@pytest.mark.parametrize(
    "modes", [MODES[:1], MODES, (MODES[0], BY_CLIENT)], ids=["default", "strict", "by client"]
)
def test_the_overlay_leaves_a_valid_and_described_document(modes: tuple[str, ...]) -> None:
    document = applied(*modes)
    assert list(OpenAPIV30SpecValidator(document).iter_errors()) == []
    assert list(undescribed(document)) == []


@pytest.mark.parametrize("modes", [MODES, (MODES[0], BY_CLIENT)], ids=["strict", "by client"])
def test_no_action_undoes_another(modes: tuple[str, ...]) -> None:
    document = applied(*modes)
    for action in actions(*modes):
        if "update" in action:
            # Lists are left out: they grow when they are added to twice.
            plain = {key: value for key, value in action["update"].items() if not isinstance(value, list)}
            again = copy.deepcopy(document)
            _merge(_at(again, _steps(action["target"])), plain)
            assert again == document, action["target"]


@pytest.mark.parametrize("modes", [MODES[:1], (MODES[0], BY_CLIENT)], ids=["default", "by client"])
def test_what_is_only_documented_changes_the_wire_in_one_tolerated_property(modes: tuple[str, ...]) -> None:
    document = applied(*modes)
    del document["components"]["schemas"]["WebrtcSubscriptionDetail"]["properties"]["mediaSessionId"]
    assert fingerprint(document) == WIRE_FINGERPRINT


def test_the_overlay_mends_the_examples_that_fail_as_published() -> None:
    assert faults(applied("always-documented")).keys() == {"SESSION_UPDATE"}
    assert faults(applied(*MODES)) == {}


@pytest.mark.parametrize("missing", ["mediaSessionId", "status"])
def test_strict_mode_moves_the_requirement_into_data(missing: str) -> None:
    document = applied("strict-cloudevents")
    event = document["components"]["examples"]["SESSION_UPDATE"]["value"]
    strict = component(document, "CloudEvent")
    assert strict.is_valid(event)
    del event["data"][missing]
    assert not strict.is_valid(event)


# --- the next contract ------------------------------------------------------------------------------------

# Besides these, and the form of session-status that strict mode has now, it is the public document.
NEW_IN_NEXT = {
    "components/examples/RENEW_CREDENTIAL",
    "components/examples/RENEW_EXPIRY",
    "components/responses/SubscriptionEnded409",
    "components/responses/UpdateSubscriptionBadRequest400",
    "components/schemas/SubscriptionUpdateConfig",
    "components/schemas/SubscriptionUpdateRequest",
    "paths//subscriptions/{subscriptionId}/put",
}
OTHER_IN_NEXT = {"info/description", "info/version", "servers/0/url", "tags/0/description"}


def differences(ours: Json, theirs: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(what, where) for each place at which `theirs` is new, gone or other than `ours`."""
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        ours, theirs = dict(enumerate(ours)), dict(enumerate(theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        yield from (("gone", "/".join((*path, str(key)))) for key in ours.keys() - theirs.keys())
        yield from (("new", "/".join((*path, str(key)))) for key in theirs.keys() - ours.keys())
        for key in ours.keys() & theirs.keys():
            yield from differences(ours[key], theirs[key], (*path, str(key)))
    elif ours != theirs:
        yield "other", "/".join(path)


def test_the_next_document_is_the_public_one_but_for_what_is_listed() -> None:
    expected = {("new", departure) for departure in NEW_IN_NEXT} | {
        ("other", departure) for departure in OTHER_IN_NEXT
    }
    assert set(differences(applied("strict-cloudevents"), load(NEXT))) == expected


def test_a_drift_between_the_two_is_found() -> None:
    document = load(NEXT)
    document["components"]["schemas"]["Config"]["properties"]["subscriptionMaxEvents"]["minimum"] = 2
    del document["components"]["schemas"]["Subscription"]["required"][0]
    found = set(differences(load(NEXT), document))
    assert found == {
        ("other", "components/schemas/Config/properties/subscriptionMaxEvents/minimum"),
        ("other", "components/schemas/Subscription/required"),
    }


def test_what_is_always_documented_holds_for_the_next_document_too() -> None:
    document = load(NEXT)
    for action in actions("always-documented"):
        *parents, last = _steps(action["target"])
        parent = _at(document, parents)
        if action.get("remove"):
            del parent[last]
        else:
            _merge(parent[last], action["update"])
    assert list(OpenAPIV30SpecValidator(document).iter_errors()) == []
    assert faults(document) == {}


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
    ],
)
def test_an_update_renews_something_and_nothing_else(update: dict[str, Json], good: bool) -> None:
    assert component(load(NEXT), "SubscriptionUpdateRequest").is_valid(update) is good


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
    event = network_events()[1]
    good = component(load(NETWORK), "NetworkEvent")
    assert good.is_valid(event)
    assert not good.is_valid({**event, **change})


def test_an_invitation_names_its_registration() -> None:
    event = network_events()[0]
    del event["subject"]
    assert not component(load(NETWORK), "NetworkEvent").is_valid(event)


def test_a_batch_with_a_bad_entry_is_taken_as_a_batch() -> None:
    document = load(NETWORK)
    batch = document["components"]["examples"]["BATCH_WITH_BAD_EVENT"]["value"]
    assert component(document, "NetworkEventBatch").is_valid([*batch, None, 3])
    assert [component(document, "NetworkEvent").is_valid(event) for event in batch] == [True, False]
