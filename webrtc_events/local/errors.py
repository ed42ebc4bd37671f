"""What keeps a local command from doing its work, said to the person who started it."""

__all__ = ["LocalError", "UnreachableError"]


class LocalError(Exception):
    """The message is complete: what is wrong, where, and what to do about it."""


class UnreachableError(LocalError):
    """A local server does not answer."""
