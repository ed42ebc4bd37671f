"""Dispatchers and a recording sink, as the tests of deliveries have them."""

from tests.delivery.conftest import postman, sink

__all__ = ["postman", "sink"]
