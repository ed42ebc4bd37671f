"""The worker's threads: courier, keeper, and the ear for wake-ups. Start and stop order."""

import logging
import random
import threading
from collections.abc import Callable
from typing import Any, Self

from webrtc_events.addresses import AddressPolicy
from webrtc_events.clock import Clock
from webrtc_events.deliver import Courier, CourierOptions
from webrtc_events.descriptors import raise_descriptor_limit
from webrtc_events.errors import Unavailable
from webrtc_events.masking import Masking, mask_logs
from webrtc_events.notifications import NotificationWriter, WireForms
from webrtc_events.settings import Settings
from webrtc_events.signatures import Signer
from webrtc_events.sink import Sink, SinkPool
from webrtc_events.store import Store, StoreOptions
from webrtc_events.wakeups import Wakeups

__all__ = ["Worker"]

log = logging.getLogger(__name__)

_SWEEP_S = 0.25
_LISTEN_S = 0.2
_PAUSE_S = 0.5
# A thread that has not come round for this long counts as dead for readiness.
_STALE_S = 30.0


class _Loop:
    """A thread that does `work` over and over until it is told to stop.

    A store that does not answer, or a bug in one round, pauses the loop; it never ends it. One that
    has failed by a bug for as long as `_STALE_S` is not alive, whatever its thread does.
    """

    def __init__(self, name: str, work: Callable[[], None], clock: Clock) -> None:
        self._name = name
        self._work = work
        self._clock = clock
        self._stopping = threading.Event()
        self._came_round = clock.monotonic()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def pause(self, seconds: float) -> None:
        """Waits, but not longer than until the loop is told to stop."""
        self._stopping.wait(seconds)

    def tell(self) -> None:
        """Makes the current round the last one."""
        self._stopping.set()

    def join(self, grace_s: float) -> bool:
        """Waits for the last round; False if it did not end within `grace_s`."""
        if self._thread.ident is None:
            # It never began.
            return True
        self._thread.join(grace_s)
        return not self._thread.is_alive()

    def alive(self) -> bool:
        return self._thread.is_alive() and self._clock.monotonic() - self._came_round < _STALE_S

    def _run(self) -> None:
        failing = False
        while not self._stopping.is_set():
            try:
                self._work()
            except Unavailable as error:
                if not failing:
                    log.warning("%s waits for the store: %s", self._name, error.__cause__ or error)
                failing = True
                # It is the store that is away, not this thread: it goes on once the store is back.
                self._came_round = self._clock.monotonic()
                self.pause(_PAUSE_S)
            except Exception:
                log.exception("%s failed in one round and goes on", self._name)
                self.pause(_PAUSE_S)
            else:
                if failing:
                    log.info("%s has the store back", self._name)
                failing = False
                self._came_round = self._clock.monotonic()


class Worker:
    """Delivers and keeps time for every partition. Any number of workers may share a store."""

    def __init__(self, *, store: Store, courier: Courier, sink: Sink[Any], clock: Clock) -> None:
        self._store = store
        self._courier = courier
        self._sink = sink
        self._clock = clock
        self._wakeups: Wakeups = store.wakeups()
        self._listener = _Loop("listener", self._listen, clock)
        self._courier_loop = _Loop("courier", courier.step, clock)
        self._keeper = _Loop("keeper", self._keep, clock)

    @classmethod
    def build(
        cls,
        settings: Settings,
        clock: Clock,
        *,
        options: CourierOptions | None = None,
        store_options: StoreOptions | None = None,
    ) -> Self:
        """Composes a worker. From here on the process's logs are masked, see masking.py.

        Raises:
            Unavailable, PartitionMismatch: see `Store.connect`.
        """
        mask_logs(Masking.of(settings))
        if settings.strict_cloudevents.ids:
            # Which clients there are is not known here: a misspelt id shows itself only where it is read.
            ids = ", ".join(map(repr, sorted(settings.strict_cloudevents.ids)))
            log.info("session-status goes in the strict form to the clients %s", ids)
        descriptors = raise_descriptor_limit()
        options = options or CourierOptions.of(settings, descriptors)
        store = Store.connect(settings, store_options or StoreOptions())
        sink: Sink[Any] = Sink(
            policy=AddressPolicy(settings.sink_allowed_networks, settings.sink_ports),
            ca_file=settings.sink_ca_file,
            clock=clock,
            limits=options.limits,
            pool=SinkPool.of(settings.sink_in_flight, settings.sink_connections, descriptors),
        )
        courier = Courier(
            store=store,
            sink=sink,
            writer=NotificationWriter(WireForms.of(settings), settings, Signer.of(settings, clock)),
            settings=settings,
            clock=clock,
            random=random.random,
            options=options,
        )
        return cls(store=store, courier=courier, sink=sink, clock=clock)

    def start(self) -> None:
        for loop in (self._courier_loop, self._keeper, self._listener):
            loop.start()

    def stop(self, grace_s: float = 15.0) -> bool:
        """Stops claiming, lets what is on its way end and settles it, then closes.

        Returns False if something was still on its way after `grace_s` seconds: its lease runs
        out and another worker sends it again.
        """
        until = self._clock.monotonic() + grace_s
        loops = (self._listener, self._courier_loop, self._keeper)
        for loop in loops:
            loop.tell()
        self._sink.wake()
        ended = [loop.join(max(0.0, until - self._clock.monotonic())) for loop in loops]
        if not all(ended):
            log.error("a thread of the worker does not stop; leaving it to the end of the process")
            return False
        drained = self._drain(until)
        self._wakeups.close()
        self._sink.close()
        self._store.close()
        return drained

    def alive(self) -> dict[str, bool]:
        """Whether each thread still comes round."""
        return {"courier": self._courier_loop.alive(), "keeper": self._keeper.alive()}

    def _drain(self, until: float) -> bool:
        while not self._courier.idle:
            if self._clock.monotonic() >= until:
                log.warning("stopping with deliveries on their way; their leases will run out")
                return False
            try:
                self._courier.step(claiming=False)
            except Unavailable:
                log.warning("cannot settle while stopping: the store does not answer")
                self._clock.sleep(_PAUSE_S)
        return True

    def _listen(self) -> None:
        partition = self._wakeups.wait(_LISTEN_S)
        if partition is not None:
            self._courier.notice(partition)

    def _keep(self) -> None:
        if self._store.was_emptied():
            log.error(
                "the store was emptied: the subscriptions and events that it held are gone; "
                "subscriptions made from now on work"
            )
        if self._store.sweep() == 0:
            self._keeper.pause(_SWEEP_S)
