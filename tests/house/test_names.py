"""Names of the tests and benchmarks: a file is found by its name, and a loop variable says what it holds."""

import ast
from collections import Counter
from collections.abc import Iterator

from tests.harness.documents import ROOT
from tests.house.sizes import modules

# pytest and Python give these their names.
GIVEN = {"__init__.py", "conftest.py"}


def named_each(source: str) -> Iterator[int]:
    """The lines that call a variable `each`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id="each", ctx=ast.Store()) | ast.arg(arg="each"):
                yield node.lineno


def test_no_file_name_is_in_more_than_two_folders_of_the_tests() -> None:
    names = Counter(path.name for path in modules() if path.is_relative_to(ROOT / "tests"))
    assert {name: count for name, count in names.items() if count > 2 and name not in GIVEN} == {}


def test_no_variable_is_called_each() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}" for path in modules() for line in named_each(path.read_text())
    ]
    assert found == []


def test_a_variable_of_that_name_is_found() -> None:
    source = "for each in 'ab':\n    pass\nx = [each for each in 'ab']\ny = lambda each: each\n"
    assert sorted(named_each(source)) == [1, 3, 4]
