"""Checks the store: whether it answers, what it is, whether it keeps what it is given, memory, clocks."""

from collections.abc import Iterator
from typing import Final

from webrtc_events.cli.doctor.findings import Area, Finding, Level, error, fine, warning
from webrtc_events.console.overview.wording import percent, plural, size
from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.settings import Settings
from webrtc_events.store.durability.crash_loss import described
from webrtc_events.store.durability.findings import Bearing
from webrtc_events.store.durability.findings import Finding as StoreFinding
from webrtc_events.store.first_start import made_for
from webrtc_events.store.node_status import NodeStatus, read_status
from webrtc_events.store.redis.scripts import Client, connect

__all__ = ["check_store"]

_NEARLY_FULL: Final = 0.9
_AWAY: Final = "Start it, or set WEBRTC_EVENTS_REDIS_URL right; without it nothing is accepted or delivered."


def check_store(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Reads only."""
    try:
        client = connect(settings.redis_url)
    except Unavailable as fault:
        yield _away(fault)
        return
    try:
        yield from _checked(client, settings, clock)
    except Unavailable as fault:
        yield _away(fault)
    finally:
        client.close()


def _away(fault: Unavailable) -> Finding:
    return error(Area.STORE, f"the store does not answer: {fault.__cause__ or fault}", _AWAY)


def _checked(client: Client, settings: Settings, clock: Clock) -> Iterator[Finding]:
    status = read_status(client, settings.store_watermark, clock)
    for address in status.silent:
        action = "Look at its machine and its log; what its partitions hold waits for it."
        yield error(Area.STORE, f"the node at {address} does not answer", action)
    for node in status.nodes:
        yield fine(Area.STORE, f"{described(node.facts)}, at {node.facts.address}{_ahead(node)}")
        yield from _memory(node, settings.store_watermark)
        yield from _replicas(node, settings.ack_replicas)
    for finding in status.findings:
        yield _of_store(finding, required=settings.require_durable_store)
    yield from _partitions(made_for(client), settings.partitions)


def _ahead(node: NodeStatus) -> str:
    clock = node.facts.clock
    if clock is None:
        return ""
    give_or_take = f"give or take {clock.error_s * 1000:.0f} ms"
    if abs(clock.ahead_s) <= clock.error_s:
        return f"; its clock is that of this machine, {give_or_take}"
    way = "ahead of" if clock.ahead_s > 0 else "behind"
    return f"; its clock is {abs(clock.ahead_s) * 1000:.0f} ms {way} this machine's, {give_or_take}"


def _of_store(finding: StoreFinding, *, required: bool) -> Finding:
    """What the processes of the service find too. Its text ends with what to do."""
    is_bad = finding.bearing is Bearing.TOO_OLD or (
        required and finding.bearing in (Bearing.NOT_DURABLE, Bearing.UNKNOWN)
    )
    what, _, action = str(finding).partition(". ")
    return Finding(Area.STORE, Level.ERROR if is_bad else Level.WARNING, what.removesuffix("."), action)


def _memory(node: NodeStatus, watermark: int) -> Iterator[Finding]:
    address = node.facts.address
    if node.facts.maxmemory == 0:
        text = f"the store at {address} has no maxmemory: it grows until its machine has no memory left"
        action = f"Set `maxmemory`; above {watermark} % of it nothing new is accepted, and nothing is lost."
        yield warning(Area.STORE, text, action)
    if not node.watermark_bytes or node.used_bytes is None:
        return
    share = node.used_bytes / node.watermark_bytes
    text = f"the store at {address} uses {percent(share)} of {size(node.watermark_bytes)}, its watermark"
    if share > 1:
        action = (
            "Nothing new is accepted. See what waits (`webrtc-events sinks list`), or raise its maxmemory."
        )
        yield error(Area.STORE, text, action)
    elif share > _NEARLY_FULL:
        yield warning(Area.STORE, text, "Raise its maxmemory: at the watermark nothing new is accepted.")
    else:
        yield fine(Area.STORE, text)


def _replicas(node: NodeStatus, wanted: int) -> Iterator[Finding]:
    if node.role != "master" or node.replicas is None:
        return
    text = f"{plural(node.replicas, 'replica')} of the store at {node.facts.address}"
    if node.replicas < wanted:
        action = f"WEBRTC_EVENTS_ACK_REPLICAS is {wanted}: until as many follow, events are refused with 503."
        yield error(Area.STORE, text, action)
    else:
        yield fine(Area.STORE, text)


def _partitions(count: str | None, wanted: int) -> Iterator[Finding]:
    if count is None:
        yield fine(Area.STORE, "the store is empty: nothing has been started on it yet")
    elif count != str(wanted):
        text = f"the store was made for {count} partitions, and WEBRTC_EVENTS_PARTITIONS is {wanted}"
        yield error(Area.STORE, text, f"Set WEBRTC_EVENTS_PARTITIONS={count}; no process starts before.")
    else:
        yield fine(Area.STORE, f"it is made for {count} partitions, as the settings say")
