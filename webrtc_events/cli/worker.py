"""`webrtc-events worker`: delivery in production."""

import logging
import os

import click

from webrtc_events.cli.error_handling import handle_cli_errors
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.log_config import log_to_stderr

__all__ = ["worker"]


@click.command()
@handle_cli_errors
def worker() -> None:
    """Deliver notifications and end what expires. The API runs elsewhere.

    Any number of workers may share a store. The settings are environment variables,
    WEBRTC_EVENTS_*. SIGTERM or Ctrl-C stops the worker after the deliveries under way.

    \b
    Example:
      export WEBRTC_EVENTS_REDIS_URL=rediss://store:6379
      export WEBRTC_EVENTS_SECRET_KEY=...                (that of the API)
      export WEBRTC_EVENTS_OPENID_CONFIGURATION_URL=...  (that of the API)
      webrtc-events worker
    """
    log_to_stderr()
    from webrtc_events.core.process import prepare_process
    from webrtc_events.core.settings import Settings
    from webrtc_events.core.stop_signals import StopSignals

    prepare_process()
    settings = Settings.from_environ(os.environ)
    # Tells a service manager that waits for the worker, as gunicorn does.
    from gunicorn.systemd import sd_notify

    from webrtc_events.worker import Worker

    with StopSignals() as signals:
        running = Worker.build(settings, SystemClock())
        running.start()
        sd_notify("READY=1", logging.getLogger("webrtc_events"))
        click.echo("Delivering. Ctrl-C stops the worker after the deliveries under way.", err=True)
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
