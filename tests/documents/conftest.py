"""Commands as people run them."""

from tests.harness.commands import data, start, start_serve

__all__ = ["data", "start", "start_serve"]
