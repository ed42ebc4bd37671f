"""A schema as the annotation of a parameter or of a result."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from webrtc_events.contract.openapi import resolved
from webrtc_events.stubs.stubs_error import StubsError

__all__ = ["Annotator"]

Schema = Mapping[str, Any]

_MAX_CHARACTERS = 60
"""A longer annotation would have to be broken into lines; it is Any."""

_SIMPLE = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "object": "dict[str, Any]",
}


class Annotator:
    """Names the generated types where there are some, and JSON's own types elsewhere.

    `types` maps the name of each generated type to the module that has it.
    """

    def __init__(self, document: Mapping[str, Any], types: Mapping[str, str]) -> None:
        self._document = document
        self._types = types

    def union(self, schemas: Iterable[Schema], *, none: bool = False) -> str:
        """Of values that follow any of `schemas`; `none` adds None.

        Raises:
            StubsError: a reference names nothing.
        """
        parts = dict.fromkeys(part for schema in schemas for part in self._parts(schema, frozenset()))
        named = [part for part in parts if part != "None"]
        union = " | ".join([*named, "None"] if none or "None" in parts else named)
        return "Any" if "Any" in parts or len(union) > _MAX_CHARACTERS else union

    def imports(self, annotation: str) -> set[tuple[str, str]]:
        """Module and name of what `annotation` needs."""
        known = {**self._types, "Any": "typing"}
        return {(known[name], name) for name in re.findall(r"\w+", annotation) if name in known}

    def _parts(self, schema: Schema, seen: frozenset[str]) -> list[str]:
        if "$ref" in schema:
            return self._referred(schema, seen)
        if schema.get("nullable"):
            plain = {keyword: value for keyword, value in schema.items() if keyword != "nullable"}
            return [*self._parts(plain, seen), "None"]
        for choice in ("oneOf", "anyOf"):
            if choice in schema:
                return [part for chosen in schema[choice] for part in self._parts(chosen, seen)]
        if len(schema.get("allOf", [])) == 1:
            return self._parts(schema["allOf"][0], seen)
        if schema.get("type") == "array":
            items = self._parts(schema.get("items", {}), seen)
            return [f"list[{' | '.join(dict.fromkeys(items))}]"]
        return [_SIMPLE.get(schema.get("type", ""), "Any")]

    def _referred(self, schema: Schema, seen: frozenset[str]) -> list[str]:
        ref: str = schema["$ref"]
        if ref in seen:
            return ["Any"]
        try:
            target = resolved(self._document, schema)
        except (KeyError, TypeError) as error:
            raise StubsError(f"{ref} names nothing in the document") from error
        name = _only_heir(target) or ref.rpartition("/")[2]
        return [name] if name in self._types else self._parts(target, seen | {ref})


def _only_heir(schema: Schema) -> str | None:
    """A value of a schema whose discriminator maps to one other is always of that one."""
    heirs = {ref.rpartition("/")[2] for ref in schema.get("discriminator", {}).get("mapping", {}).values()}
    return heirs.pop() if len(heirs) == 1 else None
