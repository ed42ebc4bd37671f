"""The documents in spec/ as plain data, and what the tests ask of them.

The discriminators are expanded and the overlay is applied here, by code that is not the service's, so that a
fault in the service's loader cannot hide a fault in the documents.
"""

import copy
import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from jsonschema import Draft202012Validator, FormatChecker

SPEC = Path(__file__).parents[2] / "spec"
PUBLIC, NETWORK, ERRATA = "webrtc-events.yaml", "network-events.yaml", "errata.yaml"
SUBSCRIPTIONS, SUBSCRIPTIONS_ERRATA = "webrtc-events-subscriptions.yaml", "errata-subscriptions.yaml"
CHANNELS = "channels.yaml"
OPERATOR = "operator-events.yaml"
DOCUMENTS = (PUBLIC, NETWORK, SUBSCRIPTIONS, CHANNELS, OPERATOR)
METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
A_TIME = "2024-11-05T05:40:23Z"
WIRE_FINGERPRINT = "535874406abdddf5aa6cc16f639a0faca86a82c18b5ec1b2a899b5fa139b9d86"
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


def operations(document: dict[str, Json]) -> Iterator[tuple[str, dict[str, Json]]]:
    """Callbacks included."""
    for path, node in nodes({"paths": document["paths"]}):
        if path[-1:] and path[-1] in METHODS and isinstance(node, dict):
            yield "/".join(path), node


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


STEP = re.compile(r"\.(\w+)|\['([^']+)'\]|\[(\d+)\]")


def actions(*modes: str) -> list[dict[str, Json]]:
    return [action for action in load(ERRATA)["actions"] if action["x-applies"] in modes]


def applied(*modes: str) -> dict[str, Json]:
    """The public document with the overlay's actions of these modes; a missing target is a KeyError."""
    return overlaid(load(PUBLIC), actions(*modes))


def overlaid(document: dict[str, Json], actions: list[dict[str, Json]]) -> dict[str, Json]:
    """The document itself, changed."""
    for action in actions:
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
