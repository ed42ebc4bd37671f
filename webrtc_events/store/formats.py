"""The version of what is kept in the store. Source: docs/decisions/0006-stored-formats.md."""

__all__ = ["BASE_FORMAT", "FORMAT"]

# What it reads and writes, and what a release before it can live with.
BASE_FORMAT = 1
# The newest that it reads. A subscription whose outbox may refer to payloads has it.
FORMAT = 2
