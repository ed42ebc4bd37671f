"""Modules that a library imports and few processes use: they are loaded once something of them is used.

redis-py's package imports its asyncio client, and Connexion's a test client and its application for Flask.
They cost each start time, and each process memory.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

__all__ = ["loaded_once_used"]


@contextmanager
def loaded_once_used(*names: str) -> Iterator[None]:
    """Whoever imports one of these modules meanwhile, or a module below it, gets a stand-in.

    One that is loaded already, or is not installed, is left as it is. Afterwards an import gives the real
    module, and whoever has the stand-in finds all of it there. What is imported by name may be a function, or
    a class, also one to inherit from; no exception to catch, and no value. No other thread imports meanwhile.
    """
    finder = _StandIns(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        finder.end()


class _StandIns(Loader):
    """Finds and makes stand-ins for these modules, where they are installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not any(_is_in(name, late) for late in self._names):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            spec.loader = self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing of it runs."""

    def end(self, used: str = "") -> None:
        """From here on imports give the real modules: all, or the one that is used and those around it."""
        ended = [late for late in self._names if not used or _is_in(used, late)]
        self._names = [late for late in self._names if late not in ended]
        for name, module in list(sys.modules.items()):
            if isinstance(module, _StandIn) and any(_is_in(name, late) for late in ended):
                del sys.modules[name]


def _is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


class _StandIn(ModuleType):
    """A module whose every name is there to be imported."""

    def __init__(self, name: str, maker: _StandIns) -> None:
        super().__init__(name)
        self.__maker__ = maker

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            # What the import system looks for.
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            return _Late(self.__name__, name)
        return _real(self.__name__, name)


class _Late:
    """A name of a module that is loaded for whatever is done with the name."""

    def __init__(self, module: str, name: str) -> None:
        self._origin = module, name

    def __call__(self, *args: Any, **options: Any) -> Any:
        return _real(*self._origin)(*args, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            # `typing` looks for some of them in each annotation.
            raise AttributeError(name)
        return getattr(_real(*self._origin), name)

    def __getitem__(self, item: Any) -> Any:
        return _real(*self._origin)[item]

    def __or__(self, other: Any) -> Any:
        return _real(*self._origin) | other

    def __ror__(self, other: Any) -> Any:
        return other | _real(*self._origin)

    def __mro_entries__(self, _: tuple[Any, ...]) -> tuple[Any, ...]:
        return (_real(*self._origin),)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, _real(*self._origin))

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, _real(*self._origin))


def _real(module: str, name: str) -> Any:
    """What `from module import name` gives where there are no stand-ins."""
    stand_in = sys.modules.get(module)
    if isinstance(stand_in, _StandIn):
        # Used by what is imported: this release of it does more with the module than others.
        stand_in.__maker__.end(module)
    loaded = import_module(module)
    try:
        return getattr(loaded, name)
    except AttributeError:
        return import_module(f"{module}.{name}")
