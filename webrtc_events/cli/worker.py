"""`webrtc-events worker`: delivery in production."""

import logging
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from webrtc_events.cli.error_handling import handle_cli_errors
from webrtc_events.cli.options import SLOT_OPTION, config_option, given_environ, read_settings
from webrtc_events.core.child_processes import LINK_OPTION, ParentLink
from webrtc_events.core.clock import SystemClock

if TYPE_CHECKING:
    from webrtc_events.core.settings import Settings
    from webrtc_events.telemetry.exporter import Exporter
    from webrtc_events.telemetry.tracing import Tracing
    from webrtc_events.worker import Worker

__all__ = ["worker"]

log = logging.getLogger(__name__)


@click.command()
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many processes deliver: one uses one core at most. They share the worker's limits.",
)
@click.option(LINK_OPTION, type=int, hidden=True)
@click.option(SLOT_OPTION, type=(int, int), hidden=True)
@config_option
@handle_cli_errors
def worker(processes: int, link: int | None, metrics_slot: tuple[int, int] | None) -> None:
    """Deliver notifications and end what expires. The API runs elsewhere.

    Any number of workers may share a store. The settings are environment variables,
    WEBRTC_EVENTS_*. SIGTERM or Ctrl-C stops the worker after the deliveries under way.

    With --processes N, N processes deliver. One that ends is replaced. SINK_IN_FLIGHT, SINK_CONNECTIONS
    and WORKER_BYTES are divided among them, so that a sink sees no more of this worker than before.

    \b
    Example:
      export WEBRTC_EVENTS_REDIS_URL=rediss://store:6379
      export WEBRTC_EVENTS_SECRET_KEY=...                (that of the API)
      export WEBRTC_EVENTS_OPENID_CONFIGURATION_URL=...  (that of the API)
      webrtc-events worker --processes 4
    """
    from webrtc_events.core.log_start import start_log

    start_log(given_environ(), "worker")
    if metrics_slot is not None:
        _take_place(*metrics_slot)
    from webrtc_events.core.process import is_compiled, prepare_process

    prepare_process()
    settings = read_settings()
    if link is None:
        # Once: the processes of one parent run the same.
        compiled = is_compiled("webrtc_events.delivery.task_runner")
        log.info("delivery is %s", "compiled" if compiled else "not compiled")
    if processes > 1:
        from webrtc_events.cli.worker_processes import run_processes

        run_processes(settings, processes, _notify_service_manager)
    else:
        _run(settings, None if link is None else ParentLink(link))


def _run(settings: "Settings", parent: ParentLink | None) -> None:
    """One process that delivers, until a signal, or until its parent is gone."""
    from webrtc_events.core.log_start import say
    from webrtc_events.core.process import loading, spare_what_is_loaded
    from webrtc_events.core.stop_signals import StopSignals
    from webrtc_events.telemetry.trace_start import start_tracing

    with ExitStack() as stack, StopSignals() as signals:
        clock = SystemClock()
        exporter = _exporter(settings, clock)
        tracing = start_tracing(settings, clock)
        with loading():
            running = _built(settings, clock, exporter, tracing)
        spare_what_is_loaded()
        running.start()
        if exporter is not None:
            # Last of all when the process ends: it says what was counted.
            stack.callback(exporter.stop)
            exporter.start()
        if tracing is not None:
            stack.callback(tracing.stop)
        if parent is not None:
            parent.is_ready()
        else:
            _notify_service_manager("READY=1")
            say("Delivering. Ctrl-C stops the worker after the deliveries under way.")
        missed = 0
        while not signals.wait(1.0):
            missed = 0 if all(running.alive().values()) else missed + 1
            # Once proves nothing: after a freeze, this thread may wake up before the others.
            if missed > 2:
                signals.finish(running.stop)
                raise click.ClickException("a thread of the worker no longer comes round; see the log")
        signals.finish(running.stop)
    if signals.hurried():
        os._exit(130)


def _built(
    settings: "Settings", clock: SystemClock, exporter: "Exporter | None", tracing: "Tracing | None"
) -> "Worker":
    from webrtc_events.delivery.cloud_event import EventFormats

    # Before the rest is loaded, which takes the memory that reading the contracts leaves: 2 MB.
    formats = EventFormats.of(settings)

    from webrtc_events.worker import Worker

    return Worker.build(settings, clock, formats=formats, exporter=exporter, tracing=tracing)


def _exporter(settings: "Settings", clock: SystemClock) -> "Exporter | None":
    if settings.metrics_address is None:
        return None
    from webrtc_events.telemetry.exporter import Exporter

    return Exporter.of(settings, clock, "worker")


def _take_place(descriptor: int, number: int) -> None:
    """In the group of the parent, which is scraped for all."""
    from webrtc_events.telemetry.process_group import Place, inherit
    from webrtc_events.telemetry.slots import Slots

    inherit(Place(Slots(descriptor), number))


def _notify_service_manager(state: str) -> None:
    """Tells a service manager that waits for the worker, as gunicorn does."""
    from gunicorn.systemd import sd_notify

    sd_notify(state, logging.getLogger("webrtc_events"))
