"""The version of what is kept in the store. Source: docs/decisions/0006-stored-formats.md."""

__all__ = ["FORMAT"]

# The newest that this release reads, and the one that it writes. A change that an older release cannot
# live with makes it one more.
FORMAT = 1
