"""Every key of the store, and how keys are spread over partitions.

Each key of a partition carries the hash tag `{p}`, so that on Redis Cluster all keys of a
script live in one slot. Lua scripts get the tag and derive the same names; the names here
and there are compared by a test.
"""

import hashlib
import re
import secrets
import zlib
from functools import lru_cache

__all__ = [
    "OPERATOR",
    "OPERATOR_CONDITIONS",
    "PROCESSES_KEY",
    "RECENT_CALLS_KEY",
    "REGISTRATION_FIELD",
    "SWEEPER_TURN",
    "WORKERS_KEY",
    "Partition",
    "activity_key",
    "bucket_key",
    "call_trace_key",
    "channel_key",
    "client_channels_key",
    "client_key",
    "end_note",
    "end_notes_of",
    "erased_key",
    "new_subscription_id",
    "partition_of",
    "partition_of_subscription",
    "process_key",
    "rate_slots_key",
    "read_end_note",
    "session_key",
    "session_of_trace",
    "session_state_key",
    "set_aside_key",
    "shares_slot",
]

_ID = re.compile(r"[0-9a-f]{32}-([0-9a-f]{2,8})")
# Of which it is remembered that an id may end with it: most stores have 64 partitions.
_MAX_NAMED = 1024


class Partition:
    """The keys of partition `number`."""

    __slots__ = ("number", "tag")

    def __init__(self, number: int) -> None:
        self.number = number
        self.tag = f"{{{number}}}"

    @property
    def due(self) -> str:
        """zset: subscription id → next attempt, ms."""
        return f"{self.tag}:due"

    @property
    def clients(self) -> str:
        """zset: client with something due in a crowd → its place in the round. A hint, as the next two."""
        return f"{self.tag}:clients"

    def hosts(self, client: str) -> str:
        """zset: host and port of that client's sinks → its place in the round."""
        return f"{self.tag}:hosts:{client}"

    def queue(self, client: str, host: str) -> str:
        """list: subscriptions of that client and host that are due, or were."""
        return f"{self.tag}:queue:{client} {host}"

    @property
    def ends(self) -> str:
        """zset: subscription id or `registration:<id>` → when time ends or removes it, ms."""
        return f"{self.tag}:ends"

    @property
    def dead(self) -> str:
        """stream: dead letters, capped."""
        return f"{self.tag}:dead"

    @property
    def attempts(self) -> str:
        """stream: recent delivery attempts, capped."""
        return f"{self.tag}:attempts"

    @property
    def marks(self) -> str:
        """stream: how far the writes of its node had come, capped; of some partition of each node."""
        return f"{self.tag}:marks"

    @property
    def payloads(self) -> str:
        """zset: sha1 of a payload that several outboxes hold → when its holders are looked at, ms."""
        return f"{self.tag}:payloads"

    def payload(self, sha: str) -> str:
        """hash: `payload`, and a field `<subscription>:<outbox number>` for each entry that refers to it."""
        return f"{self.tag}:payload:{sha}"

    @property
    def rebuild(self) -> str:
        """set: names of indexes that are keys of another type and are to be made anew (rebuild.py)."""
        return f"{self.tag}:rebuild"

    @property
    def clock(self) -> str:
        """string with TTL: what the store's clock said last, and the partition's time then, ms."""
        return f"{self.tag}:clock"

    @property
    def wakeup(self) -> str:
        """sharded channel: something became due."""
        return f"{self.tag}:wakeup"

    @property
    def ended(self) -> str:
        """zset: notes of subscriptions that are over and still count in their client's index → 0."""
        return f"{self.tag}:ended"

    @property
    def kept_for_sweeper(self) -> tuple[str, ...]:
        """What is there only while the sweeper has work with it."""
        return self.rebuild, self.initial, self.ended, self.payloads, self.device_ends

    def subscription(self, subscription_id: str) -> str:
        """hash: the subscription, its counters, lease and fence."""
        return f"{self.tag}:subscription:{subscription_id}"

    def outbox(self, subscription_id: str) -> str:
        """list: accepted events that are not settled, oldest first."""
        return f"{self.tag}:outbox:{subscription_id}"

    def registration(self, event_type: str, registration_id: str) -> str:
        """set: subscriptions of that type to that registration."""
        return f"{self.tag}:registration:{event_type}:{registration_id}"

    def device(self, device: str, client: str) -> str:
        """set: subscriptions of that client to that device, of whatever types. A deviceId has no spaces."""
        return f"{self.tag}:device:{device} {client}"

    @property
    def devices(self) -> str:
        """string of bits: to which devices there may be subscriptions (device_marks.py), none without it."""
        return f"{self.tag}:devices"

    @property
    def devices_elsewhere(self) -> str:
        """string of bits, for a moment: those of `devices` that other partitions have, to be added here."""
        return f"{self.tag}:devices-elsewhere"

    @property
    def device_ends(self) -> str:
        """hash: `<its expiry, ms> <registration that time ended>` → what its device is to hear yet, JSON."""
        return f"{self.tag}:device-ends"

    def registration_record(self, registration_id: str) -> str:
        """hash: what the gateway said of a registration."""
        return f"{self.tag}:registration-record:{registration_id}"

    def registration_state(self, registration_id: str) -> str:
        """hash with TTL: the registration's latest invitation, and its end."""
        return f"{self.tag}:registration-state:{registration_id}"

    @property
    def initial(self) -> str:
        """zset: subscription id → since when its initial event is pending, ms."""
        return f"{self.tag}:initial"

    def sequence(self, subscription_id: str, media_session_id: str) -> str:
        """string with TTL: the latest sequence number counted for it."""
        return f"{self.tag}:sequence:{subscription_id}:{media_session_id}"

    def session(self, media_session_id: str) -> str:
        """set: session-status subscriptions of this partition to that session."""
        return f"{self.tag}:session:{media_session_id}"

    def seen(self, source: str, event_id: str) -> str:
        """string with TTL: this network event was appended here."""
        return f"{self.tag}:seen:{source} {event_id}"

    def lacking(self, source: str, event_id: str) -> str:
        """set with TTL: subscriptions that this network event is still to be appended to here."""
        return f"{self.tag}:lacking:{source} {event_id}"

    def matched(self, source: str, event_id: str) -> str:
        """string with TTL: to how many it was appended, while it is lacking to others."""
        return f"{self.tag}:matched:{source} {event_id}"

    def ending(self, registration_id: str) -> str:
        """set with TTL: subscriptions that are still to end with that registration, which time ends."""
        return f"{self.tag}:ending:{registration_id}"

    def channel(self, channel_id: str) -> str:
        """hash with TTL: the counters of a channel's log here. Without it nothing is written to the log."""
        return f"{self.tag}:channel:{channel_id}"

    def channel_log(self, channel_id: str) -> str:
        """stream with TTL: the events of a channel's subscriptions in this partition, capped."""
        return f"{self.tag}:channel-log:{channel_id}"

    def channel_subscriptions(self, channel_id: str) -> str:
        """set with TTL: the subscriptions of a channel here that are not over, and '' if it has them all."""
        return f"{self.tag}:channel-subscriptions:{channel_id}"

    @property
    def channel_news(self) -> str:
        """sharded channel: the id of a channel whose log here has something new, or that has ended."""
        return f"{self.tag}:channel-news"


