"""The public contract is CAMARA's, its fingerprint says so, and every document is valid OpenAPI."""

from datetime import date

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator

from tests.contract.specs import (
    DOCUMENTS,
    ERRATA,
    NETWORK,
    PUBLIC,
    WIRE_FINGERPRINT,
    Json,
    fingerprint,
    load,
    nodes,
    operations,
    wire,
)


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
