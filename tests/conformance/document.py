"""The contracts in the form that Schemathesis checks to the full: a copy, used by these tests alone.

The wire contract stays the same. What changes is how it is said:

- A discriminator's children become a `oneOf`, each built on the renamed base and, where there are
  several, held to its values; Schemathesis does not follow a mapping from the base to its children.
- The security scheme becomes `http` `bearer`: to `openIdConnect` the check `ignored_auth` is inert.
- The optional parameter x-correlator can be left out: while it is declared, a stateful step has
  parameters that no link fills, and the check `ensure_resource_availability` is inert.
- Every answer's header x-correlator is required, which the prose says and `headers` leaves open:
  to an optional header `response_headers_conformance` is inert.
- An example misspells a required property; it is mended. (That the times in the examples have
  passed is seen to in rules.py.)
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

__all__ = ["conformance_document"]

_REF = "#/components/schemas/"
_CORRELATOR = {"$ref": "#/components/parameters/x-correlator"}


def conformance_document(contract: dict[str, Any], *, correlator: bool) -> dict[str, Any]:
    """`correlator`: whether requests may carry x-correlator."""
    document = copy.deepcopy(contract)
    schemas = document["components"]["schemas"]
    for name in [name for name, schema in schemas.items() if "discriminator" in schema]:
        _as_one_of(schemas, name)
    document["components"]["securitySchemes"]["openId"] = {"type": "http", "scheme": "bearer"}
    document["components"]["headers"]["x-correlator"]["required"] = True
    for operation in _operations(document):
        operation.pop("callbacks", None)
        # Only OAuth 2 and OpenID Connect know scopes.
        operation["security"] = [{name: [] for name in requirement} for requirement in operation["security"]]
        if not correlator:
            operation["parameters"] = [
                parameter for parameter in operation["parameters"] if parameter != _CORRELATOR
            ]
    return _with_mended_example(document)


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in document["paths"].values():
        yield from (operation for operation in item.values() if "operationId" in operation)


def _as_one_of(schemas: dict[str, Any], name: str) -> None:
    base = schemas[name]
    discriminator = base.pop("discriminator")
    mapping: dict[str, str] = discriminator["mapping"]
    children = sorted(set(mapping.values()))
    schemas[f"{name}Base"] = base
    for child in children:
        parts = schemas[child.removeprefix(_REF)]["allOf"]
        parts[parts.index({"$ref": _REF + name})] = {"$ref": f"{_REF}{name}Base"}
        if len(children) > 1:
            # The values that stand for it, which the mapping alone says.
            values = [value for value, to in mapping.items() if to == child]
            parts.append({"properties": {discriminator["propertyName"]: {"enum": values}}})
    schemas[name] = {"oneOf": [{"$ref": child} for child in children]}


def _with_mended_example(document: dict[str, Any]) -> dict[str, Any]:
    """Departure 3 in spec/errata.yaml."""
    text = json.dumps(document)
    mended: dict[str, Any] = json.loads(text.replace("accessTokenExpireUtc", "accessTokenExpiresUtc"))
    return mended
