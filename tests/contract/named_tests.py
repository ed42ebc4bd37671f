"""Tests that documents name, as `path/below/tests.py::test_name` or `path.feature::Scenario`."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]

NAMED = re.compile(r"`([\w/.-]+\.(?:py|feature))::([^`]+)`")
_SCENARIO = re.compile(r"\s*Scenario(?: Outline)?: (.+)")


@cache
def names_in(path: str) -> frozenset[str]:
    """The tests of a module, or the scenarios of a feature."""
    text = (TESTS / path).read_text(encoding="utf-8")
    if path.endswith(".feature"):
        return frozenset(match[1].strip() for line in text.splitlines() if (match := _SCENARIO.match(line)))
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


def missing(text: str) -> Iterator[str]:
    """What is named and does not exist. Parameters in brackets are not looked at."""
    for path, name in NAMED.findall(text):
        plain = name.partition("[")[0] if path.endswith(".py") else name
        if not (TESTS / path).is_file() or plain not in names_in(path):
            yield f"{path}::{name}"
