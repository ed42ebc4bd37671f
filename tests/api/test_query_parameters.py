"""What stands behind the `?`, as the contract has it."""

from collections.abc import Mapping
from typing import Any

import pytest

from webrtc_events.api.page_headers import page_headers
from webrtc_events.api.query_parameters import query_values
from webrtc_events.contract.discriminators import SchemaError
from webrtc_events.contract.openapi import Contract, Operation
from webrtc_events.core.errors import InvalidArgument


def operation(*parameters: Mapping[str, Any]) -> Operation:
    document: dict[str, Any] = {
        "servers": [{"url": "{apiRoot}/x/v1"}],
        "components": {"schemas": {"Size": {"type": "integer", "minimum": 1, "maximum": 9, "default": 5}}},
        "paths": {"/x": {"get": {"operationId": "readX", "parameters": [*parameters], "responses": {}}}},
    }
    return Contract(document).operations["readX"]


SIZE = {"name": "size", "in": "query", "schema": {"$ref": "#/components/schemas/Size"}}
NAME = {"name": "name", "in": "query", "schema": {"type": "string", "maxLength": 3}}
NEEDED = {"name": "id", "in": "query", "required": True, "schema": {"type": "integer"}}


@pytest.mark.parametrize(
    ("query", "values"),
    [
        (b"", {"size": 5}),
        (b"size=7", {"size": 7}),
        (b"size=07&name=", {"size": 7, "name": ""}),
        (b"name=a%20b", {"size": 5, "name": "a b"}),
        (b"name=a+b&other=1&other=2&;=&&", {"size": 5, "name": "a b"}),
        (b"\xff=1", {"size": 5}),
    ],
)
def test_values_have_their_type_or_their_default(query: bytes, values: dict[str, Any]) -> None:
    assert query_values(operation(SIZE, NAME), query) == values


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (b"size=0", "size"),
        (b"size=10", "size"),
        (b"size=five", "size"),
        (b"size=5&size=5", "size"),
        (b"name=abcd", "name"),
    ],
)
def test_what_breaks_its_schema_is_refused(query: bytes, name: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"^{name}: "):
        query_values(operation(SIZE, NAME), query)


def test_one_that_is_needed_is_missed() -> None:
    assert query_values(operation(NEEDED), b"id=-3") == {"id": -3}
    with pytest.raises(InvalidArgument, match=r"^id: the query parameter is missing"):
        query_values(operation(NEEDED), b"size=5")


def test_an_operation_without_any_looks_at_none() -> None:
    assert query_values(operation(), b"size=x&size=x") == {}


def test_a_type_that_nothing_here_reads_is_an_error_at_the_start() -> None:
    with pytest.raises(SchemaError, match="size"):
        operation({"name": "size", "in": "query", "schema": {"type": "array"}})


@pytest.mark.parametrize(
    ("page", "size", "total", "links"),
    [
        (1, 5, 0, "first=1 last=1"),
        (1, 5, 5, "first=1 last=1"),
        (1, 5, 6, "first=1 next=2 last=2"),
        (2, 5, 6, "first=1 prev=1 last=2"),
        (2, 1, 3, "first=1 prev=1 next=3 last=3"),
        (2147483647, 100, 1, "first=1 prev=1 last=1"),
    ],
)
def test_links_lead_to_pages_that_are_there(page: int, size: int, total: int, links: str) -> None:
    expected = (link.split("=") for link in links.split())
    headers = page_headers(page, size, total)
    assert headers == {
        "X-Total-Count": str(total),
        "Link": ", ".join(f'<?page={number}&perPage={size}>; rel="{name}"' for name, number in expected),
    }
