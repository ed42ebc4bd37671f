"""Writes the end of docs/operations/logs.md: every line that the service logs, and finds the fields of all.

python -m tests.house.log_table
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.harness.documents import ROOT
from tests.house.module_table import modules

__all__ = ["DOCUMENT", "fields", "with_table"]

DOCUMENT = ROOT / "docs" / "operations" / "logs.md"
_HEADING = "## Every line\n"
_LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
_CONVERSION = re.compile(r"%[-#0 +]*\d*(?:\.\d+)?[a-zA-Z]")
# What makes fields of a dictionary: the attempts, the requests, the changes that operators make.
_MAKERS = {
    "delivery/tasks.py": "attempt_fields",
    "api/request_log.py": "finished",
    "core/change_log.py": "change_fields",
}


@dataclass(frozen=True, slots=True, order=True)
class Line:
    logger: str
    text: str
    level: str


@cache
def lines() -> tuple[Line, ...]:
    """All of them, read once: it takes a second, and each test asks for them."""
    return tuple(_lines())


def _lines() -> Iterator[Line]:
    """Those whose text stands in the code. A text that is put together elsewhere has no line here."""
    for name, path in modules():
        logger = f"webrtc_events.{_dotted(name)}"
        if name == "core/log_start.py":
            logger = "webrtc_events"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assigned = list(_assigned(node))
                for call in ast.walk(node):
                    if isinstance(call, ast.Call) and (found := _logged(call, assigned)):
                        yield from (Line(logger, text, found[0]) for text in found[1])


def _dotted(name: str) -> str:
    return name.removesuffix(".py").replace("/", ".")


def _assigned(function: ast.AST) -> Iterator[tuple[int, str, list[str]]]:
    """The line, the name and the texts of each assignment."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.lineno, node.targets[0].id, _texts(node.value)


def _logged(call: ast.Call, assigned: list[tuple[int, str, list[str]]]) -> tuple[str, list[str]] | None:
    """The level and the texts of a call that logs."""
    if not isinstance(call.func, ast.Attribute) or not call.args:
        return None
    owner, method = ast.unparse(call.func.value), call.func.attr
    if method in _LEVELS and (owner in ("log", "_logger") or owner.startswith("logging.getLogger")):
        level, arguments = method, call.args[:1]
    elif method in ("log", "_log") and ast.unparse(call.args[0]).startswith("logging."):
        level, arguments = ast.unparse(call.args[0]).removeprefix("logging."), call.args[1:]
    else:
        return None
    for argument in arguments:
        texts = _texts(argument)
        if isinstance(argument, ast.Name):
            # What it was set to last.
            before = [found for found in assigned if found[1] == argument.id and found[0] < call.lineno]
            texts = max(before)[2] if before else []
        if texts := [text for text in texts if " " in text]:
            return ("error" if level == "exception" else level).upper(), texts
    return None


def _texts(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp():
            return [*_texts(node.body), *_texts(node.orelse)]
    return []


def fields() -> set[str]:
    """The names of all fields of all lines."""
    found = {name for line in lines() for name in re.findall(r"\b([a-z_]+)=%", line.text)}
    for module, function in _MAKERS.items():
        found |= _keys(dict(modules())[module], function)
    return found


def _keys(path: Path, function: str) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    [maker] = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function]
    found: set[object] = set()
    for node in ast.walk(maker):
        if isinstance(node, ast.Dict):
            found |= {key.value for key in node.keys if isinstance(key, ast.Constant)}
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            found.add(node.slice.value)
    return {name for name in found if isinstance(name, str)}


def with_table(document: str) -> str:
    """The document with its table as it is to be."""
    rows = [
        f"| {line.level} | `{_CONVERSION.sub('…', line.text).replace('|', ' ')}` | `{line.logger}` |"
        for line in sorted(set(lines()))
    ]
    head = (
        f"{_HEADING}\n"
        "`…` stands for what differs. `python -m tests.house.log_table` writes this table anew. "
        "What the checks of the store say is in [store.md](../store.md#make-it-durable).\n"
    )
    table = "\n".join(["", "| level | line | logger |", "| --- | --- | --- |", *rows, ""])
    return document.partition(_HEADING)[0] + head + table


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
