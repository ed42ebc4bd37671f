"""Query parameters of a request, as the values that its operation of the contract has for them."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from webrtc_events.contract.openapi import Operation, QueryParameter
from webrtc_events.core.errors import InvalidArgument

__all__ = ["query_values"]

_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)


def query_values(operation: Operation, query: bytes) -> Mapping[str, Any]:
    """One value for each parameter of the operation that the request or the contract has one for.

    `query` is what stands behind the `?`. Parameters that the operation does not have are not looked at.

    Raises:
        InvalidArgument: one breaks its schema, comes twice, or is missing.
    """
    if not operation.query:
        return {}
    given: dict[str, str] = {}
    for name, text in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name in operation.query:
            if name in given:
                raise InvalidArgument(f"{name}: given more than once")
            given[name] = text
    values: dict[str, Any] = {}
    for name, parameter in operation.query.items():
        if name in given:
            values[name] = _value(name, parameter, given[name])
        elif parameter.default is not None:
            values[name] = parameter.default
        elif parameter.required:
            raise InvalidArgument(f"{name}: the query parameter is missing")
    return values


def _value(name: str, parameter: QueryParameter, text: str) -> Any:
    value: Any = text
    if parameter.is_integer:
        if _INTEGER.fullmatch(text) is None:
            raise InvalidArgument(f"{name}: not an integer")
        value = int(text)
    fault = parameter.validator.first_fault(value)
    if fault is not None:
        raise InvalidArgument(f"{name}: {fault.message}")
    return value
