"""Adds an import, an exported name or a function to Python source. The rest stays as it is.

New lines are laid out so that ruff and black leave them alone at any line length from 88 on:
in one line if that is short, else one item per line with a comma after the last.
"""

import ast
import io
import re
import sys
from collections.abc import Sequence
from typing import Any

from webrtc_events.stubs.stubs_error import StubsError

__all__ = ["LINE_LENGTH", "add_export", "add_import", "append"]

LINE_LENGTH = 88

_FIRST_PARTY = ("webrtc_events", "handlers")
_LIST = re.compile(r"(?P<head>from [\w.]+ import |__all__ = )[(\[]?(?P<items>[\w\"', ]+)[)\]]?")

Import = ast.Import | ast.ImportFrom
Item = tuple[Any, str]
"""A node with a position, and the name to sort it by."""


def append(text: str, functions: Sequence[str]) -> str:
    """`text` and the functions after it, two empty lines before each."""
    for function in functions:
        if text and not text.endswith("\n"):
            text += "\n"
        while text and not text.endswith("\n\n\n"):
            text += "\n"
        text += function
    return text


def add_import(text: str, module: str, name: str) -> str:
    """`text` with `name` of `module` imported at its top.

    Raises:
        StubsError: the module has something else by that name.
    """
    tree = ast.parse(text)
    same = [
        node
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module, node.level) == (module, 0)
    ]
    if any((alias.name, alias.asname) == (name, None) for node in same for alias in node.names):
        return text
    if _binds(tree, name):
        raise StubsError(f"the stubs need `{name}` of {module}, and the name is taken")
    for node in same:
        if not any(alias.asname for alias in node.names):
            items = [(alias, alias.name) for alias in node.names]
            return _broken(_insert(text, items, name, name), node.lineno)
    return _new_import(text, tree, module, name)


def add_export(text: str, name: str) -> str:
    """`text` with `name` in its `__all__`, if it has one that is a plain list or tuple."""
    for node in ast.parse(text).body:
        if not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"):
            continue
        value = node.value
        if not isinstance(value, ast.List | ast.Tuple):
            return text
        items = [(node, str(node.value)) for node in value.elts if isinstance(node, ast.Constant)]
        if len(items) < len(value.elts) or name in [written for _, written in items]:
            return text
        if items:
            return _broken(_insert(text, items, name, f'"{name}"'), node.lineno)
        at = _offset(text, value.lineno, value.col_offset) + 1
        comma = "," if isinstance(value, ast.Tuple) else ""
        return f'{text[:at]}"{name}"{comma}{text[at:]}'
    return text


def _binds(tree: ast.Module, name: str) -> bool:
    for node in tree.body:
        if isinstance(node, Import) and name in [alias.asname or alias.name for alias in node.names]:
            return True
        if getattr(node, "name", None) == name:
            return True
        if isinstance(node, ast.Assign) and name in [ast.unparse(target) for target in node.targets]:
            return True
    return False


def _insert(text: str, items: Sequence[Item], name: str, written: str) -> str:
    """`written` in the list of `items`, before the first that sorts after it."""
    follower = next((node for node, other in items if _member_key(other) > _member_key(name)), None)
    if follower is None:
        return _insert_last(text, items[-1][0], written)
    at = _offset(text, follower.lineno, follower.col_offset)
    start = text.rfind("\n", 0, at) + 1
    indent = text[start:at]
    if indent.strip() or not indent:
        return f"{text[:at]}{written}, {text[at:]}"
    start = _above_comments(text, start)
    return f"{text[:start]}{indent}{written},\n{text[start:]}"


def _insert_last(text: str, last: Any, written: str) -> str:
    start = _offset(text, last.lineno, 0)
    at = _offset(text, last.lineno, last.col_offset)
    end = _offset(text, last.end_lineno, last.end_col_offset)
    indent = text[start:at]
    if indent.strip() or not indent:
        return f"{text[:end]}, {written}{text[end:]}"
    if re.compile(r"[ \t]*,").match(text, end):
        line_end = text.find("\n", end) + 1
        return f"{text[:line_end]}{indent}{written},\n{text[line_end:]}"
    return f"{text[:end]},\n{indent}{written}{text[end:]}"