class _OperatorPartition(Partition):
    """What is reported to operators waits beside the partitions of subscriptions (operator_outbox.py).

    No pattern that finds their keys finds these.
    """

    __slots__ = ()

    def __init__(self) -> None:
        self.number = -1
        self.tag = "operator:{operator}"


OPERATOR = _OperatorPartition()
"""No event of a client is here, and nobody looks here but whoever serves operators."""

OPERATOR_CONDITIONS = f"{OPERATOR.tag}:conditions"
"""hash with TTL: the conditions that were reported to operators, and their version."""

SWEEPER_TURN = "sweeper-turn"
"""string with TTL: whose turn it is to look what time does. A hint."""

WORKERS_KEY = "workers"
"""zset with TTL: name of a running worker → when it is forgotten, ms. A hint."""

PROCESSES_KEY = "processes"
"""zset with TTL: name of a process → when it last said what it does, ms. For people, as the next two."""


def process_key(name: str) -> str:
    """string with TTL: what the process said of itself last, JSON (core/process_report.py)."""
    return f"process:{name}"


def activity_key(minute: int) -> str:
    """hash with TTL: name of a process → what it counted in that minute since the epoch (activity_log.py)."""
    return f"activity:{minute}"


RECENT_CALLS_KEY = "trace-sessions"
"""zset with TTL: media session that has a trace → when something was last written to it, ms. A hint."""


