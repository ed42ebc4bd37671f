"""Watches whether the store keeps what the service accepts: at the start, then every minute.

Each process has such a watch. Every second it also looks whether the store lost what it had, see marks.py.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self

from webrtc_events.core.clock import Clock, format_time
from webrtc_events.core.conditions import Condition, Health
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.loops import Loop
from webrtc_events.core.settings import PREFIX, Settings
from webrtc_events.core.start_faults import CannotStart
from webrtc_events.core.store_url import StoreKind
from webrtc_events.store.durability.conditions import (
    clock_condition,
    durability_condition,
    is_shown_durable,
    writes_condition,
)
from webrtc_events.store.durability.crash_loss import described, loss_by_crash
from webrtc_events.store.durability.finding_log import FindingLog
from webrtc_events.store.durability.findings import Bearing, Finding, find
from webrtc_events.store.durability.marks import Loss, LossKind, Marks
from webrtc_events.store.durability.node_facts import CONFIG_NAMES, NodeFacts, node_facts, store_clock
from webrtc_events.store.first_start import record_partition_count
from webrtc_events.store.redis.scripts import store_errors
from webrtc_events.store.script_options import DEFAULT_OPTIONS, StoreOptions
from webrtc_events.store.store import Store

__all__ = ["DurabilityPolicy", "StoreWatch", "UnfitStore"]

log = logging.getLogger(__name__)

_ROUND_S = 1.0
_LOOK_S = 60.0
# Nothing mends a loss, and nobody is to restart a process for it: readiness shows it for this long.
_LOSS_SHOWN_S = 3600.0
_REQUIRED = f"{PREFIX}REQUIRE_DURABLE_STORE=true"


class UnfitStore(CannotStart):
    """The service is not to start on this store. The message says why, and what to do."""

    passes = True


@dataclass(frozen=True, slots=True)
class DurabilityPolicy:
    """`required`: a store that is not shown to be durable is not to be used.

    `replicated`: what is accepted is on replicas. `replaceable`: a replica may take the place of a node,
    under its address.
    """

    required: bool
    replicated: bool
    replaceable: bool

    @classmethod
    def of(cls, settings: Settings) -> "DurabilityPolicy":
        return cls(
            required=settings.require_durable_store,
            replicated=settings.ack_replicas > 0,
            replaceable=settings.redis_url.kind is StoreKind.SENTINEL,
        )


class StoreWatch:
    """`loop` is to be started, and stopped before the store is closed."""

    def __init__(self, store: Store, policy: DurabilityPolicy, clock: Clock) -> None:
        self.loop = Loop("store watch", self._round, clock)
        self.store = store
        self._clock = clock
        self._policy = policy
        self._marks = Marks(store)
        self._nodes: dict[str, NodeFacts] = {}
        self._log = FindingLog(clock)
        self._next_look = clock.monotonic()
        self._in_trouble = False
        self._lost: tuple[float, str] | None = None
        # The nodes that were found to have lost something in this round.
        self._robbed: set[str] = set()

    @classmethod
    def connect(cls, settings: Settings, clock: Clock, options: StoreOptions | None = None) -> Self:
        """Opens a store and looks at it for the first time: logs which it is, and what is wrong with it.

        Raises:
            Unavailable, PartitionMismatch: see `Store.connect`.
            UnfitStore: the service is not to run on it.
        """
        store = Store.connect(settings, options or DEFAULT_OPTIONS)
        try:
            watch = cls(store, DurabilityPolicy.of(settings), clock)
            watch._begin()
        except BaseException:
            store.close()
            raise
        return watch

    def _begin(self) -> None:
        self._look()
        self._refuse_unfit(self._findings())
        for description, addresses in self._descriptions().items():
            log.info("the store is %s, at %s", description, ", ".join(addresses))
        self._in_trouble = self._lost_since()[1] is not None
        self._report(self._findings())

    def durability(self) -> Condition:
        """By the latest look, and what the store lost within the last hour."""
        if self.loop.started and not self.loop.alive():
            return Condition(Health.DEGRADED, "The store is not looked at any more; the log says why.")
        lost = None
        if self._lost is not None and self._clock.monotonic() < self._lost[0] + _LOSS_SHOWN_S:
            lost = self._lost[1]
        return durability_condition(
            self._log.found, nodes=len(self._nodes), required=self._policy.required, lost=lost
        )

    @property
    def checks(self) -> Mapping[str, Callable[[], Condition]]:
        """All that is looked at, by the words of the metrics."""
        return {"writes": self.writes, "durability": self.durability, "clock": self.clocks}

    def clocks(self) -> Condition:
        """By the latest look."""
        return clock_condition(self._log.found)

    def writes(self) -> Condition:
        """Whether the store takes writes, by the latest round, a second ago."""
        return writes_condition(len(self._marks.failing), len(self._nodes), lost=self._in_trouble)

    def _round(self) -> None:
        self.step()
        self.loop.pause(_ROUND_S)

    def step(self) -> None:
        """Looks whether the store lost anything, and at the store itself when it is time to.

        Raises:
            Unavailable: it cannot be reached, or takes no writes.
        """
        former = self._marks.epochs, self._in_trouble
        losses, trouble = self._lost_since()
        self._in_trouble = trouble is not None
        if losses:
            self._report_losses(losses)
        self._robbed = {loss.address for loss in losses}
        if losses or former != (self._marks.epochs, self._in_trouble):
            # Something happened to it.
            self._next_look = self._clock.monotonic()
        if self._clock.monotonic() >= self._next_look:
            self._look()
            self._report(self._findings())
            with suppress(Unavailable):
                # It may have been emptied. Where the node that has this is out, another look does it.
                record_partition_count(self.store.client, self.store.partitions)
        if trouble is not None:
            raise trouble

    def _lost_since(self) -> tuple[list[Loss], Unavailable | None]:
        """What was lost since the last time, or why that is not known."""
        try:
            return self._marks.check(), None
        except Unavailable as error:
            return [], error

    def _look(self) -> None:
        """Asks every node; what is known of one that does not answer stays.

        Raises:
            Unavailable: none answers.
        """
        self._next_look = self._clock.monotonic() + _LOOK_S
        client = self.store.client
        before = self._clock.now()
        with store_errors():
            answers = client.ask_each(("INFO",), ("CONFIG GET", *CONFIG_NAMES), ("TIME",))
            addresses = client.addresses()
        after = self._clock.now()
        former = self._nodes
        nodes = {address: facts for address, facts in former.items() if address in addresses}
        for address, (info, config, time) in answers.items():
            clock = store_clock(time, before, after)
            if clock is None and address in former:
                clock = former[address].clock
            nodes[address] = node_facts(address, info, config, clock)
        self._nodes = nodes
        self._report_restarts(former)

    def _findings(self) -> list[Finding]:
        refused = self._marks.refused
        nodes = [replace(node, takes_marks=node.address not in refused) for node in self._nodes.values()]
        return find(nodes, self._log.keys)

    def _refuse_unfit(self, found: Sequence[Finding]) -> None:
        too_old = [finding for finding in found if finding.bearing is Bearing.TOO_OLD]
        if too_old:
            raise UnfitStore("\n".join(map(str, too_old)))
        if self._policy.required and not is_shown_durable(found):
            faults = [
                finding for finding in found if finding.bearing in (Bearing.NOT_DURABLE, Bearing.UNKNOWN)
            ]
            lines = [f"{_REQUIRED}, and it cannot be relied on that the store keeps what it is given:"]
            lines += [f"  {finding}" for finding in faults]
            raise UnfitStore("\n".join(lines))

    def _descriptions(self) -> dict[str, list[str]]:
        """The addresses of the nodes, by what they are."""
        found: dict[str, list[str]] = {}
        for node in self._nodes.values():
            found.setdefault(described(node), []).append(node.address)
        return found

    def _report(self, found: Sequence[Finding]) -> None:
        """Logs what is new in it, and opens or closes the guard."""
        self._log.report(found)
        closed = self._policy.required and not is_shown_durable(found)
        if closed == self.store.guard.closed:
            return
        if closed:
            self.store.guard.close()
            log.error("new events and subscriptions are refused until it is durable again (%s)", _REQUIRED)
        else:
            self.store.guard.open()
            log.info("new events and subscriptions are taken again")

    def _report_restarts(self, former: dict[str, NodeFacts]) -> None:
        for address, node in self._nodes.items():
            was = former.get(address)
            if was is None or None in (was.run_id, node.run_id) or was.run_id == node.run_id:
                continue
            lost = loss_by_crash(was)
            if self._policy.replaceable:
                log.warning(
                    "the store at %s was started anew, or a replica has its place: "
                    "what it took last may be lost",
                    address,
                )
            elif lost == "nothing" and address in self._robbed:
                # What it lost is reported already, whatever its settings say.
                continue
            elif lost == "nothing":
                log.info("the store at %s was started anew; by its settings it lost nothing", address)
            else:
                log.warning("the store at %s was started anew; if it crashed, it lost %s", address, lost)

    def _report_losses(self, losses: Sequence[Loss]) -> None:
        for loss in losses:
            log.error("%s", loss)
        if self._policy.replicated and any(loss.kind is LossKind.ROLLED_BACK for loss in losses):
            log.error(
                "events that were accepted are on replicas: they are lost only if none of those took over"
            )
        who = "The store" if len(self._nodes) == 1 else "A node of the store"
        what = "all that it held" if losses[0].kind is LossKind.EMPTIED else "its latest writes"
        now = format_time(round(self._clock.now() * 1000))
        self._lost = (self._clock.monotonic(), f"{who} lost {what}, found out at {now}.")
