"""Takes in what Kamailio keeps, batch after batch, and asks for what it may have missed."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from webrtc_events.core.clock import Clock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.core.setting_values import HostPort
from webrtc_events.gateways.journal import Journal, JournalUnwritable, QueueFull
from webrtc_events.gateways.kamailio.calls import Calls
from webrtc_events.gateways.kamailio.connection import Connection, KamailioSilent, NotKamailio
from webrtc_events.gateways.kamailio.intake import Intake, Position
from webrtc_events.gateways.kamailio.registrations import Registrations
from webrtc_events.gateways.ownership import Ownership
from webrtc_events.gateways.receiver_figures import ReceiverFigures

__all__ = ["KamailioOptions", "KamailioReceiver", "kamailio_receiver"]

log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 10.0
_MAX_DELAY_S: Final = 5.0
_ASK_EVERY_S: Final = 60.0
_ASKED_AT_ONCE: Final = 50
# An end of a batch may be under way before the list is asked for.
_BATCHES_TO_A_LIST: Final = 3


@dataclass(frozen=True, slots=True)
class KamailioOptions:
    """`evapi`: where to connect to. `lost_after_s`: how long Kamailio is away before open calls are ended."""

    evapi: HostPort
    source: str
    lost_after_s: float


def kamailio_receiver(
    options: KamailioOptions, ownership: Ownership, grace_s: int, domain: str, clock: Clock
) -> "Callable[[Journal], KamailioReceiver]":
    """What makes one for a journal."""

    def make(journal: Journal) -> KamailioReceiver:
        lines = LineLimit(clock)
        calls, registrations = Calls(ownership, domain), Registrations(ownership, grace_s * 1000, lines)
        intake = Intake(journal, calls, registrations, options.source, lines)
        return KamailioReceiver(intake, options, clock, lines)

    return make


class KamailioReceiver:
    """A thread."""

    def __init__(self, intake: Intake, options: KamailioOptions, clock: Clock, lines: LineLimit) -> None:
        self._intake = intake
        self._options = options
        self._clock = clock
        self._lines = lines
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._was_connected = False
        self._heard_s = clock.monotonic()
        self.figures.heard_s = self._heard_s
        self._thread = threading.Thread(target=self._run, name="kamailio", daemon=True)

    @property
    def description(self) -> str:
        return f"Takes what the Kamailio at {self._options.evapi} keeps."

    @property
    def figures(self) -> ReceiverFigures:
        return self._intake.figures

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        connection = self._connection
        if connection is not None:
            connection.close()
        if self._thread.ident is not None:
            self._thread.join()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def tidy(self) -> None:
        self._intake.forget()

    def _run(self) -> None:
        delay_s = 0.0
        while not self._stopping.wait(delay_s):
            delay_s = min(_MAX_DELAY_S, delay_s * 2 or 0.2)
            try:
                if self._connected():
                    delay_s = 0.2
            except (KamailioSilent, NotKamailio) as error:
                if not self._stopping.is_set():
                    self._warn("connection", f"{error}; Kamailio keeps what happens, the adapter tries again")
            except (QueueFull, JournalUnwritable) as error:
                self._warn("journal", f"nothing is taken from Kamailio, which keeps it: {error}")
                delay_s = _MAX_DELAY_S
            self._end_lost_calls()

    def _connected(self) -> bool:
        """Until the connection ends. Returns whether Kamailio answered."""
        connection = self._connection = Connection(self._options.evapi, _TIMEOUT_S)
        answered = False
        try:
            ask_at_s = self._clock.monotonic()
            while not self._stopping.is_set():
                self._take(connection, self._intake.position())
                position = self._intake.position()
                if not answered:
                    log.info("connected to the Kamailio at %s", self._options.evapi)
                    self.figures.reconnects += self._was_connected
                    self._was_connected = True
                answered = True
                if self._clock.monotonic() >= ask_at_s or position.incomplete:
                    ask_at_s = self._clock.monotonic() + _ASK_EVERY_S
                    self._ask(connection, position)
        finally:
            connection.close()
        return answered

    def _take(self, connection: Connection, position: Position) -> None:
        batch = connection.next_batch(position)
        self._heard_s = self._clock.monotonic()
        self.figures.heard_s = self._heard_s
        if lost := self._intake.take(batch):
            log.error("Kamailio had no room for %d records: raise WEBRTC_EVENTS_MAX_BYTES", lost)

    def _ask(self, connection: Connection, position: Position) -> None:
        """What Kamailio knows of the calls that are open; at first, and after a loss, of all addresses too.

        The answers are records, and come after what Kamailio has queued before.
        """
        calls = self._intake.open_calls()
        for begin in range(0, len(calls), _ASKED_AT_ONCE):
            for call in calls[begin : begin + _ASKED_AT_ONCE]:
                connection.ask_call(call)
            self._take(connection, self._intake.position())
        if position.incomplete:
            found = self._addresses(connection)
            for begin in range(0, len(found), _ASKED_AT_ONCE):
                for address in found[begin : begin + _ASKED_AT_ONCE]:
                    connection.ask_address(address)
                self._take(connection, self._intake.position())
            self._intake.complete()

    def _addresses(self, connection: Connection) -> list[str]:
        """Those that are known, and those that Kamailio knows, if its config says them."""
        connection.ask_addresses()
        for _ in range(_BATCHES_TO_A_LIST):
            # Whoever knows no run of Kamailio is answered at once.
            self._take(connection, Position())
            if connection.addresses is not None:
                break
        listed = connection.addresses or []
        if not listed:
            log.info("Kamailio lists no addresses: what has registered becomes known as it renews")
        return list(dict.fromkeys([*self._intake.addresses(), *listed]))

    def _end_lost_calls(self) -> None:
        away_s = self._clock.monotonic() - self._heard_s
        if away_s < self._options.lost_after_s or self._stopping.is_set():
            return
        try:
            ended = self._intake.end_calls(f"Kamailio has not answered for {self._options.lost_after_s:g} s")
        except (QueueFull, JournalUnwritable) as error:
            self._warn("journal", f"calls that are lost cannot be ended: {error}")
            return
        if ended:
            log.error("%d calls are ended: Kamailio has not answered for %.0f s", ended, away_s)

    def _warn(self, kind: str, words: str) -> None:
        if (left_out := self._lines.admit(kind)) is not None:
            log.warning("%s%s", words, f" ({left_out} such lines left out)" if left_out else "")
