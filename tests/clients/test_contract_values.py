"""The values of notifications in the client library are those of the contract, old and next."""

import json
from collections.abc import Iterator
from dataclasses import fields
from enum import StrEnum
from typing import Any

import pytest

from tests.contract.specs import NEXT, PUBLIC, load
from tests.harness.documents import ROOT
from webrtc_events.core.model import EventType as ServiceEventType
from webrtc_events_client.consumer import parse_notification
from webrtc_events_client.types import (
    EventType,
    MediaSession,
    RegistrationTerminationReason,
    SessionState,
    TerminationReason,
    UnknownNotification,
)

CONTRACTS = {name: load(name) for name in (PUBLIC, NEXT)}


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_word_of_the_contract_is_known(name: str) -> None:
    schemas = CONTRACTS[name]["components"]["schemas"]

    def words(known: type[StrEnum]) -> set[str]:
        return {word.value for word in known}

    assert words(SessionState) == set(schemas["MediaSession"]["properties"]["status"]["enum"])
    assert words(TerminationReason) == set(schemas["TerminationReason"]["enum"])
    assert words(RegistrationTerminationReason) == set(schemas["RegistrationTerminationReason"]["enum"])
    assert words(EventType) == set(schemas["CloudEvent"]["discriminator"]["mapping"])
    assert words(EventType) == words(ServiceEventType)


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_member_of_a_session_has_a_field(name: str) -> None:
    members = CONTRACTS[name]["components"]["schemas"]["MediaSession"]["properties"]
    snake = {
        "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in member)
        for member in members
    }
    assert {field.name for field in fields(MediaSession)} == snake


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
    assert {event["type"] for event in found} == {kind.value for kind in EventType}
    for event in found:
        notification = parse_notification(json.dumps(event, default=str).encode())
        assert not isinstance(notification, UnknownNotification)
        assert notification.id == event["id"]
        if isinstance(session := getattr(notification, "session", None), MediaSession):
            assert session.media_session_id == event["data"]["mediaSessionId"]
            assert session.sequence_number == event["data"].get("sequenceNumber")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests" / "data" / "calls").glob("*.ndjson")), ids=lambda path: path.stem
)
def test_what_gateways_tell_of_is_read(path: Any) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        assert not isinstance(parse_notification(line.encode()), UnknownNotification)
