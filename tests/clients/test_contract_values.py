"""The values of notifications in the client library are those of both contracts."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from enum import StrEnum
from typing import Any

import pytest

from tests.contract.specs import PUBLIC, SUBSCRIPTIONS, load
from tests.harness.documents import ROOT
from webrtc_events.core.model import EventType as ServiceEventType
from webrtc_events_client.consumer import parse_notification
from webrtc_events_client.types import (
    CircleCoordinates,
    ContractVersion,
    EllipsoidCoordinates,
    EventKind,
    EventType,
    LocationConfidence,
    LocationDetails,
    LocationMethod,
    LocationShape,
    MediaSession,
    RegistrationTerminationReason,
    SessionState,
    TerminationReason,
    UnknownNotification,
)

VERSIONS = {
    PUBLIC: ContractVersion.V0_2,
    SUBSCRIPTIONS: ContractVersion.V0_3,
}
CONTRACTS = {name: load(name) for name in VERSIONS}


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_word_of_the_contract_is_known(name: str) -> None:
    schemas = CONTRACTS[name]["components"]["schemas"]

    def words(known: type[StrEnum]) -> set[str]:
        return {word.value for word in known}

    assert words(SessionState) == set(schemas["MediaSession"]["properties"]["status"]["enum"])
    assert words(TerminationReason) == set(schemas["TerminationReason"]["enum"])
    assert words(RegistrationTerminationReason) == set(schemas["RegistrationTerminationReason"]["enum"])
    mapping = set(schemas["CloudEvent"]["discriminator"]["mapping"])
    assert {kind.wire_type(VERSIONS[name]) for kind in EventKind} == mapping


def test_the_types_of_events_are_named_as_the_service_names_them() -> None:
    assert {kind.value for kind in EventType} == {kind.value for kind in ServiceEventType}
    assert {kind.value for kind in EventType} == {kind.wire_type(ContractVersion.V0_2) for kind in EventKind}


def test_every_word_of_a_location_is_known() -> None:
    schema = CONTRACTS["webrtc-events-subscriptions.yaml"]["components"]["schemas"]
    members = schema["LocationDetails"]["properties"]
    assert set(members["shape"]["enum"]) == set(LocationShape)
    assert set(members["method"]["enum"]) == set(LocationMethod)
    assert snake(members) == {field.name for field in fields(LocationDetails)}
    assert snake(members["confidence"]["properties"]) == {field.name for field in fields(LocationConfidence)}
    for kind in (CircleCoordinates, EllipsoidCoordinates):
        assert snake(schema[kind.__name__]["properties"]) == {field.name for field in fields(kind)}


def snake(members: Iterable[str]) -> set[str]:
    return {
        "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in member)
        for member in members
    }


def test_every_member_of_a_session_has_a_field() -> None:
    found = [
        snake(contract["components"]["schemas"]["MediaSession"]["properties"])
        for contract in CONTRACTS.values()
    ]
    assert {field.name for field in fields(MediaSession)} == set.union(*found)


def examples(value: Any) -> Iterator[dict[str, Any]]:
    """The CloudEvents among all that a document has."""
    if isinstance(value, dict):
        if "specversion" in value and isinstance(value.get("type"), str):
            yield value
        for inner in value.values():
            yield from examples(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from examples(inner)


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_example_is_read(name: str) -> None:
    found = list(examples(CONTRACTS[name]["components"]["examples"]))
    assert {event["type"] for event in found} == {kind.wire_type(VERSIONS[name]) for kind in EventKind}
    for event in found:
        notification = parse_notification(json.dumps(event, default=str).encode())
        assert not isinstance(notification, UnknownNotification)
        assert (notification.id, notification.version) == (event["id"], VERSIONS[name])
        if isinstance(session := getattr(notification, "session", None), MediaSession):
            assert session.media_session_id == event["data"]["mediaSessionId"]
            assert session.sequence_number == event["data"].get("sequenceNumber")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests" / "data" / "calls").glob("*.ndjson")), ids=lambda path: path.stem
)
def test_what_gateways_tell_of_is_read(path: Any) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        assert not isinstance(parse_notification(line.encode()), UnknownNotification)
