"""The metrics of a process: gathered from its parts, exposed by itself or by the group that it belongs to."""

import logging
import socket
import threading
from collections.abc import Sequence

from webrtc_events.core.clock import Clock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.core.loops import Loop
from webrtc_events.core.settings import Settings
from webrtc_events.telemetry.exposition import registry_of
from webrtc_events.telemetry.families import FAMILIES
from webrtc_events.telemetry.listener import MetricsListener, listen, url_of
from webrtc_events.telemetry.process_group import Place, inherited
from webrtc_events.telemetry.slots import SlotTooSmall
from webrtc_events.telemetry.snapshot import Snapshot, add_part, continued
from webrtc_events.telemetry.sources import Source, Values, of_process

__all__ = ["Exporter"]

log = logging.getLogger(__name__)

_WRITE_S = 1.0
_STOP_S = 2.0


class Exporter:
    """`add` what there is, then `start`, and `stop` once all has been counted. `roles`: see `of_process`.

    Of a process alone it listens, and asks the parts when it is scraped. Of one in a group (`place`) it
    writes every second what they say, and listens where the group's parent leaves that to its children.
    """

    def __init__(
        self, roles: Sequence[str], clock: Clock, listener: socket.socket | None, place: Place | None = None
    ) -> None:
        self._clock = clock
        self._socket = listener
        self._place = place
        self.url = None if listener is None else url_of(listener)
        self._sources: list[Source] = [of_process(*roles)]
        self._lines = LineLimit(clock)
        self._writing = threading.Lock()
        self._former = None if place is None else place.slots.read(place.number)
        self._loop = None if place is None else Loop("metrics writer", self._round, clock)
        self._listener = None
        if listener is not None:
            self._listener = MetricsListener(listener, registry_of(self._snapshots), clock)

    @classmethod
    def of(cls, settings: Settings, clock: Clock, *roles: str) -> "Exporter | None":
        """Of a process that may have a place in a group; None: it is not to be scraped.

        Raises:
            CannotStart: it cannot listen where the settings say.
        """
        if settings.metrics_address is None:
            return None
        place = inherited()
        if place is not None:
            return cls(roles, clock, place.listener, place)
        exporter = cls(roles, clock, listen(settings.metrics_address))
        log.info("metrics are at %s", exporter.url)
        return exporter

    @property
    def reads_store(self) -> bool:
        """Whether this process is the one of its group that says what is in the store."""
        return self._place is None or self._place.number == 0

    def add(self, *sources: Source) -> None:
        self._sources += sources

    def start(self) -> None:
        if self._loop is not None:
            self._loop.start()
        if self._listener is not None:
            self._listener.start()

    def stop(self) -> None:
        """What was counted until now is what is left of this process."""
        if self._listener is not None:
            self._listener.stop()
        if self._loop is not None:
            self._loop.ask_to_stop()
            self._loop.join(_STOP_S)
            self._write()
        if self._place is None and self._socket is not None:
            self._socket.close()

    def _snapshots(self) -> Sequence[Snapshot]:
        if self._place is None:
            return [self._own()]
        self._write()
        return self._place.slots.read_all()

    def _own(self) -> Snapshot:
        values: Values = {}
        for source in self._sources:
            for name, of_family in source().items():
                add_part(values.setdefault(name, {}), FAMILIES[name], of_family)
        return Snapshot(self._clock.monotonic(), values)

    def _round(self) -> None:
        self._write()
        if self._loop is not None:
            self._loop.pause(_WRITE_S)

    def _write(self) -> None:
        """What cannot be written now comes with the next round: counts are whole each time."""
        place = self._place
        if place is None:
            return
        snapshot = self._own()
        if self._former is not None:
            snapshot = continued(snapshot, self._former)
        try:
            with self._writing:
                place.slots.write(place.number, snapshot)
        except (OSError, SlotTooSmall) as error:
            if self._lines.admit("write") is not None:
                log.warning("the metrics of this process are not up to date: %s", error)