def _above_comments(text: str, start: int) -> int:
    """A comment belongs to the line below it."""
    while start:
        before = text.rfind("\n", 0, start - 1) + 1
        if not text[before:start].lstrip().startswith("#"):
            break
        start = before
    return start


def _broken(text: str, line: int) -> str:
    """With the list at `line` one item a line, if it has become too long for one line."""
    start = _offset(text, line, 0)
    end = _line_end(text, start)
    found = _LIST.fullmatch(text, start, end)
    if end - start <= LINE_LENGTH or found is None:
        return text
    opening, closing = "[]" if found["head"].startswith("__all__") else "()"
    items = "".join(f"    {item.strip()},\n" for item in found["items"].split(",") if item.strip())
    return f"{text[:start]}{found['head']}{opening}\n{items}{closing}{text[end:]}"


def _new_import(text: str, tree: ast.Module, module: str, name: str) -> str:
    statement = f"from {module} import {name}\n"
    header = _header(tree)
    peers = [node for node in header if _section(node) == _section_of(module)]
    if peers:
        before = [node for node in peers if _import_key(node) <= (1, module.lower())]
        if before:
            at = _after(text, before[-1])
        else:
            first = _offset(text, peers[0].lineno, 0)
            # A comment that opens the file is about the file.
            at = _above_comments(text, first) or first
        return text[:at] + statement + text[at:]
    earlier = [node for node in header if _section(node) < _section_of(module)]
    if earlier:
        return _block(text, _after(text, earlier[-1]), statement)
    if header:
        return _block(text, _offset(text, header[0].lineno, 0), statement)
    return _block(text, _start(text, tree), statement)


def _header(tree: ast.Module) -> list[Import]:
    """The imports at the top."""
    found: list[Import] = []
    for node in tree.body:
        if isinstance(node, Import):
            found.append(node)
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            break
    return found


def _start(text: str, tree: ast.Module) -> int:
    """Where the first import goes: after the docstring, or after the comment that opens the file."""
    if tree.body and isinstance(tree.body[0], ast.Expr) and isinstance(tree.body[0].value, ast.Constant):
        return _after(text, tree.body[0])
    opening = re.match(r"(?:#[^\n]*(?:\n|$))+(?=\n|$)", text)
    return opening.end() if opening else 0


def _block(text: str, at: int, statement: str) -> str:
    """An import in a new section, with empty lines around it."""
    before, after = text[:at], text[at:]
    if before and not before.endswith("\n"):
        before += "\n"
    gap = "\n" if before and not before.endswith("\n\n") else ""
    return before + gap + statement + ("" if after.startswith("\n") or not after else "\n") + after


def _after(text: str, node: ast.stmt) -> int:
    return min(_line_end(text, _offset(text, node.end_lineno or node.lineno, 0)) + 1, len(text))


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _section(node: Import) -> int:
    if isinstance(node, ast.ImportFrom):
        return 4 if node.level else _section_of(node.module or "")
    return _section_of(node.names[0].name)


def _section_of(module: str) -> int:
    """Future, standard library, third party, first party, relative: the order of isort."""
    root = module.partition(".")[0]
    if root == "__future__":
        return 0
    if root in sys.stdlib_module_names:
        return 1
    return 3 if root in _FIRST_PARTY else 2


def _import_key(node: Import) -> tuple[int, str]:
    if isinstance(node, ast.ImportFrom):
        return 1, (node.module or "").lower()
    return 0, node.names[0].name.lower()


def _member_key(name: str) -> tuple[int, list[str | int]]:
    """Constants, classes, the rest; numbers in names count as numbers."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[:1].isupper() else 2
    return kind, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name.lower())]


def _offset(text: str, line: int, column: int) -> int:
    """Of a position as `ast` gives it: lines from 1, columns in bytes of UTF-8."""
    lines = io.StringIO(text, newline="").readlines()
    start = sum(map(len, lines[: line - 1]))
    return start + (len(lines[line - 1].encode()[:column].decode()) if column else 0)
