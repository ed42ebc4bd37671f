"""`webrtc-events console`: the pages for operators, in production."""

import click

from webrtc_events.cli.error_handling import handle_cli_errors
from webrtc_events.cli.extras import needs_extra
from webrtc_events.cli.options import config_option, given_environ, read_settings
from webrtc_events.core.clock import SystemClock

__all__ = ["console"]


@click.command()
@click.option(
    "--host", default="127.0.0.1", help="Address to listen on; other than loopback with a login only."
)
@click.option("--port", default=9093, type=click.IntRange(0, 65535), help="Its port; 0 takes a free one.")
@click.option("--certfile", help="Speak TLS, with this certificate chain in PEM.")
@click.option("--keyfile", help="Its private key; without it the key is in --certfile.")
@needs_extra("console")
@config_option
@handle_cli_errors
def console(host: str, port: int, certfile: str | None, keyfile: str | None) -> None:
    """Serve the console: subscriptions, deliveries and dead letters as pages for operators.

    Without a login it listens on loopback only; reach it by `ssh -L 9093:127.0.0.1:9093`. With
    WEBRTC_EVENTS_CONSOLE_URL and WEBRTC_EVENTS_CONSOLE_CLIENT_ID people log in at the token issuer
    and need the scope webrtc-events:operate: docs/operations/console.md.

    Needs the worker's settings, in the environment or by --config. SIGTERM or Ctrl-C stops it after
    the requests under way.

    \b
    Examples:
      webrtc-events console
      webrtc-events console --port 9100
      webrtc-events console --host 0.0.0.0 --certfile console.pem --keyfile console.key
    """
    from webrtc_events.core.log_start import start_log

    start_log(given_environ(), "console")
    from webrtc_events.console.process import ConsoleProcess
    from webrtc_events.core.process import prepare_process

    prepare_process()
    ConsoleProcess(host, port, certfile, keyfile).run(read_settings(), SystemClock())
