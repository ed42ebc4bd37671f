"""Where contract and handlers disagree."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from webrtc_events.api.binding import call_faults
from webrtc_events.stubs.modules import HandlersModule, signature
from webrtc_events.stubs.openapi_documents import DocumentedOperation
from webrtc_events.stubs.targets import Target

__all__ = ["Drift", "find_drift"]


@dataclass(frozen=True, slots=True, order=True)
class Drift:
    """One disagreement; `line` counts from 1."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def find_drift(targets: Sequence[Target], owners: Sequence[Target] = ()) -> list[Drift]:
    """Of `targets`. `owners` are further documents whose operations a module may also handle.

    Raises:
        StubsError: a module cannot be read.
    """
    drift: set[Drift] = set()
    for target in targets:
        module = HandlersModule(target.module)
        drift.update(_of_operations(target, module))
        drift.update(_extra(target, [*targets, *owners], module))
    return sorted(drift)


def _of_operations(target: Target, module: HandlersModule) -> Iterator[Drift]:
    for operation in target.document.operations:
        if operation.function not in module.names:
            yield Drift(
                target.document.path,
                operation.line,
                f"{operation.id} ({operation.place}) has no handler: "
                f"`{operation.function}` is missing in {module.path}",
            )
        elif operation.function in module.functions:
            yield from _of_parameters(operation, module)


def _of_parameters(operation: DocumentedOperation, module: HandlersModule) -> Iterator[Drift]:
    function = module.functions[operation.function]
    for fault in call_faults(signature(function), operation.arguments):
        yield Drift(module.path, function.lineno, f"{function.name} ({operation.place}): {fault}")


def _extra(target: Target, documents: Sequence[Target], module: HandlersModule) -> Iterator[Drift]:
    file = module.path.resolve()
    known = {
        operation.function
        for document in documents
        if document.module.resolve() == file
        for operation in document.document.operations
    }
    for function in module.public_functions():
        if function.name not in known:
            yield Drift(
                module.path,
                function.lineno,
                f"{function.name} handles no operation of {target.document.path.name}; a helper's name "
                "begins with an underscore",
            )
