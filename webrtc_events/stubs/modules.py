"""A handlers module, read by its syntax tree."""

import ast
from collections.abc import Iterable, Iterator
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from webrtc_events.stubs.stubs_error import StubsError

__all__ = ["Function", "HandlersModule", "signature"]

Function = ast.FunctionDef | ast.AsyncFunctionDef


class HandlersModule:
    """`functions` are those that the module defines, `names` all that it binds. A missing file is an
    empty module."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = _read(path)
        self.crlf = "\r\n" in self.text and self.text.count("\r\n") == self.text.count("\n")
        if self.crlf:
            self.text = self.text.replace("\r\n", "\n")
        self.tree = _parse(self.text, path)
        self.functions = {
            node.name: node for node in _statements(self.tree.body) if isinstance(node, Function)
        }
        self.names = set(self.functions) | set(self._other_names())

    def public_functions(self) -> Iterator[Function]:
        for name, function in self.functions.items():
            if not name.startswith("_"):
                yield function

    def _other_names(self) -> Iterator[str]:
        for node in _statements(self.tree.body):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for alias in node.names:
                    if alias.name == "*":
                        raise StubsError(
                            f"{self.path}:{node.lineno}: `import *` hides which functions there are"
                        )
                    yield (alias.asname or alias.name).partition(".")[0]
            elif isinstance(node, ast.ClassDef):
                yield node.name
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                for part in ast.walk(node):
                    if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                        yield part.id


def signature(function: Function) -> Signature:
    """As `inspect.signature` would give it, without annotations; a default is its syntax tree."""
    given = function.args
    positional = [
        *((posonlyarg, Parameter.POSITIONAL_ONLY) for posonlyarg in given.posonlyargs),
        *((arg, Parameter.POSITIONAL_OR_KEYWORD) for arg in given.args),
    ]
    without = len(positional) - len(given.defaults)
    defaults: list[ast.expr | None] = [*[None] * without, *given.defaults]
    parameters = [
        _parameter(argument, kind, default)
        for (argument, kind), default in zip(positional, defaults, strict=True)
    ]
    if given.vararg:
        parameters.append(Parameter(given.vararg.arg, Parameter.VAR_POSITIONAL))
    parameters += [
        _parameter(argument, Parameter.KEYWORD_ONLY, default)
        for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    if given.kwarg:
        parameters.append(Parameter(given.kwarg.arg, Parameter.VAR_KEYWORD))
    return Signature(parameters)


def _parameter(given: ast.arg, kind: Any, default: ast.expr | None) -> Parameter:
    return Parameter(given.arg, kind, default=Parameter.empty if default is None else default)


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Those that run with the module: also in `if`, `try` and `with`, not in functions and classes."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.TryStar, ast.With, ast.For, ast.While)):
            for block in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(node, block, []))
            for handler in getattr(node, "handlers", []):
                yield from _statements(handler.body)


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise StubsError(f"{path}: {error}") from error


def _parse(text: str, path: Path) -> ast.Module:
    """Compiled too, as some errors show only then; never run."""
    try:
        tree = ast.parse(text, path)
        compile(tree, path, "exec")
    except SyntaxError as error:
        raise StubsError(f"{path}:{error.lineno or 1}: {error.msg}") from error
    except ValueError as error:
        raise StubsError(f"{path}: {error}") from error
    return tree
