"""The version of what is kept in the store. Source: docs/decisions/0006-stored-formats.md."""

__all__ = ["BASE_FORMAT", "CHANNEL_FORMAT", "FORMAT", "REFERRING_FORMAT"]

# What it reads and writes, and what a release before it can live with.
BASE_FORMAT = 1
# A subscription whose outbox may refer to payloads.
REFERRING_FORMAT = 2
# A subscription whose sink is a channel; its outbox may refer to payloads too.
CHANNEL_FORMAT = 3
# The newest that it reads.
FORMAT = CHANNEL_FORMAT
