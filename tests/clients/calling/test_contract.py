"""The Python client knows the contract: each code and status has its exception, each value is valid."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tests.contract.specs import NETWORK, PUBLIC, load, nodes
from tests.harness.documents import ROOT
from webrtc_events.contract.documents import load_network, load_public, load_subscriptions
from webrtc_events.core import errors as service_errors
from webrtc_events_client.client import errors
from webrtc_events_client.client.network_calls import MAX_BATCH_EVENTS
from webrtc_events_client.client.subscription_calls import MAX_PER_PAGE, DeviceCalls, SubscriptionCalls
from webrtc_events_client.device_subscriptions import (
    DeviceEventType,
    DeviceSubscription,
    DeviceSubscriptionRequest,
    DeviceSubscriptionUpdate,
    PrivateKeyJwt,
)
from webrtc_events_client.network_events import EventResultStatus, NetworkEvent, Registration
from webrtc_events_client.subscriptions import (
    SinkCredential,
    Subscription,
    SubscriptionRequest,
    SubscriptionStatus,
    SubscriptionType,
)

DEVICES = "webrtc-events-subscriptions.yaml"
AT = datetime(2030, 1, 17, 13, 18, 23, 682000, tzinfo=UTC)
# Only sinks answer so.
SINKS_ALONE = {(410, "GONE")}
_NAMED = re.compile(r"(\d{3}) `([A-Z_]+)`")


def codes_of(name: str) -> set[tuple[int, str]]:
    """Each status and code that an answer of the document may have; those of its description too."""
    document = load(name)
    found = {(int(status), code) for status, code in _NAMED.findall(document["info"]["description"])}
    for path, response in document["components"]["responses"].items():
        for _, node in nodes(response):
            if isinstance(node, dict) and "code" in node.get("properties", {}):
                (status,) = node["properties"]["status"]["enum"]
                found |= {(status, code) for code in node["properties"]["code"]["enum"]}
        assert path
    return found


CODES = sorted((codes_of(PUBLIC) | codes_of(DEVICES) | codes_of(NETWORK)) - SINKS_ALONE)


def classes(parent: type[errors.ApiError] = errors.ApiError) -> list[type[errors.ApiError]]:
    return [heir for child in parent.__subclasses__() for heir in (child, *classes(child))]


def test_the_contracts_codes_are_found() -> None:
    assert len(CODES) > 25


@pytest.mark.parametrize(("status", "code"), CODES, ids=str)
def test_each_code_of_the_contract_has_an_exception(status: int, code: str) -> None:
    kind = errors.error_class(status, code)
    if code in ("METHOD_NOT_ALLOWED", "UNSUPPORTED_MEDIA_TYPE"):
        # A client that does this has a fault; nobody handles it.
        assert kind is errors.ApiError
    else:
        assert kind.code_of_class == code


def test_each_exception_is_of_a_code() -> None:
    known = {code for _, code in CODES} | {
        error.code
        for error in vars(service_errors).values()
        if isinstance(error, type) and hasattr(error, "code")
    }
    assert {kind.code_of_class for kind in classes() if kind.code_of_class} <= known
    assert len({kind.code_of_class for kind in classes() if kind.code_of_class}) == len(
        [kind for kind in classes() if kind.code_of_class]
    )


def test_what_the_client_says_of_its_exceptions_is_what_there_is() -> None:
    drawn = set(re.findall(r"\b[A-Z][A-Za-z]+\b(?=[,\s]|$)", str(errors.__doc__).partition("Source:")[0]))
    exported = {name for name in errors.__all__ if name != "error_class"}
    assert exported <= drawn
    assert {kind.__name__ for kind in classes()} <= exported


def test_the_document_has_a_row_for_each_code() -> None:
    text = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d{3}) `([A-Z_.]+)` \| `(\w+)` \| (yes|no) \|", text, re.MULTILINE)
    documented = {(int(status), code): (name, again) for status, code, name, again in rows}
    assert len(documented) == len(rows)
    assert documented == {
        (status, code): (kind.__name__, "yes" if kind.transient else "no")
        for status, code in CODES
        for kind in [errors.error_class(status, code)]
    }


@pytest.mark.parametrize("event_type", SubscriptionType)
@pytest.mark.parametrize("everything", [False, True])
def test_a_request_is_valid_by_the_contract(event_type: SubscriptionType, everything: bool) -> None:
    more: dict[str, Any] = {
        "device_id": "7d444840-9dc0-11d1-b245-5ffdce74fad2",
        "expire_time": AT,
        "max_events": 3,
        "initial_event": True,
        "headers": {"x-a": "b"},
        "credential": SinkCredential(access_token="t", access_token_expires_utc=AT),
    }
    request = SubscriptionRequest.to(
        event_type,
        sink="https://a.example",
        registration_id="r",
        session_id="s",
        **(more if everything else {}),
    )
    shown = json.loads(msgspec.json.encode(request))
    assert list(load_public().validator("HTTPSubscriptionRequest").faults(shown)) == []
    assert msgspec.json.decode(msgspec.json.encode(request), type=SubscriptionRequest) == request


TOKEN = SinkCredential(access_token="t", access_token_expires_utc=AT)
JWT = PrivateKeyJwt(client_id="c", token_uri="https://a.example/token")


@pytest.mark.parametrize("credential", [None, TOKEN, JWT], ids=["none", "token", "jwt"])
def test_a_request_for_a_device_is_valid_by_its_contract(credential: SinkCredential | PrivateKeyJwt) -> None:
    request = DeviceSubscriptionRequest.to(
        DeviceEventType,
        sink="https://a.example",
        device_id="7d444840-9dc0-11d1-b245-5ffdce74fad2",
        expire_time=AT,
        max_events=3,
        headers={"x-a": "b"},
        credential=credential,
    )
    contract = load_subscriptions()
    shown = json.loads(msgspec.json.encode(request))
    assert list(contract.validator("HTTPSubscriptionRequest").faults(shown)) == []
    update = DeviceSubscriptionUpdate.of(expire_time=AT, credential=credential)
    shown = json.loads(msgspec.json.encode(update))
    assert list(contract.validator("SubscriptionUpdateRequest").faults(shown)) == []


def test_each_example_of_a_devices_subscription_is_read() -> None:
    resources = [
        example["value"]
        for example in load(DEVICES)["components"]["examples"].values()
        if isinstance(example["value"], dict) and "startsAt" in example["value"]
    ]
    assert resources
    for resource in resources:
        found = msgspec.convert(resource, DeviceSubscription)
        assert (found.id, list(found.types)) == (resource["id"], resource["types"])


def test_each_example_of_a_subscription_is_read_whole() -> None:
    examples = load(PUBLIC)["components"]["examples"]
    resources = [
        example["value"]
        for example in examples.values()
        if isinstance(example["value"], dict) and "startsAt" in example["value"]
    ]
    assert len(resources) == 3
    for resource in resources:
        found = msgspec.convert(resource, Subscription)
        assert (found.id, found.sink, found.status) == (resource["id"], resource["sink"], resource["status"])


def test_enumerations_are_the_contracts() -> None:
    schemas = load(PUBLIC)["components"]["schemas"]
    assert set(SubscriptionType) == set(schemas["SubscriptionEventType"]["enum"])
    assert set(SubscriptionStatus) == set(schemas["Subscription"]["properties"]["status"]["enum"])
    network = load(NETWORK)["components"]["schemas"]
    assert set(EventResultStatus) == set(network["EventResult"]["properties"]["status"]["enum"])
    assert network["NetworkEventBatch"]["maxItems"] == MAX_BATCH_EVENTS
    for name, calls in ((PUBLIC, SubscriptionCalls), (DEVICES, DeviceCalls)):
        assert load(name)["servers"][0]["url"].endswith("}/" + calls.path)
    devices = load(DEVICES)["components"]
    assert set(DeviceEventType) == set(devices["schemas"]["SubscriptionEventType"]["enum"])
    assert set(SubscriptionStatus) == set(devices["schemas"]["Subscription"]["properties"]["status"]["enum"])
    assert devices["parameters"]["perPage"]["schema"]["maximum"] == MAX_PER_PAGE


def test_each_example_of_a_gateway_comes_back_as_it_was() -> None:
    examples = load(NETWORK)["components"]["examples"]
    contract = load_network()
    for name in ("INVITATION", "STATUS", "REGISTRATION_EXPIRED"):
        event = NetworkEvent.parse(json.dumps(examples[name]["value"]))
        written = json.loads(msgspec.json.encode(event))
        given = {key: value for key, value in examples[name]["value"].items() if key != "datacontenttype"}
        # The same moment, with all of its digits.
        assert datetime.fromisoformat(written["time"]) == datetime.fromisoformat(given["time"])
        assert written | {"time": ""} == given | {"time": ""}
        assert list(contract.validator("NetworkEvent").faults(written)) == []
    for name in ("REGISTRATION", "REGISTRATION_OF_USER"):
        known = msgspec.convert(examples[name]["value"], Registration)
        assert list(contract.validator("Registration").faults(json.loads(msgspec.json.encode(known)))) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"id": 5}'])
def test_what_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (msgspec's own messages)
        NetworkEvent.parse(text)
