"""Members that a request body may not have, at any depth: unknown ones, and those for answers alone.

`additionalProperties: false` does not cross `allOf`: it looks at the properties beside it alone. So what an
object may hold is gathered once from all schemas that say something of it, and of a discriminator's children
from the one that the body's value chooses. Where schemas say nothing of names, or allow any, they stay free;
but a property that is read only is for answers alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from webrtc_events.contract.faults import Fault, read_only_fault, unknown_fault

__all__ = ["MemberRules"]

Schema = Mapping[str, Any]

_REF = "#/components/schemas/"
_LISTS = ("allOf", "anyOf", "oneOf")


class MemberRules:
    """What the schema of a body says of its members' names. Safe to share between threads.

    `schemas` are those that it refers to, as the OpenAPI document has them.
    """

    def __init__(self, schema: Schema, schemas: Mapping[str, Schema]) -> None:
        self._place = _Place(_parts(schema, schemas), schemas)

    def faults(self, body: Any) -> Iterator[Fault]:
        """One for each object with members that are not known, and one for each with read-only ones."""
        return self._place.faults(body, ())


class _Place:
    """One place in a body. `parts` are all schemas that hold for the value there."""

    def __init__(self, parts: Sequence[Schema], schemas: Mapping[str, Schema]) -> None:
        self._parts = parts
        self._schemas = schemas
        self._chosen: dict[tuple[str, str], _Place] = {}
        self._members: dict[str, _Place | None] = {}

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(
            name
            for part in self._parts
            for name, member in part.get("properties", {}).items()
            if not member.get("readOnly")
        )

    @cached_property
    def _read_only(self) -> frozenset[str]:
        """As one schema marks them, unless another has them for requests too."""
        return (
            frozenset(
                name
                for part in self._parts
                for name, member in part.get("properties", {}).items()
                if member.get("readOnly")
            )
            - self._names
        )

    @cached_property
    def _is_open(self) -> bool:
        rules = [part["additionalProperties"] for part in self._parts if "additionalProperties" in part]
        return any(rule is not False for rule in rules) or not (self._names or rules)

    @cached_property
    def _items(self) -> "_Place | None":
        return self._below(part["items"] for part in self._parts if "items" in part)

    @cached_property
    def _others(self) -> "_Place | None":
        """Of the members that have any name."""
        rules = (part.get("additionalProperties") for part in self._parts)
        return self._below(rule for rule in rules if isinstance(rule, dict))

    @cached_property
    def _selectors(self) -> Sequence[tuple[str, Mapping[str, str]]]:
        """The property that each discriminator looks at, and what it maps the values to."""
        found = [part["discriminator"] for part in self._parts if "discriminator" in part]
        return [(discriminator["propertyName"], discriminator.get("mapping", {})) for discriminator in found]

    def faults(self, value: Any, path: tuple[str | int, ...]) -> Iterator[Fault]:
        if isinstance(value, list):
            if self._items is not None:
                for index, item in enumerate(value):
                    yield from self._items.faults(item, (*path, index))
        elif isinstance(value, dict):
            place = self._narrowed(value)
            if place is not None:
                yield from place._faults_of_object(value, path)

    def _faults_of_object(self, value: Mapping[str, Any], path: tuple[str | int, ...]) -> Iterator[Fault]:
        if not self._is_open:
            unknown = [name for name in value if name not in self._names | self._read_only]
            if unknown:
                yield unknown_fault(path, unknown)
        if read_only := [name for name in value if name in self._read_only]:
            yield read_only_fault(path, read_only)
        # Of a map with any number of members none is looked at without a reason.
        names = self._names.intersection(value) if self._others is None else value
        for name in names:
            member = self._member(name) if name in self._names else self._others
            if member is not None:
                yield from member.faults(value[name], (*path, name))

    def _narrowed(self, value: Mapping[str, Any]) -> "_Place | None":
        """With the schemas that the value's discriminators choose; None: there is none, a fault by itself."""
        for selector, mapping in self._selectors:
            key = value.get(selector)
            if not isinstance(key, str) or key not in mapping:
                return None
            chosen = self._with(selector, key, mapping[key])
            if chosen is not self:
                return chosen._narrowed(value)
        return self

    def _with(self, selector: str, key: str, ref: str) -> "_Place":
        """Itself, if the schema is there already: a child includes what it inherits from."""
        chosen = self._chosen.get((selector, key))
        if chosen is None:
            known = {id(part) for part in self._parts}
            more = [part for part in _parts({"$ref": ref}, self._schemas) if id(part) not in known]
            chosen = _Place([*self._parts, *more], self._schemas) if more else self
            self._chosen[selector, key] = chosen
        return chosen

    def _member(self, name: str) -> "_Place | None":
        """None: nothing below it is looked at."""
        if name not in self._members:
            schemas = (part["properties"][name] for part in self._parts if name in part.get("properties", {}))
            self._members[name] = self._below(schemas)
        return self._members[name]

    def _below(self, schemas: Iterable[Schema]) -> "_Place | None":
        parts = [part for schema in schemas for part in _parts(schema, self._schemas)]
        says_something = any(
            keyword in part for part in parts for keyword in ("properties", "items", "additionalProperties")
        )
        return _Place(parts, self._schemas) if says_something else None


def _parts(schema: Schema, schemas: Mapping[str, Schema]) -> list[Schema]:
    """The schema and all that it is made of, each once."""
    found: list[Schema] = []
    pending = [schema]
    while pending:
        part = pending.pop()
        if "$ref" in part:
            pending.append(schemas[part["$ref"].removeprefix(_REF)])
        elif not any(part is one for one in found):
            found.append(part)
            pending += [branch for keyword in _LISTS for branch in part.get(keyword, [])]
    return found
