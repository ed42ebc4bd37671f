"""What a library imports for nothing is loaded for whoever uses it, and for nobody else."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from webrtc_events.core.late_imports import loaded_once_used

_HEAVY = """
from heavy.inner import Inner

class Base:
    LIMIT = 7

    def __init__(self, name="base"):
        self.name = name

def double(number):
    return 2 * number
"""

_FILES = {
    "heavy/__init__.py": _HEAVY,
    "heavy/inner.py": "class Inner: pass\n",
    # Nothing of the package loads it.
    "heavy/apart.py": "class Apart: pass\n",
}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a library of this text while the package `heavy` and a missing one are loaded late."""
    for name, text in _FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)

    def imported(text: str) -> ModuleType:
        (tmp_path / "light.py").write_text(text)
        with loaded_once_used("heavy", "not_installed"):
            return importlib.import_module("light")

    before = list(sys.meta_path)
    yield imported
    assert sys.meta_path == before
    for name in [name for name in sys.modules if name.split(".")[0] in ("heavy", "light")]:
        del sys.modules[name]


def loaded() -> set[str]:
    return {name for name in sys.modules if name.split(".")[0] == "heavy"}


@pytest.mark.parametrize(
    "text",
    [
        "import heavy",
        "from heavy import Base, double",
        "from heavy.apart import Apart",
        "import heavy.apart as apart",
        "from heavy import apart",
        "from typing import Optional\nfrom heavy import Base\ndef find() -> Optional[Base]: ...",
    ],
)
def test_what_is_only_imported_is_not_loaded(library: Callable[[str], ModuleType], text: str) -> None:
    library(text)
    assert loaded() == set()


def test_a_function_is_loaded_when_it_is_called(library: Callable[[str], ModuleType]) -> None:
    light = library("from heavy import double\ndef four(): return double(2)")
    assert light.four() == 4
    assert loaded() == {"heavy", "heavy.inner"}


def test_a_module_is_loaded_when_something_of_it_is_used(library: Callable[[str], ModuleType]) -> None:
    light = library("import heavy\ndef four(): return heavy.double(2)\ndef limit(): return heavy.Base.LIMIT")
    assert light.four() == 4
    assert light.limit() == 7
    assert light.heavy.Base is sys.modules["heavy"].Base


def test_a_class_is_whole_once_it_is_used(library: Callable[[str], ModuleType]) -> None:
    light = library("from heavy import Base\ndef new(): return Base(name='new')")
    made = light.new()
    assert made.name == "new"
    assert isinstance(made, light.Base)
    assert not isinstance("text", light.Base)
    assert light.Base.LIMIT == 7
    assert issubclass(sys.modules["heavy"].Base, light.Base)


@pytest.mark.parametrize(
    "text",
    [
        "from heavy import Base\nclass Child(Base): pass",
        "import heavy\nclass Child(heavy.Base): pass",
        "from heavy import Base\nChild = Base",
        "from heavy import Base\ndef find() -> Base | None: ...\nChild = Base",
        "from heavy import Base\ndef find() -> None | Base: ...\nChild = Base",
    ],
)
def test_a_library_may_use_it_while_it_is_imported(library: Callable[[str], ModuleType], text: str) -> None:
    """As another release of it may."""
    light = library(text)
    child = light.Child()
    assert child.name == "base"
    assert isinstance(child, sys.modules["heavy"].Base)


def test_what_a_package_does_not_load_by_itself_is_loaded_too(library: Callable[[str], ModuleType]) -> None:
    light = library("from heavy import apart\ndef new(): return apart.Apart()")
    assert type(light.new()) is importlib.import_module("heavy.apart").Apart


@pytest.mark.parametrize(
    ("name", "has"), [("heavy", "double"), ("heavy.inner", "Inner"), ("heavy.apart", "Apart")]
)
def test_who_imports_it_later_gets_the_real_one(
    library: Callable[[str], ModuleType], name: str, has: str
) -> None:
    library("import heavy.inner, heavy.apart")
    real = importlib.import_module(name)
    assert type(real) is ModuleType
    assert has in vars(real)


def test_who_had_it_keeps_it(library: Callable[[str], ModuleType]) -> None:
    heavy = importlib.import_module("heavy")
    light = library("import heavy\nfrom heavy import Base")
    assert light.heavy is heavy
    assert light.Base is heavy.Base


def test_a_package_that_is_not_installed_is_missing_as_ever(library: Callable[[str], ModuleType]) -> None:
    light = library("try:\n    import not_installed\nexcept ImportError:\n    found = False\n")
    assert light.found is False


def test_a_name_that_is_not_there_is_missing_once_it_is_used(library: Callable[[str], ModuleType]) -> None:
    light = library("from heavy import triple")
    with pytest.raises(ImportError, match=r"heavy\.triple"):
        light.triple(2)


def test_a_library_that_fails_leaves_nothing_behind(library: Callable[[str], ModuleType]) -> None:
    with pytest.raises(ZeroDivisionError):
        library("import heavy\n1 / 0")
    assert loaded() == set()
