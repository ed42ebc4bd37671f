"""The version of what is kept in the store. Source: docs/decisions/0006-stored-formats.md."""

__all__ = [
    "BASE_FORMAT",
    "CHANNEL_FORMAT",
    "DEVICE_CHANNEL_FORMAT",
    "DEVICE_FORMAT",
    "FORMAT",
    "REFERRING_FORMAT",
]

# What it reads and writes, and what a release before it can live with.
BASE_FORMAT = 1
# A subscription whose outbox may refer to payloads.
REFERRING_FORMAT = 2
# A subscription whose sink is a channel; its outbox may refer to payloads too.
CHANNEL_FORMAT = 3
# A subscription to a device; its outbox may refer to payloads too.
DEVICE_FORMAT = 4
# The same, whose sink is a channel.
DEVICE_CHANNEL_FORMAT = 5
# The newest that it reads.
FORMAT = DEVICE_CHANNEL_FORMAT