def set_aside_key(key: str) -> str:
    """What was found in place of a key, of another type: kept until an operator drops it."""
    return f"set-aside:{key}"


def session_key(media_session_id: str) -> str:
    """set: the partitions that hold subscriptions to that session."""
    return f"session:{{{media_session_id}}}"


def shares_slot(media_session_id: str) -> bool:
    """Whether both keys of a session are in one slot of a cluster: `{}` is no hash tag."""
    return not media_session_id.startswith("}")


# In front of a registration's id, in the state of a session that involves it, and in its trace.
REGISTRATION_FIELD = "r:"


def session_state_key(media_session_id: str) -> str:
    """hash with TTL: the session's latest status and the registrations it involves."""
    return f"session:{{{media_session_id}}}:state"


def call_trace_key(media_session_id: str) -> str:
    """hash with TTL: the entries of the session's trace, by number, and what they come to (trace.lua)."""
    return f"session:{{{media_session_id}}}:trace"


def session_of_trace(key: str) -> str:
    """The mediaSessionId in a key that `call_trace_key` made."""
    return key.removeprefix("session:{").removesuffix("}:trace")


def erased_key(registration: str) -> str:
    """string with TTL: the registration was erased a moment ago, so no trace that is written late names it.

    By its hash: to be erased is no reason to be named.
    """
    return f"erased:{{{hashlib.sha256(registration.encode('utf-8', 'surrogateescape')).hexdigest()}}}"


def bucket_key(client: str) -> str:
    """hash with TTL: the client's token bucket."""
    return f"quota:{{{client}}}"


def rate_slots_key(sink: str) -> str:
    """zset with TTL: the slots of subscriptions at a sink that limits the notifications a minute."""
    return f"turns:{{{hashlib.sha256(sink.encode()).hexdigest()[:32]}}}"


def client_key(client: str) -> str:
    """zset: subscription id of that client → when it was named here, s, and its standing (client_index.lua).

    Some may not exist.
    """
    return f"client:{{{client}}}"


def channel_key(channel_id: str) -> str:
    """hash with TTL: a channel: its owner, the hash of its token, the partitions with a log of it."""
    return f"channel:{{{channel_id}}}"


def client_channels_key(client: str) -> str:
    """zset with TTL: channel of that client → when it is forgotten unless it is used before, ms."""
    return f"channels:{{{client}}}"


def end_note(client: str, subscription_id: str) -> str:
    """A member of a partition's `ended`. Source: lua/shared/endings.lua."""
    return f"{_of_client(client)}{subscription_id}"


def end_notes_of(client: str) -> tuple[str, str]:
    """Between which members of a partition's `ended` those of a client are, as ZRANGE BYLEX takes it."""
    first = _of_client(client)
    return f"[{first}", f"({first[:-1]}!"


def read_end_note(note: str) -> tuple[str, str] | None:
    """Client and subscription id; None: it is no such note."""
    _, _, named = note.partition(":")
    client, _, subscription_id = named.rpartition(" ")
    return (client, subscription_id) if end_note(client, subscription_id) == note else None


def _of_client(client: str) -> str:
    """With its length in front, no client's notes begin like those of another."""
    return f"{len(client.encode('utf-8', 'surrogateescape'))}:{client} "


def partition_of(routing_key: str, partitions: int) -> Partition:
    """The partition of a registrationId, or of a deviceId in lower case."""
    return Partition(zlib.crc32(routing_key.encode()) % partitions)


def new_subscription_id(partition: Partition) -> str:
    """128 random bits in hex, then the partition, so that the id alone finds its keys."""
    return f"{secrets.token_hex(16)}-{partition.number:02x}"


def partition_of_subscription(subscription_id: str, partitions: int) -> Partition | None:
    """The partition that an id names, or None if no subscription can have that id."""
    match = _ID.fullmatch(subscription_id)
    return None if match is None else _named_partition(match[1], partitions)


# Lists look for those of all their ids.
@lru_cache(_MAX_NAMED)
def _named_partition(name: str, partitions: int) -> Partition | None:
    number = int(name, 16)
    return Partition(number) if number < partitions and f"{number:02x}" == name else None
