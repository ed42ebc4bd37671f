"""What is wrong with the store, by what its nodes report of themselves.

What is durable is said in crash_loss.py.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from webrtc_events.store.durability.crash_loss import loss_by_crash
from webrtc_events.store.durability.node_facts import NodeFacts, StoreClock

__all__ = ["Bearing", "Finding", "Kind", "find"]

_MIN_RELEASE = (7, 0)
# A clock counts as off above the first, and as right again below the second: it is not to come and go.
_CLOCK_OFF_S = 2.0
_CLOCK_RIGHT_S = 1.0


class Bearing(Enum):
    """NOTE: nothing is wrong. WRONG: somebody should look. NOT_DURABLE: nor is the store durable.

    UNKNOWN: nothing is known to be wrong, but it cannot be shown that the store is durable. TOO_OLD: the
    service cannot work on it.
    """

    NOTE = "note"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    NOT_DURABLE = "not durable"
    TOO_OLD = "too old"


class Kind(Enum):
    """What is found, and its bearing."""

    OLD_RELEASE = "old release", Bearing.TOO_OLD
    LOADING = "loading", Bearing.NOTE
    INFO_REFUSED = "INFO refused", Bearing.WRONG
    NOT_LEARNT = "not learnt", Bearing.UNKNOWN
    NOTHING_ON_DISK = "nothing on disk", Bearing.NOT_DURABLE
    SNAPSHOTS_ONLY = "snapshots only", Bearing.NOT_DURABLE
    NO_FILE = "no append-only file", Bearing.NOT_DURABLE
    NEVER_SYNCED = "append-only file never synced", Bearing.NOT_DURABLE
    NOT_SYNCED_IN_REWRITES = "append-only file not synced in rewrites", Bearing.NOT_DURABLE
    FILE_FAILED = "append-only file failed", Bearing.NOT_DURABLE
    REWRITE_FAILED = "rewrite failed", Bearing.WRONG
    SNAPSHOT_FAILED = "snapshot failed", Bearing.WRONG
    EVICTS = "evicts", Bearing.NOT_DURABLE
    NO_MARKS = "no marks", Bearing.WRONG
    CLOCK_OFF = "clock off", Bearing.WRONG
    CLOCKS_APART = "clocks apart", Bearing.WRONG

    @property
    def bearing(self) -> Bearing:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Finding:
    """`text` goes on after "the store at <address>" and says what to do; `detail` is for everybody to see."""

    kind: Kind
    address: str
    text: str
    detail: str

    def __str__(self) -> str:
        return f"the store at {self.address} {self.text}"

    @property
    def key(self) -> tuple[Kind, str]:
        """The same for as long as the same is wrong at the same place."""
        return self.kind, self.address

    @property
    def bearing(self) -> Bearing:
        return self.kind.bearing

    @property
    def is_of_clocks(self) -> bool:
        return self.kind in (Kind.CLOCK_OFF, Kind.CLOCKS_APART)


def find(nodes: Sequence[NodeFacts], known: Collection[tuple[Kind, str]] = ()) -> list[Finding]:
    """All that is to be said of these nodes. `known` are the keys of what was found the last time."""
    found = [finding for node in nodes for rule in _RULES for finding in rule(node)]
    return [*found, *_clocks_off(nodes, known), *_clocks_apart(nodes, known)]


def _version(node: NodeFacts) -> Iterator[Finding]:
    if node.release is not None and node.release < _MIN_RELEASE:
        text = f"is {node.product} {node.version}, and the service needs version 7 or later. Upgrade it."
        yield Finding(Kind.OLD_RELEASE, node.address, text, "The store's version is too old.")


_PERMISSIONS = {"INFO": "+info", "CONFIG GET": "+config|get"}


def _loading(node: NodeFacts) -> Iterator[Finding]:
    if node.loading:
        yield Finding(
            Kind.LOADING, node.address, "is still reading its data.", "The store is still reading its data."
        )


def _info(node: NodeFacts) -> Iterator[Finding]:
    if "INFO" in node.refused:
        text = "does not permit INFO, which the service's scripts need: they fail. Allow its user +info."
        yield Finding(
            Kind.INFO_REFUSED, node.address, text, "The store does not permit INFO, which the service needs."
        )


def _unknown(node: NodeFacts) -> Iterator[Finding]:
    unknown = {"whether it keeps an append-only file (appendonly)": node.aof is None}
    if node.aof is not False:
        unknown["how often it syncs that file (appendfsync)"] = node.fsync is None
        unknown["whether it can write to that file (INFO)"] = node.aof_written is None
        unknown["whether also in rewrites (no-appendfsync-on-rewrite)"] = node.syncs_in_rewrites is None
    unknown["whether it evicts keys (maxmemory-policy)"] = node.policy is None
    what = ", ".join(name for name, is_unknown in unknown.items() if is_unknown)
    if what:
        wanted = " and ".join(_PERMISSIONS[name] for name in node.refused)
        mend = f" Allow its user {wanted}." if wanted else ""
        text = f"does not say {what}: it cannot be shown that it is durable.{mend}"
        yield Finding(Kind.NOT_LEARNT, node.address, text, "It cannot be shown that the store is durable.")


def _files(node: NodeFacts) -> Iterator[Finding]:
    if node.aof is not False:
        return
    match node.save_points:
        case None:
            kind, what = Kind.NO_FILE, "keeps no append-only file"
        case ():
            kind, what = Kind.NOTHING_ON_DISK, "writes nothing to disk"
        case _:
            kind, what = Kind.SNAPSHOTS_ONLY, "writes snapshots only"
    cause = "restart" if kind is Kind.NOTHING_ON_DISK else "crash"
    what = f"{what}: a {cause} loses {loss_by_crash(node)}."
    yield Finding(
        kind,
        node.address,
        f"{what} Set `appendonly yes` and `appendfsync everysec` (or `always`).",
        f"The store {what}",
    )


def _syncs(node: NodeFacts) -> Iterator[Finding]:
    lost = "a crash of its machine loses the last half minute, or more"
    if node.aof and node.fsync == "no":
        text = f"does not sync its append-only file: {lost}. Set `appendfsync everysec` (or `always`)."
        yield Finding(Kind.NEVER_SYNCED, node.address, text, f"The store does not sync its file: {lost}.")
    elif node.aof and node.syncs_in_rewrites is False:
        text = f"does not sync its append-only file while it is rewritten: then {lost}."
        mend = "Set `no-appendfsync-on-rewrite no`."
        detail = f"The store does not sync its file while it is rewritten: then {lost}."
        yield Finding(Kind.NOT_SYNCED_IN_REWRITES, node.address, f"{text} {mend}", detail)


_SEE_LOG = "Make room on its disk; its log says what failed."


def _append_only_file(node: NodeFacts) -> Iterator[Finding]:
    if node.aof and node.aof_written is False:
        what = "cannot write to its append-only file and takes no writes until it can"
        text = f"{what} (aof_last_write_status:err). {_SEE_LOG}"
        yield Finding(Kind.FILE_FAILED, node.address, text, f"The store {what}.")
    if node.aof and node.aof_rewritten is False:
        what = "could not rewrite its append-only file, which grows"
        text = f"{what} (aof_last_bgrewrite_status:err). {_SEE_LOG}"
        yield Finding(Kind.REWRITE_FAILED, node.address, text, f"The store {what}.")


def _snapshot(node: NodeFacts) -> Iterator[Finding]:
    if node.snapshot_written is False and node.save_points != ():
        what = "could not write its last snapshot"
        if node.stops_without_snapshots:
            what += " and takes no writes until it can"
        yield Finding(
            Kind.SNAPSHOT_FAILED,
            node.address,
            f"{what} (rdb_last_bgsave_status:err). {_SEE_LOG}",
            f"The store {what}.",
        )


def _memory(node: NodeFacts) -> Iterator[Finding]:
    if node.policy not in (None, "noeviction") and node.maxmemory != 0:
        text = (
            f"removes what it holds when its memory is full (maxmemory-policy {node.policy}), accepted "
            "events and who is to get them among it. Set `maxmemory-policy noeviction`."
        )
        yield Finding(
            Kind.EVICTS, node.address, text, "The store removes what it holds when its memory is full."
        )


def _marks(node: NodeFacts) -> Iterator[Finding]:
    if node.takes_marks is False:
        what = "a loss of its data would go unnoticed"
        text = f"does not permit XADD, XRANGE and XREVRANGE on keys *:marks: {what}. Allow its user these."
        yield Finding(Kind.NO_MARKS, node.address, text, f"The store does not permit marks: {what}.")


_RULES: tuple[Callable[[NodeFacts], Iterator[Finding]], ...] = (
    _version,
    _loading,
    _info,
    _unknown,
    _files,
    _syncs,
    _append_only_file,
    _snapshot,
    _memory,
    _marks,
)


def _clocks_off(nodes: Sequence[NodeFacts], known: Collection[tuple[Kind, str]]) -> Iterator[Finding]:
    """Against this host's."""
    for node in nodes:
        if node.clock is None or not _differ(node.clock, (Kind.CLOCK_OFF, node.address) in known):
            continue
        way = "ahead of" if node.clock.ahead_s > 0 else "behind"
        by = f"{abs(node.clock.ahead_s):.1f} s {way} this host's"
        text = (
            f"has a clock that is {by}. Deadlines and expiries go by the store's clock, access tokens by "
            "this host's. Keep them in step (NTP)."
        )
        yield Finding(Kind.CLOCK_OFF, node.address, text, f"A clock of the store is {by}.")


def _clocks_apart(nodes: Sequence[NodeFacts], known: Collection[tuple[Kind, str]]) -> Iterator[Finding]:
    """Against each other's: the one that is ahead of all others."""
    clocks = [(node.clock, node.address) for node in nodes if node.clock is not None]
    if not clocks:
        return
    (slow, at_slow), *_, (fast, at_fast) = sorted([*clocks, clocks[0]], key=lambda pair: pair[0].ahead_s)
    apart = StoreClock(fast.ahead_s - slow.ahead_s, fast.error_s + slow.error_s)
    if _differ(apart, (Kind.CLOCKS_APART, at_fast) in known):
        by = f"{apart.ahead_s:.1f} s"
        text = (
            f"has a clock that is {by} ahead of that of {at_slow}. What is kept on both goes by both clocks. "
            "Keep them in step (NTP)."
        )
        yield Finding(Kind.CLOCKS_APART, at_fast, text, f"The clocks of the store's nodes are {by} apart.")


def _differ(clock: StoreClock, known: bool) -> bool:
    return abs(clock.ahead_s) - clock.error_s > (_CLOCK_RIGHT_S if known else _CLOCK_OFF_S)
