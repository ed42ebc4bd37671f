"""What the first start on a store decides for every later one."""

import logging

from webrtc_events.core.start_faults import CannotStart
from webrtc_events.store.redis.scripts import Client, store_errors

__all__ = [
    "PartitionMismatch",
    "admits_channels",
    "check_partition_count",
    "made_for",
    "omits_defaults",
    "packs_requests",
    "record_partition_count",
    "shares_payloads",
]

log = logging.getLogger(__name__)

# string: how many partitions the store was made for. The first key of a store.
_MADE_FOR = "partitions"
# string: every release that ever worked on the store knows of payloads that outboxes share; and,
# if it is "2", of records that lack defaults.
_SHARES = "shares-payloads"
_KNOWS_DEFAULTS = "2"


class PartitionMismatch(CannotStart):
    """The store was first started with another number of partitions."""


def check_partition_count(client: Client, partitions: int) -> None:
    """Records the number in a store that is empty.

    Raises:
        Unavailable: the store cannot be reached.
        PartitionMismatch: it was made for another number.
    """
    with store_errors():
        count = client.get(_MADE_FOR)
        if count is None:
            # If one that knows less starts at this moment, its word stays.
            client.set(_SHARES, _KNOWS_DEFAULTS, nx=True)
            if record_partition_count(client, partitions):
                log.info("the store is empty: this is its first start, or it lost what it held")
            count = client.get(_MADE_FOR)
    if count != str(partitions):
        raise PartitionMismatch(
            f"the store was made for {count} partitions; WEBRTC_EVENTS_PARTITIONS asks for {partitions}"
        )


def made_for(client: Client) -> str | None:
    """For how many partitions the store was made; None: it is empty, and nobody has started on it yet."""
    with store_errors():
        count: str | None = client.get(_MADE_FOR)
    return count


def record_partition_count(client: Client, partitions: int) -> bool:
    """Records for how many partitions the store is; False if it is recorded already."""
    with store_errors():
        return bool(client.set(_MADE_FOR, partitions, nx=True))


def shares_payloads(client: Client, setting: str) -> bool:
    """Whether outboxes may share payloads. `setting` is on, off or auto: as the first start decided."""
    if setting != "auto":
        return setting == "on"
    with store_errors():
        return client.get(_SHARES) is not None


def packs_requests(client: Client, setting: str) -> bool:
    """Whether requests are kept packed: in a store that 0.1.0 never used, unless `setting` is off.

    What is packed stays so, and 0.1.0 cannot read it. So it is not enough that no process of 0.1.0 is left.
    """
    return setting != "off" and shares_payloads(client, "auto")


def omits_defaults(client: Client, setting: str) -> bool:
    """Whether records lack what record_defaults.py has: where nobody can come who takes them for damaged."""
    if setting == "off":
        return False
    with store_errors():
        known: str | None = client.get(_SHARES)
    return known == _KNOWS_DEFAULTS


def admits_channels(client: Client, setting: str) -> bool:
    """Whether sinks may be channels: a worker of 0.1.0 does not look at what says that one is.

    So not in a store that it has used, until `setting`, SHARED_PAYLOADS, is on: none of its processes is
    left.
    """
    return setting == "on" or shares_payloads(client, "auto")
