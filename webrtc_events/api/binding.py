"""Binds a contract's operations to functions of a module, by name.

A function is called with the use case first. The rest it gets by name: every parameter of path and query,
the body as `payload`, how long it was as `payload_bytes`, and the `Caller` that the access token stands for
as `caller`. A coroutine function runs on the event loop, any other in a thread.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from inspect import Parameter, Signature, iscoroutinefunction
from types import ModuleType
from typing import Any

from connexion.decorators.parameter import pythonic
from connexion.operations import AbstractOperation
from connexion.resolver import Resolution, Resolver

from webrtc_events.api.paging import Cut, paged

__all__ = [
    "Argument",
    "HandlerResolver",
    "MissingHandlersError",
    "call_faults",
    "function_name",
    "parameter_name",
]

_TAKES_THE_FIRST = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.VAR_POSITIONAL)
_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class MissingHandlersError(Exception):
    """Operations without a function, all of them."""

    def __init__(self, missing: Iterable[str]) -> None:
        super().__init__("operations without a handler: " + ", ".join(missing))


def function_name(operation_id: str) -> str:
    """`putRegistration` becomes `put_registration`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation_id).lower()


def parameter_name(name: str) -> str:
    """What a parameter is passed as: `subscriptionId` is `subscription_id`, `id` is `id_`."""
    named: str = pythonic(name)
    return named


@dataclass(frozen=True, slots=True)
class Argument:
    """What a function is called with by name.

    `always`: with every request. `needed`: it must be taken; a parameter nobody takes
    fails the call, a body nobody takes is lost.
    """

    name: str
    always: bool
    needed: bool


def call_faults(signature: Signature, arguments: Sequence[Argument]) -> Iterator[str]:
    """Where `function(use_case, **arguments)` fails, or loses what is needed; one text each."""
    parameters = list(signature.parameters.values())
    first = next((parameter.name for parameter in parameters[:1] if parameter.kind in _TAKES_THE_FIRST), None)
    if first is None:
        yield "there is no first parameter for the use case"
    named = [
        parameter for parameter in parameters if parameter.kind not in _VARIADIC and parameter.name != first
    ]
    takes_all = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters)
    taken = {parameter.name for parameter in named}
    for argument in arguments:
        if argument.name == first:
            yield f"`{first}` stands where the use case comes"
        elif argument.needed and argument.name not in taken and not takes_all:
            yield f"`{argument.name}` is missing"
    passed = {argument.name: argument for argument in arguments}
    for parameter in named:
        yield from _parameter_faults(parameter, passed.get(parameter.name))


def _parameter_faults(parameter: Parameter, argument: Argument | None) -> Iterator[str]:
    if argument is None:
        yield f"`{parameter.name}` is unknown: nothing is passed by that name"
    elif parameter.kind is Parameter.POSITIONAL_ONLY:
        yield f"`{parameter.name}` is passed by name, and is positional only"
    elif not argument.always and parameter.default is Parameter.empty:
        yield f"`{parameter.name}` needs a default: some requests come without it"


class HandlerResolver(Resolver):  # type: ignore[misc]
    """Gives each operation the function of its name, with the use case as its first argument.

    A function that is no coroutine function may return its array as an iterator of pages. `cut` hears of one
    that fails after it began.
    """

    def __init__(self, module: ModuleType, use_case: object, operation_ids: Iterable[str], cut: Cut) -> None:
        super().__init__()
        self.missing: list[str] = []
        self.functions: Mapping[str, Callable[..., Any]] = {
            operation_id: _answering(partial(function, use_case), cut)
            for operation_id in operation_ids
            if (function := self._function(module, operation_id)) is not None
        }

    def _function(self, module: ModuleType, operation_id: str) -> Callable[..., Any] | None:
        name = function_name(operation_id)
        function: Callable[..., Any] | None = getattr(module, name, None)
        if not callable(function):
            self.missing.append(f"{operation_id} ({module.__name__}.{name})")
            return None
        return function

    def resolve(self, operation: AbstractOperation) -> Resolution:
        return Resolution(self.functions[operation.operation_id], operation.operation_id)


def _answering(function: Callable[..., Any], cut: Cut) -> Callable[..., Any]:
    if iscoroutinefunction(function):
        return function

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        result = function(*args, **options)
        return paged(result, cut) if isinstance(result, Iterator) else result

    return call
