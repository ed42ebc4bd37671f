"""Errors of local commands, with messages for the person who started them."""

__all__ = ["LocalError", "UnreachableError"]


class LocalError(Exception):
    """The message is complete: what is wrong, where, and what to do about it."""


class UnreachableError(LocalError):
    """A local server does not answer."""
