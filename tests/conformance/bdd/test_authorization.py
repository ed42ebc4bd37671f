"""Who may do what."""

from pytest_bdd import scenarios

scenarios("authorization.feature")
