"""The error of writing and checking stubs, with a message for people."""

__all__ = ["StubsError"]


class StubsError(Exception):
    """The message names the file, and the line if there is one."""
