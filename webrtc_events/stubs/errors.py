"""What keeps stubs from being written or checked, in words for people."""

__all__ = ["StubsError"]


class StubsError(Exception):
    """Names the file, and the line where there is one."""
