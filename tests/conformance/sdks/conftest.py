"""Dispatchers and a recording sink, as the tests of deliveries have them."""

from tests.delivery.conftest import make_driver, sink

__all__ = ["make_driver", "sink"]
