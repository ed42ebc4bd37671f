"""What Connexion imports and the service never calls: it stays unloaded.

Connexion's package imports Starlette's test client, for `App.test_client()`, and httpx, to ask another server
what a token is worth (`x-tokenInfoUrl`). Both cost each start of the API time, and the first warns about the
second. Whoever imports these names afterwards gets the real modules.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

__all__ = ["NotLoadedError", "unused_imports_left_out"]

_UNUSED = ("starlette.testclient", "httpx")


class NotLoadedError(RuntimeError):
    """Connexion called what was taken to be unused."""


@contextmanager
def unused_imports_left_out() -> Iterator[None]:
    """What is imported meanwhile gets a stand-in for each of these modules that is not loaded yet."""
    stand_ins = {name: _StandIn(name) for name in _UNUSED if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]


class _StandIn(ModuleType):
    """A module whose every name is there to be imported, and fails when it is called."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            # What the import system looks for.
            raise AttributeError(name)

        def not_loaded(*_: object, **__: object) -> None:
            raise NotLoadedError(f"{self.__name__}.{name} is not loaded: webrtc_events/api/unused_imports.py")

        return not_loaded
