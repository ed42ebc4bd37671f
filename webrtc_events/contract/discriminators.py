"""Turns the schemas of an OpenAPI 3.0 document into JSON Schema 2020-12 that checks discriminators.

OpenAPI leaves it to tools to look a discriminator's value up in its mapping, and validators
do not. So each discriminated base becomes one `if`/`then` per mapping entry:

    Base       type: object, the property required and one of the mapping's keys,
               allOf: Base.base, and for each entry  if property = key then child
    Base.base  what the document says of Base
    child      as before, but what it inherits is Base.base, or the two would never end

Faults then carry the exact JSON path of the value that breaks a rule.
"""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["SchemaError", "checked_schemas", "json_schema"]

Schema = dict[str, Any]

_REF = "#/components/schemas/"
_LISTS = ("allOf", "anyOf", "oneOf")
_SINGLE = ("items", "not", "additionalProperties")


class SchemaError(ValueError):
    """A schema of OpenAPI 3.0 that would lose its meaning in the translation."""


def checked_schemas(schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """`components.schemas` of a document, translated, discriminators included.

    Raises:
        SchemaError: a discriminator without mapping or outside a named schema, or
            boolean exclusive limits.
    """
    checked = {name: json_schema(schema, top=True) for name, schema in schemas.items()}
    for name, schema in schemas.items():
        if "discriminator" in schema:
            _expand(name, schema["discriminator"], checked)
    return checked


def json_schema(schema: Schema, *, top: bool = False) -> Schema:
    """One schema in JSON Schema 2020-12; `top` allows a discriminator, which is left out.

    In OpenAPI 3.0 whatever stands beside `$ref` is ignored, in 2020-12 it counts.
    """
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    if "discriminator" in schema and not top:
        raise SchemaError("a discriminator outside the named schemas")
    if isinstance(schema.get("exclusiveMinimum"), bool) or isinstance(schema.get("exclusiveMaximum"), bool):
        raise SchemaError("a boolean exclusiveMinimum or exclusiveMaximum")
    translated = {keyword: _keyword(keyword, value) for keyword, value in schema.items()}
    for keyword in ("discriminator", "description", "title", "example", "nullable"):
        translated.pop(keyword, None)
    if schema.get("nullable"):
        return {"anyOf": [translated, {"type": "null"}]}
    return translated


def _keyword(keyword: str, value: Any) -> Any:
    if keyword == "properties":
        return {name: json_schema(schema) for name, schema in value.items()}
    if keyword in _LISTS:
        return [json_schema(schema) for schema in value]
    if keyword in _SINGLE and isinstance(value, dict):
        return json_schema(value)
    return value


def _expand(name: str, discriminator: Mapping[str, Any], schemas: dict[str, Schema]) -> None:
    mapping: Mapping[str, str] = discriminator.get("mapping", {})
    if not mapping:
        raise SchemaError(f"{name}: a discriminator without mapping")
    base = f"{name}.base"
    schemas[base] = schemas[name]
    for heir in _heirs(mapping.values(), schemas):
        _inherit(schemas[heir], _REF + name, _REF + base)
    selector = discriminator["propertyName"]
    schemas[name] = {
        "type": "object",
        "required": [selector],
        "properties": {selector: {"enum": list(mapping)}},
        "allOf": [{"$ref": _REF + base}, *(_branch(selector, key, ref) for key, ref in mapping.items())],
    }


def _heirs(refs: Any, schemas: Mapping[str, Schema]) -> Iterator[str]:
    """The mapped schemas, and what they inherit from in turn."""
    pending = list(refs)
    seen: set[str] = set()
    while pending:
        name = pending.pop().removeprefix(_REF)
        if name in seen or name not in schemas:
            continue
        seen.add(name)
        yield name
        pending += [part["$ref"] for part in schemas[name].get("allOf", []) if "$ref" in part]


def _inherit(schema: Schema, name: str, base: str) -> None:
    for part in schema.get("allOf", []):
        if part.get("$ref") == name:
            part["$ref"] = base


def _branch(selector: str, key: str, ref: str) -> Schema:
    return {
        "if": {"required": [selector], "properties": {selector: {"const": key}}},
        "then": {"$ref": ref},
    }
