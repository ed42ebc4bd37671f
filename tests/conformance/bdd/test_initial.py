"""Initial events."""

from pytest_bdd import scenarios

scenarios("initial.feature")
