"""The benchmarks are programs: what they share is found from their folder."""

from importlib import import_module
from typing import Any


def module(name: str) -> Any:
    """A module of bench/, see conftest.py."""
    return import_module(name)
