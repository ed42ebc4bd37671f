"""An adapter as a process: its queue, its publisher, its receiver, from the start to a signal."""

import logging
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from webrtc_events.core.clock import Clock
from webrtc_events.core.log_start import say
from webrtc_events.core.setting_values import HostPort
from webrtc_events.core.start_faults import CannotStart
from webrtc_events.core.stop_signals import StopSignals
from webrtc_events.gateways.journal import (
    DEFAULT_LIMITS,
    Journal,
    JournalLimits,
    JournalUnwritable,
    QueueFull,
)
from webrtc_events.gateways.publisher import Publisher
from webrtc_events.gateways.receiver_figures import ReceiverFigures
from webrtc_events.gateways.service_client import Access, ServiceClient

if TYPE_CHECKING:
    from webrtc_events.telemetry.exporter import Exporter

__all__ = ["AdapterOptions", "Receiver", "run_adapter"]

log = logging.getLogger(__name__)

_HOUR_MS: Final = 3_600_000
_TIDY_EVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class AdapterOptions:
    """What the command line says to every adapter. `metrics`: where it is scraped; None: nowhere."""

    adapter: str
    queue: Path
    service: str
    access: Access
    ca_file: Path | None = None
    max_age_h: float = 24.0
    limits: JournalLimits = DEFAULT_LIMITS
    metrics: HostPort | None = None


class Receiver(Protocol):
    """What takes in what a gateway says, and keeps it in the journal."""

    @property
    def description(self) -> str:
        """What it does, for the person who started it."""

    @property
    def figures(self) -> ReceiverFigures:
        """What it has counted until now."""

    def start(self) -> None:
        """
        Raises:
            CannotStart: it cannot listen, say.
        """

    def stop(self) -> None:
        """What was begun is finished."""

    def is_alive(self) -> bool:
        """Whether it still takes in."""

    def tidy(self) -> None:
        """Forgets what is over; called once a minute.

        Raises:
            QueueFull, JournalUnwritable: nothing has changed; the next call does it.
        """


def run_adapter(
    options: AdapterOptions,
    make_receiver: Callable[[Journal], Receiver],
    clock: Clock,
    notify: Callable[[str], None] = lambda _state: None,
) -> None:
    """Until a signal. `notify` tells a service manager.

    Raises:
        CannotStart: the queue or the receiver.
    """
    with ExitStack() as stack, StopSignals() as signals:
        journal = Journal(options.queue, clock, options.limits)
        stack.callback(journal.close)
        journal.belong_to(options.adapter)
        service = ServiceClient(options.service, options.access, clock, options.ca_file)
        stack.callback(service.close)
        publisher = Publisher(journal, service, clock, round(options.max_age_h * _HOUR_MS))
        receiver = make_receiver(journal)
        if (exporter := _exporter(options, publisher, receiver, clock)) is not None:
            exporter.start()
            stack.callback(exporter.stop)
        publisher.start()
        stack.callback(publisher.stop)
        receiver.start()
        notify("READY=1")
        say(f"{receiver.description} Ctrl-C stops the adapter; what waits stays in {options.queue}.")
        tidy_at_s = clock.monotonic() + _TIDY_EVERY_S
        while not signals.wait(1.0):
            if clock.monotonic() >= tidy_at_s:
                tidy_at_s = clock.monotonic() + _TIDY_EVERY_S
                _tidy(receiver)
            if not (publisher.is_alive() and receiver.is_alive()):
                signals.finish(receiver.stop)
                raise CannotStart("a thread of the adapter has ended; see the log")
        notify("STOPPING=1")
        signals.finish(receiver.stop)
        # Its request is waited for, half a minute at most, unless a second signal comes.
        signals.finish(publisher.stop)
        if signals.hurried():
            os._exit(130)


def _exporter(
    options: AdapterOptions, publisher: Publisher, receiver: Receiver, clock: Clock
) -> "Exporter | None":
    if options.metrics is None:
        return None
    from webrtc_events.gateways.adapter_metrics import adapter_exporter

    return adapter_exporter(
        options.metrics,
        options.queue,
        options.limits.max_bytes,
        lambda: publisher.figures,
        lambda: receiver.figures,
        clock,
    )


def _tidy(receiver: Receiver) -> None:
    try:
        receiver.tidy()
    except (QueueFull, JournalUnwritable) as error:
        log.error("the queue cannot be tidied: %s", error)  # noqa: TRY400 (its text says all)
