"""Validates notifications a second time: by openapi-core, independently of the service's validators.

The contract's discriminator of CloudEvent names its children, but validators do not follow it.
Here CloudEvent becomes a `oneOf` of these children, each built on the renamed base, which
says the same in a form that OpenAPI 3.0 validators check.
"""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Any, Self

import yaml
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from openapi_core.validation.request.exceptions import ParameterValidationError
from werkzeug.datastructures import Headers

__all__ = ["SecondValidator", "notifications_document", "of_devices_document", "operator_document"]

_PATH = "/notifications"
_MEDIA_TYPE = "application/cloudevents+json"
_REF = "#/components/schemas/"
_MAX_REASON = 300


class SecondValidator:
    """Validates notifications against the contract's callback. Threads may share it.

    `strict` expects the form of session-status that WEBRTC_EVENTS_STRICT_CLOUDEVENTS is for.
    """

    def __init__(self, *, strict: bool) -> None:
        self._openapi = _openapi(notifications_document(strict=strict))

    @classmethod
    def of_device_subscriptions(cls) -> Self:
        """Of what is sent to subscriptions of the next contract, 0.3."""
        return cls._of(of_devices_document())

    @classmethod
    def of_operator_events(cls) -> Self:
        """Of what is sent to the operator's own sink."""
        return cls._of(operator_document())

    @classmethod
    def _of(cls, document: dict[str, Any]) -> Self:
        validator = cls.__new__(cls)
        validator._openapi = _openapi(document)
        return validator

    def fault(self, headers: Iterable[tuple[str, str]], body: bytes) -> str | None:
        """Why the request is no valid notification, in a short line; None when it is valid."""
        try:
            _check_json(body)
        except (ValueError, RecursionError) as error:
            return f"the body is not JSON: {error}"[:_MAX_REASON]
        try:
            self._openapi.validate_request(_Notification(Headers(list(headers)), body))
        except OpenAPIError as error:
            return _reason(error)[:_MAX_REASON]
        return None


def notifications_document(*, strict: bool) -> dict[str, Any]:
    """The contract's callback as a separate OpenAPI document, its discriminator as `oneOf`."""
    document = _callback("webrtc-events.yaml")
    if strict:
        _require_in_data_only(document["components"]["schemas"]["EventSessionStatus"])
    return document


def of_devices_document() -> dict[str, Any]:
    """The callback of the next contract, in the same form."""
    return _callback("webrtc-events-subscriptions.yaml")


def _callback(name: str) -> dict[str, Any]:
    contract = _contract(name)
    (callback,) = contract["paths"]["/subscriptions"]["post"]["callbacks"]["notifications"].values()
    return _document(contract, callback["post"], "CloudEvent")


def operator_document() -> dict[str, Any]:
    """The webhook of operators, in the same form."""
    contract = _contract("operator-events.yaml")
    return _document(contract, contract["x-webhooks"]["operatorEvent"]["post"], "OperatorEvent")


def _openapi(document: dict[str, Any]) -> OpenAPI:
    config = Config(spec_validator_cls=None, extra_media_type_deserializers={_MEDIA_TYPE: json.loads})
    return OpenAPI.from_dict(document, config=config)


def _contract(name: str) -> dict[str, Any]:
    text = files("webrtc_events").joinpath("spec", name).read_bytes()
    contract: dict[str, Any] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    return contract


def _document(contract: dict[str, Any], operation: dict[str, Any], event: str) -> dict[str, Any]:
    components = copy.deepcopy(contract["components"])
    _as_one_of(components["schemas"], event)
    return {
        "openapi": contract["openapi"],
        "info": contract["info"],
        "paths": {_PATH: {"post": operation}},
        "components": components,
    }


def _as_one_of(schemas: dict[str, Any], name: str) -> None:
    base = schemas.pop(name)
    base_name = f"{name}Base"
    discriminator = base.pop("discriminator")
    schemas[base_name] = base
    children: list[str] = sorted(set(discriminator["mapping"].values()))
    for child in children:
        parts = schemas[child.removeprefix(_REF)]["allOf"]
        parts[parts.index({"$ref": _REF + name})] = {"$ref": _REF + base_name}
    schemas[name] = {"oneOf": [{"$ref": child} for child in children]}


def _require_in_data_only(schema: dict[str, Any]) -> None:
    """CloudEvents 1.0.2, 3.1: attribute names are lower-case letters and digits."""
    own = schema["allOf"][1]
    moved = own["required"]
    own["required"] = ["data"]
    own["not"] = {"anyOf": [{"required": [name]} for name in moved]}


class _Notification:
    """A received request in the form that openapi-core takes; every path of the sink is the same to it."""

    method = "post"
    host_url = ""
    path = _PATH

    def __init__(self, headers: Headers, body: bytes) -> None:
        self.parameters = RequestParameters(header=headers)
        self.content_type = headers.get("Content-Type", "").lower()
        self.body = body or None


def _check_json(body: bytes) -> None:
    """JSON as RFC 8259 has it; Python's own reader takes more.

    Raises:
        ValueError: also for NaN, infinities and repeated names.
        RecursionError: nested too deeply.
    """
    json.loads(body, parse_constant=_refuse_constant, object_pairs_hook=_unique)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is repeated in an object")
    return members


def _reason(error: BaseException) -> str:
    """The most specific of the nested errors: the schema's, else the last cause."""
    if isinstance(error, ParameterValidationError):
        return str(error)
    cause = error
    while not (details := list(getattr(cause, "schema_errors", ()))) and cause.__cause__ is not None:
        cause = cause.__cause__
    if not details:
        return " ".join(str(cause).split())
    return "; ".join(dict.fromkeys(_describe(leaf) for detail in details for leaf in _leaves(detail)))


def _leaves(error: Any) -> Iterator[Any]:
    """The errors below a failed `oneOf`, of the branch that the event's type chose."""
    branches: dict[Any, list[Any]] = {}
    for cause in error.context or ():
        branches.setdefault(cause.schema_path[0], []).append(cause)
    chosen = [
        branch for branch in branches.values() if not any(list(cause.path) == ["type"] for cause in branch)
    ]
    if len(chosen) != 1:
        yield error
        return
    for cause in chosen[0]:
        yield from _leaves(cause) if cause.context else (cause,)


def _describe(error: Any) -> str:
    path = ".".join(str(part) for part in error.path) or "the event"
    if error.validator in {"oneOf", "anyOf"}:
        return f"{path}: {_why_no_branch(error.instance)}"
    if error.validator == "not":
        return f"{path}: has an attribute that belongs into `data` only"
    return f"{path}: {error.message}"


def _why_no_branch(instance: Any) -> str:
    if isinstance(instance, Mapping):
        return f"type {instance.get('type')!r} is none of the contract's"
    return "is not a JSON object"
