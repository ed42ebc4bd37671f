"""The API contracts, and the compiled validators of their schemas."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.resources import files
from typing import Any, ClassVar
from urllib.parse import urlsplit

import jsonschema_rs
import yaml

from webrtc_events.contract.discriminators import checked_schemas, json_schema
from webrtc_events.contract.faults import Fault, KnownMembers, faults_of, is_large
from webrtc_events.contract.overlay import apply_overlay
from webrtc_events.contract.schema_members import known_members
from webrtc_events.contract.strict_json import parse_json

__all__ = [
    "METHODS",
    "Contract",
    "Fault",
    "Operation",
    "Validator",
    "load_network",
    "load_next",
    "load_public",
    "parse_json",
    "read_document",
    "resolved",
]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class Validator:
    """A compiled schema; formats are checked. Safe to share between threads.

    `known` tells the members that a fault compares names with.
    """

    def __init__(self, schema: Mapping[str, Any], known: KnownMembers = lambda _: None) -> None:
        self._known = known
        self._compiled = jsonschema_rs.Draft202012Validator(
            dict(schema), validate_formats=True, mask="the value"
        )

    def is_valid(self, instance: Any) -> bool:
        return self._compiled.is_valid(instance)

    def first_fault(self, instance: Any) -> Fault | None:
        """None: the instance is valid."""
        if self._compiled.is_valid(instance):
            return None
        return next(self.faults(instance), None)

    def faults(self, instance: Any) -> Iterator[Fault]:
        """Every fault, in the schema's order; of a very large instance one.

        All errors are made before the first can be had, which takes seconds for 100,000 of them.
        """
        return faults_of(self._errors(instance), instance, self._known)

    def _errors(self, instance: Any) -> Iterable[jsonschema_rs.ValidationError]:
        if not is_large(instance):
            return self._compiled.iter_errors(instance)
        try:
            self._compiled.validate(instance)
        except jsonschema_rs.ValidationError as error:
            return [error]
        return []


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a contract, with everything compiled that its requests are held to.

    `bodies` maps a request's media type to its validator and `responses` a status, such as
    "201", to the validators of its media types. `parameters` are those of the path.
    """

    id: str
    path: str
    method: str
    scopes: frozenset[str]
    parameters: Mapping[str, Validator] = field(repr=False)
    bodies: Mapping[str, Validator] = field(repr=False)
    body_required: bool
    responses: Mapping[str, Mapping[str, Validator]] = field(repr=False)


class Contract:
    """One OpenAPI document.

    `document` is what requests, responses and callbacks are held to. `reference` is the
    same for readers: it also tells of the departures that the schemas do not show.
    `base_path` is the path of the document's server, such as `/webrtc-events/v0.2`.
    """

    def __init__(self, document: dict[str, Any], reference: dict[str, Any] | None = None) -> None:
        self.document = document
        self.reference = reference or document
        self.base_path = urlsplit(document["servers"][0]["url"].replace("{apiRoot}", "")).path
        self._schemas = checked_schemas(document["components"]["schemas"])
        self._compiled: dict[str, Validator] = {}
        self.operations = {operation.id: operation for operation in self._operations()}

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
            plain = json_schema(dict(schema))
            root = {**plain, "components": {"schemas": self._schemas}}
            known = partial(self._known_members, plain)
            validator = self._compiled[key] = Validator(root, known)
        return validator

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
        return Operation(
            id=definition["operationId"],
            path=path,
            method=method.upper(),
            scopes=frozenset(_scopes(definition.get("security", self.document.get("security", [])))),
            parameters=self._path_parameters(
                [*item.get("parameters", []), *definition.get("parameters", [])]
            ),
            bodies=self._contents(body),
            body_required=body.get("required", False),
            responses={
                status: self._contents(self._resolved(response))
                for status, response in definition["responses"].items()
            },
        )

    def _path_parameters(self, definitions: list[Mapping[str, Any]]) -> dict[str, Validator]:
        resolved = [self._resolved(definition) for definition in definitions]
        return {each["name"]: self.validator_for(each["schema"]) for each in resolved if each["in"] == "path"}

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


def load_public(*, strict_cloudevents: bool = False, by_client: bool = False) -> Contract:
    """The API of the subscribers, webrtc-events.yaml.

    `strict_cloudevents` applies the departures of errata.yaml that say so. `by_client`: readers are
    told that some clients get that form, though this is not the document of it.
    """
    document = _load("webrtc-events.yaml")
    if strict_cloudevents:
        document = apply_overlay(document, _departures("strict-cloudevents"))
    told = _departures("always-documented")
    if by_client:
        told += _departures("strict-cloudevents-by-client")
    return Contract(document, apply_overlay(document, told))


def load_next() -> Contract:
    """The API of the subscribers as its next release will have it, webrtc-events-next.yaml.

    Its form of session-status is the strict one by itself; the other departures hold for it too.
    """
    document = _load("webrtc-events-next.yaml")
    return Contract(document, apply_overlay(document, _departures("always-documented")))


def load_network() -> Contract:
    """The API of the gateways, network-events.yaml."""
    return Contract(_load("network-events.yaml"))


def _departures(when: str) -> list[dict[str, Any]]:
    """The actions of errata.yaml that apply then."""
    return [action for action in _load("errata.yaml")["actions"] if action["x-applies"] == when]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Leaves timestamps as the strings that JSON has for them."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_document(text: str) -> Any:
    """What a YAML or JSON text holds; timestamps stay strings.

    Raises:
        yaml.YAMLError: it is neither.
    """
    return yaml.load(text, _Loader)  # noqa: S506 (a safe loader)


def _load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = read_document((files("webrtc_events") / "spec" / name).read_text("utf-8"))
    return document


def _scopes(requirements: list[Mapping[str, list[str]]]) -> Iterator[str]:
    for requirement in requirements:
        for scopes in requirement.values():
            yield from scopes
