"""Writes handler stubs: typed functions that answer 501 until somebody fills them in."""

import ast
import textwrap
from dataclasses import dataclass
from pathlib import Path

from webrtc_events.api.binding import Argument
from webrtc_events.stubs.annotations import Annotator
from webrtc_events.stubs.edits import LINE_LENGTH, add_export, add_import, append
from webrtc_events.stubs.modules import HandlersModule
from webrtc_events.stubs.openapi_documents import DocumentedOperation
from webrtc_events.stubs.stubs_error import StubsError
from webrtc_events.stubs.targets import Target

__all__ = ["Stub", "write_stubs"]

_INDENT = "    "
_PLAIN = str.maketrans({"‘": "'", "’": "'", "–": "-", "−": "-", "\N{NO-BREAK SPACE}": " ", "×": "x"})  # noqa: RUF001
"""Characters that look like ASCII ones, which linters object to."""


@dataclass(frozen=True, slots=True)
class Stub:
    """One that was written; `line` counts from 1."""

    path: Path
    line: int
    function: str
    operation_id: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.function} ({self.operation_id})"


@dataclass(frozen=True, slots=True)
class _Source:
    """A stub as text, and module and name of each import that it needs."""

    function: str
    text: str
    imports: frozenset[tuple[str, str]]


def write_stubs(target: Target) -> list[Stub]:
    """Appends a stub for each operation without a handler; a second time there are none left.

    Raises:
        StubsError: the module cannot be read or written, or uses a name that the stubs need.
    """
    module = HandlersModule(target.module)
    missing = [
        operation for operation in target.document.operations if operation.function not in module.names
    ]
    if not missing:
        return []
    try:
        sources = _sources(target, missing, _use_case(module))
        text = _extended(module.text if module.text.strip() else _new_module(target), sources)
    except StubsError as error:
        raise StubsError(f"{module.path}: {error}") from error
    lines = {node.name: node.lineno for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    _write(module, text)
    return [
        Stub(module.path, lines[operation.function], operation.function, operation.id)
        for operation in missing
    ]


def _use_case(module: HandlersModule) -> str:
    """The first parameter, as the module's other handlers have it."""
    firsts = {_first(function.args, module.text) for function in module.public_functions()}
    return firsts.pop() if len(firsts) == 1 else "use_case: Any"


def _first(arguments: ast.arguments, text: str) -> str:
    for argument in [*arguments.posonlyargs, *arguments.args]:
        annotation = ast.get_source_segment(text, argument.annotation) if argument.annotation else None
        return f"{argument.arg}: {' '.join((annotation or 'Any').split())}"
    return "use_case: Any"


def _sources(target: Target, missing: list[DocumentedOperation], use_case: str) -> list[_Source]:
    annotator = Annotator(target.document.content, target.types)
    return [_source(operation, use_case, annotator, target.document.path.name) for operation in missing]


def _extended(text: str, sources: list[_Source]) -> str:
    for module, name in sorted(set().union(*(source.imports for source in sources))):
        text = add_import(text, module, name)
    for source in sources:
        text = add_export(text, source.function)
    return append(text, [source.text for source in sources])


def _source(operation: DocumentedOperation, use_case: str, annotator: Annotator, document: str) -> _Source:
    taken = [argument for argument in operation.arguments if argument.needed or argument.name == "caller"]
    # Those with a default come last.
    taken.sort(key=lambda argument: not argument.always)
    names = [argument.name for argument in taken]
    first = use_case.partition(":")[0]
    while first in names:
        first = f"use_case_{first}"
    annotations = [_annotation(argument, operation, annotator) for argument in taken]
    parameters = [
        f"{argument.name}: {annotation}" + ("" if argument.always else " = None")
        for argument, annotation in zip(taken, annotations, strict=True)
    ]
    parameters.insert(0, f"{first}:{use_case.partition(':')[2]}")
    result = _result(operation, annotator)
    imports = {("webrtc_events.core.errors", "Unimplemented")}
    imports |= annotator.imports(" ".join([result, *annotations]))
    if "caller" in names:
        imports.add(("webrtc_events.core.model", "Caller"))
    if use_case.endswith(": Any"):
        imports.add(("typing", "Any"))
    text = (
        _definition(operation.function, parameters, result)
        + _docstring(operation, document)
        + _unused([first, *names])
        + f"{_INDENT}raise Unimplemented\n"
    )
    return _Source(operation.function, text, frozenset(imports))


def _annotation(argument: Argument, operation: DocumentedOperation, annotator: Annotator) -> str:
    if argument.name == "payload":
        return annotator.union(operation.payload or [{}], none=not argument.always)
    if argument.name == "caller":
        return "Caller" if argument.always else "Caller | None"
    annotation = annotator.union([operation.parameter_schemas[argument.name]], none=not argument.always)
    return "str" if annotation == "Any" else annotation


def _result(operation: DocumentedOperation, annotator: Annotator) -> str:
    """The body, and the status unless it can only be 200."""
    schemas = [schema for answer in operation.answers.values() for schema in answer]
    empty = not all(operation.answers.values())
    body = annotator.union(schemas, none=empty) or "Any"
    return body if set(operation.answers) == {"200"} and not empty else f"tuple[{body}, int]"


def _definition(name: str, parameters: list[str], result: str) -> str:
    line = f"def {name}({', '.join(parameters)}) -> {result}:"
    if len(line) <= LINE_LENGTH:
        return f"{line}\n"
    return (
        f"def {name}(\n"
        + "".join(f"{_INDENT}{parameter},\n" for parameter in parameters)
        + f") -> {result}:\n"
    )


def _docstring(operation: DocumentedOperation, document: str) -> str:
    summary = " ".join(_clean(operation.summary).split()) or f"The operation {operation.id}."
    if summary[-1] not in ".!?:":
        summary += "."
    if summary.startswith('"'):
        summary = summary.replace('"', "'")
    source = _clean(f"Source: {document}, {operation.place}.")
    paragraphs = [f'"""{summary}', _clean(operation.description).strip("\n"), source]
    text = "\n\n".join(paragraph for paragraph in paragraphs if paragraph.strip())
    lines = [wrapped for line in text.split("\n") for wrapped in _wrapped(line)]
    return "\n".join([*(f"{_INDENT}{line}".rstrip() for line in lines), f'{_INDENT}"""\n'])


def _clean(text: str) -> str:
    """Fit for a docstring, whatever the document says."""
    text = text.translate(_PLAIN).expandtabs(4)
    text = "".join(character if character.isprintable() or character == "\n" else " " for character in text)
    return text.replace("\\", "\\\\").replace('"""', "'''")


def _wrapped(line: str) -> list[str]:
    width = LINE_LENGTH - len(_INDENT)
    if len(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]


def _unused(names: list[str]) -> str:
    """Tells linters that nothing uses the parameters yet."""
    lines = [f"{_INDENT}del {names[0]}"]
    for name in names[1:]:
        if len(lines[-1]) + len(name) + 2 > LINE_LENGTH:
            lines.append(f"{_INDENT}del {name}")
        else:
            lines[-1] += f", {name}"
    return "".join(f"{line}\n" for line in lines)


def _new_module(target: Target) -> str:
    return (
        f'"""The operations of {_clean(target.document.path.name)}.\n\n'
        "Each is a function of its operationId in snake case. It gets the use case, and by name the\n"
        "parameters of path and query, the valid body as `payload`, and the `caller` that the access token\n"
        "stands for; errors are raised.\n"
        '"""\n\n__all__ = []\n'
    )


def _write(module: HandlersModule, text: str) -> None:
    try:
        with module.path.open("w", encoding="utf-8", newline="\r\n" if module.crlf else "") as file:
            file.write(text)
    except OSError as error:
        raise StubsError(f"{module.path}: {error}") from error
