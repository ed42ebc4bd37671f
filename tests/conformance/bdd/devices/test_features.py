"""Subscriptions to devices: the contract to come, 0.3, served beside 0.2."""

from pytest_bdd import scenarios

scenarios(".")
