"""`webrtc-events worker --processes N`: a parent of N workers."""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack

from webrtc_events.cli.options import SLOT_OPTION, given_environ
from webrtc_events.core.child_processes import ChildProcesses, Places
from webrtc_events.core.clock import Clock, SystemClock
from webrtc_events.core.log_start import say
from webrtc_events.core.setting_values import HostPort
from webrtc_events.core.settings import LEAST_WORKER_BYTES, PREFIX, Settings, SettingsError
from webrtc_events.core.stop_signals import StopSignals
from webrtc_events.telemetry.trace_start import check_tracing

__all__ = ["run_processes", "shared_out"]

_LOOK_S = 0.2
_HURRIED = 130


def shared_out(settings: Settings, processes: int) -> dict[str, str]:
    """What each process is given of what one worker may have, as environment variables. They win over a file.

    Raises:
        SettingsError: a limit is too small to be divided among them.
    """
    divided = {name: getattr(settings, name) // processes for name in ("sink_in_flight", "sink_connections")}
    faults = [
        f"{PREFIX}{name.upper()} is {getattr(settings, name)}, too few for {processes} processes"
        for name, share in divided.items()
        if share == 0
    ]
    if faults:
        raise SettingsError(faults)
    # An event that is accepted must fit.
    least = max(settings.event_bytes, LEAST_WORKER_BYTES)
    divided["worker_bytes"] = max(settings.worker_bytes // processes, least)
    return {f"{PREFIX}{name.upper()}": str(share) for name, share in divided.items()}


def run_processes(settings: Settings, processes: int, notify: Callable[[str], None]) -> None:
    """Runs that many workers until a signal. `notify` tells the service manager, see sd_notify(3)."""
    check_tracing(settings)
    shares = shared_out(settings, processes)
    # A share and a file with the whole would be two values of one setting.
    left_out = {"NOTIFY_SOCKET", *(f"{name}_FILE" for name in shares)}
    environ = {name: value for name, value in given_environ().items() if name not in left_out}
    command = [sys.executable, "-P", "-m", "webrtc_events.cli", "worker"]
    with ExitStack() as stack, StopSignals() as signals:
        clock = SystemClock()
        places = _exposed(stack, settings.metrics_address, clock)
        children = ChildProcesses(command, environ | shares, processes, clock, places)
        status = _watch(children, signals, notify)
        signals.finish(children.stop)
        if signals.hurried():
            children.kill()
            os._exit(_HURRIED)
    if status is not None:
        sys.exit(status)


def _exposed(stack: ExitStack, address: HostPort | None, clock: Clock) -> Places | None:
    """One listener for the metrics of all, in this process, which has little else to do.

    Raises:
        CannotStart: it cannot listen there.
    """
    if address is None:
        return None
    from webrtc_events.telemetry.exposition import registry_of
    from webrtc_events.telemetry.listener import MetricsListener, url_of
    from webrtc_events.telemetry.process_group import ProcessGroup

    group = ProcessGroup.open(address)
    stack.callback(group.close)
    listener = MetricsListener(group.listener, registry_of(group.slots.read_all), clock)
    listener.start()
    stack.callback(listener.stop)
    logging.getLogger(__name__).info("metrics are at %s", url_of(group.listener))
    return Places(
        # Places are counted from 1.
        options=lambda number: (SLOT_OPTION, str(group.slots.descriptor), str(number - 1)),
        descriptors=[group.slots.descriptor],
        ended=lambda number: group.note_end(number - 1),
    )


def _watch(children: ChildProcesses, signals: StopSignals, notify: Callable[[str], None]) -> int | None:
    """Until a signal, or until one ends before all are ready: the exit status for this process."""
    announced = False
    while not signals.wait(_LOOK_S):
        status = children.watch()
        if status is not None:
            # One that was killed has a status below 0.
            return status if status > 0 else 1
        if children.ready and not announced:
            announced = True
            notify("READY=1")
            pids = ", ".join(map(str, children.pids))
            logging.getLogger(__name__).info("%d processes deliver: %s", len(children.pids), pids)
            say("Delivering. Ctrl-C stops the workers after the deliveries under way.")
    return None
