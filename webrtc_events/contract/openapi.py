"""An OpenAPI document as the service applies it: its operations, with all their schemas compiled."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlsplit

from webrtc_events.contract.discriminators import SchemaError, checked_schemas, json_schema
from webrtc_events.contract.schema_members import known_members
from webrtc_events.contract.unknown_members import MemberRules
from webrtc_events.contract.validators import Validator

__all__ = ["METHODS", "Contract", "Operation", "QueryParameter", "resolved"]

# Of items that any number of which make an array.
_ANY_NUMBER = {"type": "array", "minItems": 0}

_QUERY_TYPES = ("integer", "string")

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(frozen=True, slots=True)
class QueryParameter:
    """One parameter behind the `?`. `default` None: a request without it has no value for it."""

    validator: Validator = field(repr=False)
    is_integer: bool
    required: bool
    default: Any


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a contract, with everything compiled that its requests are held to.

    `bodies` maps a request's media type to its validator and `responses` a status, such as
    "201", to the validators of its media types. `parameters` are those of the path, `query` those behind `?`.
    `left_to_use_case` has path and rule of faults of a body that the use case has another error for.
    """

    id: str
    path: str
    method: str
    scopes: frozenset[str]
    parameters: Mapping[str, Validator] = field(repr=False)
    query: Mapping[str, QueryParameter] = field(repr=False)
    bodies: Mapping[str, Validator] = field(repr=False)
    body_required: bool
    responses: Mapping[str, Mapping[str, Validator]] = field(repr=False)
    left_to_use_case: frozenset[tuple[str, str]] = frozenset()


class Contract:
    """One OpenAPI document.

    `document` is what requests, responses and callbacks are held to. `reference` is the
    same for readers: it also tells of the departures that the schemas do not show.
    `base_path` is the path of the document's server, such as `/webrtc-events/v0.2`.
    `strict_bodies`: a member of a request's body that the document does not know is a fault, at any depth.
    `left_to_use_case`: see `Operation`.
    """

    def __init__(
        self,
        document: dict[str, Any],
        reference: dict[str, Any] | None = None,
        *,
        strict_bodies: bool = False,
        left_to_use_case: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.document = document
        self._strict_bodies = strict_bodies
        self._left_to_use_case = frozenset(left_to_use_case)
        self.reference = reference or document
        self.base_path = urlsplit(document["servers"][0]["url"].replace("{apiRoot}", "")).path
        self._schemas = checked_schemas(document["components"]["schemas"])
        self._compiled: dict[str, Validator] = {}

    @cached_property
    def operations(self) -> dict[str, Operation]:
        """By their ids. Who only builds notifications needs none of them compiled."""
        return {operation.id: operation for operation in self._operations()}

    def validator(self, schema_name: str) -> Validator:
        """Of a schema under `components.schemas`.

        Raises:
            KeyError: there is no such schema.
        """
        if schema_name not in self._schemas:
            raise KeyError(schema_name)
        return self.validator_for({"$ref": f"#/components/schemas/{schema_name}"})

    def validator_for(self, schema: Mapping[str, Any]) -> Validator:
        """Of a schema that may refer to `components.schemas`; equal ones are compiled once."""
        key = json.dumps(schema, sort_keys=True)
        validator = self._compiled.get(key)
        if validator is None:
            validator = self._compiled[key] = self._compile(schema)
        return validator

    def _compile(self, schema: Mapping[str, Any], members: MemberRules | None = None) -> Validator:
        plain = json_schema(dict(schema))
        root = {**plain, "components": {"schemas": self._schemas}}
        return Validator(root, partial(self._known_members, plain), self._items(schema), members)

    def _body_validator(self, schema: Mapping[str, Any]) -> Validator:
        if not self._strict_bodies:
            return self.validator_for(schema)
        return self._compile(schema, MemberRules(schema, self.document["components"]["schemas"]))

    def _items(self, schema: Mapping[str, Any]) -> Validator | None:
        """The validator of an array's items, if its schema says nothing else but how many there may be."""
        said = {name: value for name, value in schema.items() if name not in ("items", "maxItems")}
        says_no_more = "items" in schema and said in ({"type": "array"}, _ANY_NUMBER)
        return self.validator_for(schema["items"]) if says_no_more else None

    def _known_members(self, schema: Mapping[str, Any], path: Sequence[str | int]) -> frozenset[str] | None:
        return known_members(schema, self._reference_schemas, path)

    @cached_property
    def _reference_schemas(self) -> dict[str, Any]:
        """Those with the members that the departures add."""
        return checked_schemas(self.reference["components"]["schemas"])

    def _operations(self) -> Iterator[Operation]:
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield self._operation(path, method, item)

    def _operation(self, path: str, method: str, item: Mapping[str, Any]) -> Operation:
        definition = item[method]
        body = self._resolved(definition.get("requestBody", {}))
        parameters = [
            self._resolved(parameter)
            for parameter in [*item.get("parameters", []), *definition.get("parameters", [])]
        ]
        return Operation(
            id=definition["operationId"],
            path=path,
            method=method.upper(),
            scopes=frozenset(_scopes(definition.get("security", self.document.get("security", [])))),
            parameters={
                parameter["name"]: self.validator_for(parameter["schema"])
                for parameter in parameters
                if parameter["in"] == "path"
            },
            query={
                parameter["name"]: self._query_parameter(parameter)
                for parameter in parameters
                if parameter["in"] == "query"
            },
            bodies={
                media_type: self._body_validator(content["schema"])
                for media_type, content in body.get("content", {}).items()
            },
            body_required=body.get("required", False),
            responses={
                status: self._contents(self._resolved(response))
                for status, response in definition["responses"].items()
            },
            left_to_use_case=self._left_to_use_case,
        )

    def _query_parameter(self, parameter: Mapping[str, Any]) -> QueryParameter:
        schema = self._resolved(parameter["schema"])
        if schema.get("type") not in _QUERY_TYPES:
            raise SchemaError(
                f"{parameter['name']}: a query parameter is one of {', '.join(_QUERY_TYPES)} here"
            )
        return QueryParameter(
            self.validator_for(parameter["schema"]),
            is_integer=schema["type"] == "integer",
            required=parameter.get("required", False),
            default=schema.get("default"),
        )

    def _contents(self, part: Mapping[str, Any]) -> dict[str, Validator]:
        return {
            media_type: self.validator_for(content["schema"])
            for media_type, content in part.get("content", {}).items()
        }

    def _resolved(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        return resolved(self.document, part)


def resolved(document: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    """`part`, or what it refers to in `document`.

    Raises:
        KeyError: the reference names nothing, or itself.
    """
    seen: set[str] = set()
    while "$ref" in part:
        ref: str = part["$ref"]
        if ref in seen:
            raise KeyError(ref)
        seen.add(ref)
        node: Any = document
        for step in ref.removeprefix("#/").split("/"):
            node = node[step.replace("~1", "/").replace("~0", "~")]
        part = node
    return part


def _scopes(requirements: list[Mapping[str, list[str]]]) -> Iterator[str]:
    for requirement in requirements:
        for scopes in requirement.values():
            yield from scopes
