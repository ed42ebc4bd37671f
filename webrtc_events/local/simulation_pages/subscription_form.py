"""The form of a subscription, made from the contract: a field for each value of a request."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from webrtc_events.contract.openapi import Contract, resolved
from webrtc_events.local.simulation.form_fields import FormErrors

__all__ = ["FieldKind", "FormField", "SubscriptionForm"]

_SCHEMA = "HTTPSubscriptionRequest"
_REF = "#/components/schemas/"
_BOOLEANS = ("false", "true")
# A field's example is shown in it: not longer than the field.
_MAX_EXAMPLE = 60

_Path = tuple[str, ...]


class FieldKind(StrEnum):
    """Values of HTML: an input's type, or a select."""

    TEXT = "text"
    NUMBER = "number"
    SELECT = "select"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """A value of the request at `path`, such as `config.subscriptionDetail.registrationId`.

    `is_required`: a request without it is never valid. `is_aside`: it is in an object that may be left out.
    `choices` are the values of a select, with what is shown for each. `wraps`: the value is the only item of
    an array.
    """

    path: _Path
    description: str
    kind: FieldKind
    is_required: bool
    is_aside: bool
    choices: tuple[tuple[str, str], ...] = ()
    example: str = ""
    minimum: int | None = None
    wraps: bool = False

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def label(self) -> str:
        return self.path[-1]

    def value(self, raw: str) -> Any:
        """
        Raises:
            ValueError: `raw` is no number where one is asked for.
        """
        if self.kind is FieldKind.NUMBER:
            return int(raw)
        if self.choices and {choice for choice, _ in self.choices} <= set(_BOOLEANS):
            return raw == "true"
        return [raw] if self.wraps else raw


@dataclass(frozen=True, slots=True)
class SubscriptionForm:
    """`constants` are values that the contract leaves no choice for, by their paths."""

    fields: tuple[FormField, ...]
    constants: Mapping[_Path, str]

    @classmethod
    def of(cls, contract: Contract) -> "SubscriptionForm":
        """Values of which there may be any number, such as headers, have no field."""
        found = list(_walk(contract, {"$ref": f"{_REF}{_SCHEMA}"}, _Place()))
        fields = [field for field in found if isinstance(field, FormField)]
        # What is needed comes first, in the order of the contract.
        fields.sort(key=lambda field: (field.is_aside, not field.is_required))
        return cls(tuple(fields), dict(pair for pair in found if not isinstance(pair, FormField)))

    def request(self, form: Mapping[str, str]) -> dict[str, Any]:
        """The body of the request that creates the subscription; the service checks the rest.

        Raises:
            FormErrors: a field has what cannot be written as its value.
        """
        request: dict[str, Any] = {}
        faults: dict[str, str] = {}
        for field in self.fields:
            if raw := form.get(field.name, "").strip():
                try:
                    _put(request, field.path, field.value(raw))
                except ValueError:
                    faults[field.name] = "must be a whole number"
        if faults:
            raise FormErrors(faults)
        for path, constant in self.constants.items():
            if len(path) == 1 or path[0] in request:
                _put(request, path, constant)
        return request

    def faults(self, message: str) -> dict[str, str]:
        """What the service says is wrong, `$.config.subscriptionDetail: …`, by the field that it is about.

        The name is empty where it is about none, or about several.
        """
        place, colon, words = message.partition(": ")
        path = place.removeprefix("$.").partition("[")[0]
        named = [
            field.name for field in self.fields if field.name == path or field.name.startswith(f"{path}.")
        ]
        if colon and place.startswith("$.") and len(named) == 1:
            return {named[0]: words}
        return {"": message}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a schema stands in the request."""

    path: _Path = ()
    is_required: bool = True
    is_aside: bool = False


def _walk(
    contract: Contract, given: Mapping[str, Any], place: _Place
) -> Iterator[FormField | tuple[_Path, str]]:
    """The fields of a schema, and the constants with their paths."""
    schema = _merged(contract, given)
    if schema.get("type") == "object":
        required = schema.get("required", ())
        for name, member in schema.get("properties", {}).items():
            inside = _Place(
                path=(*place.path, name),
                is_required=place.is_required and name in required,
                is_aside=place.is_aside or (bool(place.path) and not place.is_required),
            )
            yield from _walk(contract, member, inside)
    elif schema.get("type") == "array":
        yield from _single(contract, schema, place)
    elif len(schema.get("enum", ())) == 1:
        yield place.path, schema["enum"][0]
    else:
        yield _field(schema, place)


def _single(contract: Contract, schema: Mapping[str, Any], place: _Place) -> Iterator[FormField]:
    if schema.get("maxItems") == 1:
        item = _merged(contract, schema["items"])
        yield _field({**item, "description": schema.get("description", "")}, place, wraps=True)


def _merged(contract: Contract, given: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with all that it refers to, its only kind in place of the base that names it."""
    schema = dict(resolved(contract.document, given))
    mapping = schema.get("discriminator", {}).get("mapping", {})
    if len(mapping) == 1:
        (kind,) = mapping.values()
        child = resolved(contract.document, {"$ref": kind})
        own = [part for part in child.get("allOf", ()) if resolved(contract.document, part) != schema]
        schema = _joined([schema, *(_merged(contract, part) for part in own)])
    parts = [dict(resolved(contract.document, part)) for part in schema.pop("allOf", ())]
    return _joined([*(_joined([part]) for part in parts), schema])


def _joined(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    joined: dict[str, Any] = {}
    for schema in schemas:
        properties = {**joined.get("properties", {}), **schema.get("properties", {})}
        required = [*joined.get("required", ()), *schema.get("required", ())]
        joined = {**joined, **schema, "properties": properties, "required": required}
    return joined


def _field(schema: Mapping[str, Any], place: _Place, *, wraps: bool = False) -> FormField:
    kinds = {"integer": FieldKind.NUMBER, "boolean": FieldKind.SELECT}
    choices: tuple[str, ...] = tuple(schema.get("enum", ()))
    kind = FieldKind.SELECT if choices else kinds.get(schema.get("type", ""), FieldKind.TEXT)
    if kind is FieldKind.SELECT and not choices:
        choices = _BOOLEANS
    example = str(schema.get("example", ""))
    return FormField(
        path=place.path,
        description=" ".join(str(schema.get("description", "")).replace("`", "").split()),
        kind=kind,
        is_required=place.is_required,
        is_aside=place.is_aside,
        choices=tuple((choice, choice.rpartition(".")[2]) for choice in choices),
        example=example if len(example) <= _MAX_EXAMPLE else "",
        minimum=schema.get("minimum"),
        wraps=wraps,
    )


def _put(request: dict[str, Any], path: _Path, value: Any) -> None:
    place = request
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = value
