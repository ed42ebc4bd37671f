"""OpenAPI documents as handlers see them.

Sources: OpenAPI 3.0.3, sections 4.7.8 (paths), 4.7.10 (operations), 4.7.30 (security).
"""

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from webrtc_events.api.binding import Argument, function_name, parameter_name
from webrtc_events.contract.documents import read_document
from webrtc_events.contract.openapi import METHODS, resolved
from webrtc_events.stubs.stubs_error import StubsError

__all__ = ["Document", "DocumentedOperation", "is_overlay", "read_yaml"]

Schema = Mapping[str, Any]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class DocumentedOperation:
    """One operation, and the function that handles it.

    `line` is where the document has it, from 1. `arguments` is all that the function can be
    called with by name; `parameter_schemas` says of what type those of path and query are. `payload` has
    a schema for each media type of the body, `answers` the schemas of each success status.
    """

    id: str
    method: str
    path: str
    line: int
    function: str
    summary: str
    description: str
    arguments: tuple[Argument, ...]
    parameter_schemas: Mapping[str, Schema] = field(repr=False)
    payload: tuple[Schema, ...] = field(repr=False)
    answers: Mapping[str, tuple[Schema, ...]] = field(repr=False)

    @property
    def place(self) -> str:
        return f"{self.method} {self.path}"


class Document:
    """Read and understood as far as handlers go; whether it can be served is for `Contract` to say."""

    def __init__(self, path: Path, content: Mapping[str, Any], root: yaml.Node | None) -> None:
        self.path = path
        self.content = content
        self._root = root
        self.operations = list(self._operations())

    @classmethod
    def read(cls, path: Path) -> "Document":
        """
        Raises:
            StubsError: the file is no OpenAPI 3 document, or one that handlers cannot be bound to.
        """
        content = read_yaml(path)
        if is_overlay(content):
            extended = content.get("extends", "the document that it changes")
            raise StubsError(f"{path}: an OpenAPI Overlay has no operations; name {extended} instead")
        if not isinstance(content, Mapping) or not str(content.get("openapi", "")).startswith("3."):
            raise StubsError(f"{path}: not an OpenAPI 3 document")
        try:
            return cls(path, content, yaml.compose(path.read_text("utf-8"), _LOADER))
        except KeyError as error:
            raise StubsError(f"{path}: a reference or a member is missing: {error}") from error
        except (TypeError, AttributeError) as error:
            raise StubsError(f"{path}: not shaped as OpenAPI wants it: {error}") from error

    def _operations(self) -> Iterator[DocumentedOperation]:
        places: dict[str, str] = {}
        for path, item in self.content["paths"].items():
            for method in item:
                if method in METHODS:
                    operation = self._operation(path, method, item)
                    self._claim(operation, places)
                    yield operation

    def _claim(self, operation: DocumentedOperation, places: dict[str, str]) -> None:
        """Two operations cannot have one function; `places` has whose each function is."""
        other = places.setdefault(operation.function, operation.place)
        if other != operation.place:
            raise StubsError(f"{self.path}:{operation.line}: {operation.id} is also the function of {other}")

    def _operation(self, path: str, method: str, item: Mapping[str, Any]) -> DocumentedOperation:
        definition = item[method]
        line = self._line(path, method)
        where = f"{self.path}:{line}: {method.upper()} {path}"
        if "operationId" not in definition:
            raise StubsError(f"{where} has no operationId")
        body = resolved(self.content, definition.get("requestBody", {}))
        parameters = self._parameters([*item.get("parameters", []), *definition.get("parameters", [])])
        in_path = re.findall(r"\{([^{}]*)\}", path)
        in_query = {name: parameter for (place, name), parameter in parameters.items() if place == "query"}
        arguments = [
            *(Argument(parameter_name(name), always=True, needed=True) for name in in_path),
            *(_query(name, parameter) for name, parameter in in_query.items()),
            *_payload(body),
            *_caller(definition.get("security", self.content.get("security", []))),
        ]
        function = function_name(definition["operationId"])
        _check_names(where, [function, *(argument.name for argument in arguments)])
        return DocumentedOperation(
            id=definition["operationId"],
            method=method.upper(),
            path=path,
            line=line,
            function=function,
            summary=str(definition.get("summary") or ""),
            description=str(definition.get("description") or ""),
            arguments=tuple(arguments),
            parameter_schemas={
                parameter_name(name): parameters.get((place, name), {}).get("schema", {})
                for place, names in (("path", in_path), ("query", in_query))
                for name in names
            },
            payload=_schemas(body),
            answers={
                str(status): _schemas(resolved(self.content, response))
                for status, response in definition.get("responses", {}).items()
                if str(status).startswith("2")
            },
        )

    def _parameters(self, definitions: list[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
        """By place and name; those of the operation come after those of the path, and win."""
        parameters = [resolved(self.content, definition) for definition in definitions]
        return {(parameter["in"], parameter["name"]): parameter for parameter in parameters}

    def _line(self, path: str, method: str) -> int:
        node = self._root
        line = 1
        for step in ("paths", path, method):
            members = node.value if isinstance(node, yaml.MappingNode) else []
            found = [(key, value) for key, value in members if key.value == step]
            if not found:
                return line
            key, node = found[-1]
            line = key.start_mark.line + 1
        return line


def is_overlay(content: Any) -> bool:
    return isinstance(content, Mapping) and "overlay" in content


def read_yaml(path: Path) -> Any:
    """
    Raises:
        StubsError: the file cannot be read, or is not YAML.
    """
    try:
        return read_document(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise StubsError(f"{path}: {error}") from error
    except yaml.YAMLError as error:
        raise StubsError(f"{path}: not YAML: {error}") from error


def _payload(body: Mapping[str, Any]) -> Iterator[Argument]:
    if body:
        yield Argument("payload", always=body.get("required", False), needed=True)
        yield Argument("payload_bytes", always=body.get("required", False), needed=False)


def _caller(security: list[Mapping[str, Any]]) -> Iterator[Argument]:
    """An empty requirement allows requests without a token."""
    if any(security):
        yield Argument("caller", always=all(security), needed=False)


def _query(name: str, parameter: Mapping[str, Any]) -> Argument:
    """One with a default comes with every request, as one that is required does."""
    always = parameter.get("required", False) or "default" in parameter.get("schema", {})
    return Argument(parameter_name(name), always=always, needed=True)


def _check_names(where: str, names: list[str]) -> None:
    function, *arguments = names
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise StubsError(f"{where}: {name!r} cannot be the name of a function or parameter")
    if len(set(arguments)) < len(arguments):
        raise StubsError(f"{where}: two parameters of {function} would have the same name")


def _schemas(part: Mapping[str, Any]) -> tuple[Schema, ...]:
    return tuple(content.get("schema", {}) for content in part.get("content", {}).values())
