"""Which members a schema knows of an object somewhere inside an instance."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["known_members"]

Schema = Mapping[str, Any]

_REF = "#/components/schemas/"
_LISTS = ("allOf", "anyOf", "oneOf")
_SINGLE = ("then", "else")


def known_members(
    schema: Schema, schemas: Mapping[str, Schema], path: Sequence[str | int]
) -> frozenset[str] | None:
    """Of the object at `path`: every name that some part of `schema` has a property for.

    `schemas` are those that it refers to. None: no part says anything of names, so they may be any.
    """
    parts = list(_parts(schema, schemas, set()))
    for step in path:
        parts = [
            part
            for part in parts
            for child in _children(part, step)
            for part in _parts(child, schemas, set())
        ]
    names = [part["properties"].keys() for part in parts if "properties" in part]
    return frozenset().union(*names) if names else None


def _parts(schema: Schema, schemas: Mapping[str, Schema], seen: set[str]) -> Iterator[Schema]:
    """The schema, and all that says something of the same value."""
    ref = str(schema.get("$ref", "")).removeprefix(_REF)
    if ref:
        if ref not in seen and ref in schemas:
            seen.add(ref)
            yield from _parts(schemas[ref], schemas, seen)
        return
    yield schema
    for keyword in _LISTS:
        for branch in schema.get(keyword, []):
            yield from _parts(branch, schemas, seen)
    for keyword in _SINGLE:
        if keyword in schema:
            yield from _parts(schema[keyword], schemas, seen)


def _children(schema: Schema, step: str | int) -> Iterator[Schema]:
    found = schema.get("items") if isinstance(step, int) else schema.get("properties", {}).get(step)
    if isinstance(found, dict):
        yield found
