"""Binds a contract's operations to functions of a module, by name."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import ModuleType
from typing import Any

from connexion.operations import AbstractOperation
from connexion.resolver import Resolution, Resolver

__all__ = ["HandlerResolver", "MissingHandlersError", "function_name"]


class MissingHandlersError(Exception):
    """Operations without a function, all of them."""

    def __init__(self, missing: Iterable[str]) -> None:
        super().__init__("operations without a handler: " + ", ".join(missing))


def function_name(operation_id: str) -> str:
    """`putRegistration` becomes `put_registration`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation_id).lower()


class HandlerResolver(Resolver):  # type: ignore[misc]
    """Gives each operation the function of its name, with the use case as its first argument."""

    def __init__(self, module: ModuleType, use_case: object, operation_ids: Iterable[str]) -> None:
        super().__init__()
        self.missing: list[str] = []
        self._functions: Mapping[str, Callable[..., Any]] = {
            operation_id: partial(function, use_case)
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
        return Resolution(self._functions[operation.operation_id], operation.operation_id)
